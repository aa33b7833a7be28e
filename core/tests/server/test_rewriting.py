"""Links in HTML that comes through the proxy."""

import pytest

from bareboat.server.rewriting import KEPT, Document, behind, rewritten

PREFIX = "/api/v1/namespaces/a/pods/p/proxy"


def place(link):
    return behind(PREFIX, ("10.0.0.1:80",), link)


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("/x", f"{PREFIX}/x"),
        ("/", f"{PREFIX}/"),
        ("/x/?q=1#f", f"{PREFIX}/x/?q=1#f"),
        ("http://10.0.0.1:80/x", f"{PREFIX}/x"),
        (f"{PREFIX}/x", f"{PREFIX}/x"),
        ("x/y", "x/y"),
        ("#f", "#f"),
        ("", ""),
        ("http://elsewhere/x", "http://elsewhere/x"),
        ("//elsewhere/x", "//elsewhere/x"),
        ("mailto:a@b", "mailto:a@b"),
        ("http://[bad/x", "http://[bad/x"),
    ],
)
def test_an_absolute_path_of_the_proxied_server_gets_the_prefix(link, shown):
    assert place(link) == shown


DOCUMENT = b"""<!DOCTYPE html><html><head><link rel="x" href='/style.css'><script src=/s.js>if (a<b) x = "<a href='/no'>";</script></head>
<body><!-- <a href="/no"> --><A HREF="/a?b=1&amp;c=2" disabled>caf\xe9 &amp; &copy 1 < 2</A>
<img src="/i.png"/><p href="/no">&#65;</p><a class="b" href="relative">x</a></body></html>"""
SHOWN = (
    DOCUMENT.replace(b"href='/style.css'", b'href="%b/style.css"' % PREFIX.encode())
    .replace(b"src=/s.js", b'src="%b/s.js"' % PREFIX.encode())
    .replace(b'A HREF="/a?', b'a href="%b/a?' % PREFIX.encode())
    .replace(b'src="/i.png"', b'src="%b/i.png"' % PREFIX.encode())
)


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
async def test_only_tags_with_such_links_change_however_the_bytes_come(size):
    async def chunks():
        for start in range(0, len(DOCUMENT), size):
            yield DOCUMENT[start : start + size]

    assert b"".join([chunk async for chunk in rewritten(chunks(), place)]) == SHOWN


def test_what_never_ends_is_sent_as_it_is():
    document = Document(place)
    sent = b""
    for number in range(1, 101):
        sent += document.fed(b"<!-- " + b"x" * 16_000)
        assert number * 16_005 - len(sent) <= KEPT
    assert sent + document.ended() == (b"<!-- " + b"x" * 16_000) * 100
