"""When starts and ends are told, by a daemon that takes its time."""

import asyncio
import logging
import threading
from types import SimpleNamespace

import pytest

from bareboat_cri_docker.watch import Watch


class Daemon:
    """Tells its events once, when somebody has heard of it; ``settled``: whether the list shows them, for which an inspection waits."""

    def __init__(self, *events):
        self.heard, self.settled, self.done = threading.Event(), threading.Event(), threading.Event()
        self.api = SimpleNamespace(inspect_container=self._inspect)
        self._events = [{"id": "c", "time": 1, **event} for event in events]
        self.gone = False

    def client(self):
        return SimpleNamespace(events=lambda **_: self._stream(), close=self.done.set)

    def _stream(self):
        self.heard.wait()
        events, self._events = self._events, []
        yield from events
        self.done.wait()

    def _inspect(self, container_id):
        assert container_id == "c"
        self.settled.wait()
        if self.gone:
            error = OSError("no such container")
            error.response = SimpleNamespace(status_code=404)
            raise error


@pytest.fixture
async def watched():
    started = []

    async def start(daemon):
        watch = Watch(daemon, {}, logging.getLogger("tests"))
        started.append((watch, daemon))
        return watch

    yield start
    for watch, daemon in started:
        daemon.heard.set()
        daemon.settled.set()
        daemon.done.set()
        watch._stream = None
        await asyncio.to_thread(watch.close)


@pytest.mark.parametrize("gone", [False, True])
async def test_an_end_is_told_when_the_list_shows_it(watched, gone):
    daemon = Daemon({"Action": "die"})
    daemon.gone = gone
    told = asyncio.ensure_future(anext(aiter((await watched(daemon)).events())))
    await asyncio.sleep(0)
    daemon.heard.set()
    await asyncio.sleep(0.1)
    assert not told.done()
    daemon.settled.set()
    assert await asyncio.wait_for(told, 5) == "c"


async def test_a_start_is_told_at_once(watched):
    daemon = Daemon({"Action": "start"})
    told = asyncio.ensure_future(anext(aiter((await watched(daemon)).events())))
    await asyncio.sleep(0)
    daemon.heard.set()
    assert await asyncio.wait_for(told, 5) == "c"
