"""Links in HTML that comes through the proxy: a path of the proxied server is shown as the path behind the proxy.

In: the document's bytes as they come. Out: the same bytes, but for start tags whose links had to change. Which attributes hold links is
said in the HTML standard (section 4, attributes of type URL); links within scripts and style sheets stay as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from html import escape
from html.parser import HTMLParser
from urllib.parse import urlsplit, urlunsplit

#: Bytes that are looked at before the loop has its turn, and that may be kept until it is certain what they are: a document that needs
#: more is sent as it is from there on.
PIECE, KEPT = 16 * 1024, 64 * 1024
LINKS = {
    "a": ("href",),
    "applet": ("codebase",),
    "area": ("href",),
    "audio": ("src",),
    "base": ("href",),
    "blockquote": ("cite",),
    "body": ("background",),
    "button": ("formaction",),
    "del": ("cite",),
    "embed": ("src",),
    "form": ("action",),
    "frame": ("longdesc", "src"),
    "head": ("profile",),
    "html": ("manifest",),
    "iframe": ("longdesc", "src"),
    "img": ("longdesc", "src", "usemap"),
    "input": ("src", "usemap", "formaction"),
    "ins": ("cite",),
    "link": ("href",),
    "object": ("classid", "codebase", "data", "usemap"),
    "q": ("cite",),
    "script": ("src",),
    "source": ("src",),
    "video": ("poster", "src"),
}


def behind(prefix: str, hosts: tuple[str, ...], link: str) -> str:
    """Where the proxy shows it: ``prefix`` before an absolute path of one of ``hosts``; anything else is returned as it is."""
    try:
        found = urlsplit(link)
    except ValueError:
        return link
    if not found.path.startswith("/") or (found.netloc and found.netloc not in hosts):
        return link
    path = found.path if found.path.startswith(f"{prefix}/") else prefix + found.path
    return urlunsplit(("", "", path, found.query, found.fragment))


async def rewritten(chunks: AsyncIterator[bytes], place: Callable[[str], str]) -> AsyncIterator[bytes]:
    """The document with ``place`` of each link."""
    document = Document(place)
    async for chunk in chunks:
        for start in range(0, len(chunk), PIECE):
            if found := document.fed(chunk[start : start + PIECE]):
                yield found
            await asyncio.sleep(0)
    if found := document.ended():
        yield found


class Document(HTMLParser):
    """One document. Bytes are read one character each: all that matters here is ASCII."""

    def __init__(self, place: Callable[[str], str]) -> None:
        super().__init__(convert_charrefs=False)
        self._place = place
        self._out: list[str] = []
        self._tag: str | None = None
        #: bytes of which it is not certain what they are; whether they have become too many
        self._held = 0
        self._given_up = False

    def fed(self, data: bytes) -> bytes:
        """What is certain by now."""
        if self._given_up:
            return data
        self._held += len(data)
        self.feed(data.decode("latin-1"))
        self._given_up = self._held > KEPT
        return self.ended() if self._given_up else self._taken()

    def ended(self) -> bytes:
        """The rest."""
        self.close()
        return self._taken()

    def _taken(self) -> bytes:
        out, self._out = "".join(self._out), []
        return out.encode("latin-1")

    def updatepos(self, i: int, j: int) -> int:
        """The parser calls this with the extent of all that it has read, one piece after the other."""
        if i < j:
            self._out.append(self.rawdata[i:j] if self._tag is None else self._tag)
            self._tag = None
            self._held -= j - i
        return super().updatepos(i, j)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        links = LINKS.get(tag, ())
        shown = [(name, self._place(value) if value is not None and name in links else value) for name, value in attrs]
        if shown != attrs:
            written = "".join(f" {name}" if value is None else f' {name}="{_escaped(value)}"' for name, value in shown)
            end = "/>" if (self.get_starttag_text() or "").endswith("/>") else ">"
            self._tag = f"<{tag}{written}{end}"


def _escaped(value: str) -> str:
    """Characters of references may be beyond those of the document's bytes."""
    return escape(value).encode("latin-1", "xmlcharrefreplace").decode("latin-1")
