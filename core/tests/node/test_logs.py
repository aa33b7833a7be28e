"""What a client gets of a container's log: the end of a long one, what is added while it looks, what it limited itself to."""

import asyncio
import random

import pytest

from bareboat.node import logs
from bareboat.node.logs import LogOptions, ending, read


def line(text, tag="F"):
    return f"2026-01-02T03:04:05.000000006Z stdout {tag} {text}\n".encode()


async def text(path, running=lambda: False, **options):
    return b"".join([chunk async for chunk in read(path, LogOptions(**options), running)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "0.log"


@pytest.mark.parametrize("seed", range(5))
async def test_the_last_lines_are_the_same_wherever_blocks_end(path, monkeypatch, seed):
    chance = random.Random(seed)
    monkeypatch.setattr(logs, "CHUNK", chance.randrange(1, 200))
    texts = ["x" * chance.randrange(0, 300) for _ in range(chance.randrange(0, 30))]
    path.write_bytes(b"".join(map(line, texts)))
    for count in (0, 1, 2, 7, 29, 30, 31):
        wanted = "".join(f"{t}\n" for t in (texts[-count:] if count else []))
        assert await text(path, tail=count) == wanted.encode()
        assert ending(path, lines=count, limit=1 << 20) == wanted.encode()
    assert await text(path) == "".join(f"{t}\n" for t in texts).encode()


async def test_a_line_that_is_not_whole_yet_is_none(path):
    path.write_bytes(line("a") + line("b") + b"2026-01-02T03:04:05.000000006Z stdo")
    assert await text(path) == b"a\nb\n"
    assert await text(path, tail=1) == b"b\n"


async def test_of_a_limit_not_a_byte_more_is_given(path, monkeypatch):
    monkeypatch.setattr(logs, "CHUNK", 100)
    path.write_bytes(line("abc") * 50)
    assert await text(path, limit=10) == b"abc\nabc\nab"
    assert ending(path, lines=80, limit=5) == b"\nabc\n"


async def test_who_follows_from_the_last_line_gets_what_is_added(path):
    """And what is in the next file: test_retention."""
    path.write_bytes(line("old") + line("one"))
    running, got = True, []

    async def follow():
        async for chunk in read(path, LogOptions(follow=True, tail=1), lambda: running):
            got.append(chunk)

    following = asyncio.ensure_future(follow())

    async def until(wanted):
        async with asyncio.timeout(5):
            while b"".join(got) != wanted:
                await asyncio.sleep(0.01)

    await until(b"one\n")
    with path.open("ab") as file:
        file.write(line("two"))
    await until(b"one\ntwo\n")
    running = False
    await asyncio.wait_for(following, 5)


async def test_a_log_that_is_not_there_has_no_ending(path):
    assert ending(path, lines=1, limit=1) == b""
