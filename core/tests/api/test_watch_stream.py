"""Watches written straight to a connection: what is sent, when it ends, and what a client that does not read costs."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from bareboat.api.request import ApiRequest
from bareboat.contracts.auth import UserInfo
from bareboat.models import core_v1, meta_v1
from bareboat.models.codec import from_tree

ADMIN = UserInfo(name="admin", groups=("system:masters",))
PATH = "/api/v1/namespaces/default/configmaps"


class Connection:
    """A Sink that remembers."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.gone = self.paused = self.aborted = False
        self._tell = lambda: None
        self._drained = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def offer(self, pieces) -> bool:
        self.writes += [] if self.gone else pieces
        return not (self.gone or self.paused)

    async def drain(self) -> None:
        await self._drained.wait()

    def on_gone(self, tell) -> None:
        self._tell = tell

    def abort(self) -> None:
        self.aborted = True
        self.leave()

    def leave(self) -> None:
        self.gone, self.paused = True, False
        self._drained.set()
        self._tell()

    def events(self) -> list[tuple[str, str]]:
        found, rest = [], b"".join(self.writes)
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            line, rest = rest[: int(size, 16)], rest[int(size, 16) + 2 :]
            tree = msgspec.json.decode(line)
            found.append((tree["type"], tree["object"].get("metadata", {}).get("name", "")))
        return found


async def watch(kernel, connection, **query):
    asked = {"watch": ["1"], **{name: [value] for name, value in query.items()}}
    response = await kernel.service.handle(ApiRequest(ADMIN, "GET", PATH, asked))
    assert response.status == 200
    task = asyncio.ensure_future(response.follow(connection))
    await asyncio.sleep(0)
    return task


async def create(kernel, *names: str) -> None:
    meta = [meta_v1.ObjectMeta(name=name, namespace="default") for name in names]
    await asyncio.gather(*(kernel.client.create(core_v1.ConfigMap(metadata=m)) for m in meta))


async def until(holds) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


async def test_what_is_there_comes_first_then_every_change(kernel):
    await create(kernel, "a", "b")
    connection = Connection()
    task = await watch(kernel, connection)
    await until(lambda: len(connection.writes) == 1)
    await create(kernel, "c")
    await kernel.client.delete(core_v1.ConfigMap, "a", "default")
    await until(lambda: len(connection.events()) == 4)
    assert connection.events() == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"), ("DELETED", "a")]
    connection.leave()
    await task
    assert kernel.log.subscribers == 0


async def test_changes_of_one_commit_are_one_write_and_are_encoded_once_for_all_watchers(kernel):
    connections = [Connection() for _ in range(60)]
    tasks = [await watch(kernel, connection, resourceVersion=str(kernel.log.head)) for connection in connections]
    await create(kernel, *(f"c{number}" for number in range(5)))
    await until(lambda: all(len(connection.events()) == 5 for connection in connections))
    assert [len(connection.writes) for connection in connections] == [1] * 60
    await create(kernel, "one")
    await until(lambda: all(len(connection.writes) == 2 for connection in connections))
    assert len({id(connection.writes[1]) for connection in connections}) == 1
    for connection in connections:
        connection.leave()
    await asyncio.gather(*tasks)


async def test_a_client_that_does_not_read_loses_its_connection_and_holds_nothing(kernel, monkeypatch):
    connection = Connection()
    task = await watch(kernel, connection, resourceVersion=str(kernel.log.head))
    subscription = next(s for s in kernel.log._broadcast._subscribers["core/configmaps/default/"])
    monkeypatch.setattr(subscription, "_capacity", 3)
    connection.paused = True
    await create(kernel, "first")
    await until(lambda: connection.writes)
    for number in range(5):
        await create(kernel, f"more{number}")
    await asyncio.wait_for(task, 5)
    assert connection.aborted
    assert len(connection.writes) == 1


async def test_a_watch_ends_in_time_with_a_bookmark_if_they_were_asked_for(kernel):
    connection = Connection()
    task = await watch(kernel, connection, timeoutSeconds="1", allowWatchBookmarks="true", resourceVersion=str(kernel.log.head))
    await asyncio.wait_for(task, 5)
    assert connection.events() == [("BOOKMARK", "")]


@pytest.mark.parametrize("query", [{"labelSelector": "a=b"}, {"fieldSelector": "metadata.name=a"}])
async def test_a_watch_that_selects_goes_the_general_way(kernel, query):
    response = await kernel.service.handle(ApiRequest(ADMIN, "GET", PATH, {"watch": ["1"], **{k: [v] for k, v in query.items()}}))
    assert response.follow is None
    assert response.stream is not None


async def test_changes_that_come_faster_than_they_go_out_wait_for_each_other(kernel):
    connections = [Connection() for _ in range(400)]
    tasks = [await watch(kernel, connection, resourceVersion=str(kernel.log.head)) for connection in connections]
    for number in range(10):
        await create(kernel, f"c{number}")
    await until(lambda: all(len(connection.events()) == 10 for connection in connections))
    assert sum(len(connection.writes) for connection in connections) < 400 * 10 / 2
    for connection in connections:
        connection.leave()
    await asyncio.gather(*tasks)


async def test_events_are_written_without_a_turn_of_the_watch_s_own_task(kernel, monkeypatch):
    connection = Connection()
    task = await watch(kernel, connection, resourceVersion=str(kernel.log.head))
    subscription = next(s for s in kernel.log._broadcast._subscribers["core/configmaps/default/"])
    monkeypatch.setattr(subscription, "wake", lambda: pytest.fail("its reader was woken"))
    await create(kernel, "a")
    await until(lambda: connection.events() == [("ADDED", "a")])
    monkeypatch.undo()
    connection.leave()
    await task


async def test_who_watches_by_field_is_not_woken_for_what_others_watch(kernel):
    path = "/api/v1/namespaces/default/pods"
    asked = {"watch": ["1"], "fieldSelector": ["spec.nodeName=n1"], "resourceVersion": [str(kernel.log.head)]}
    stream = (await kernel.service.handle(ApiRequest(ADMIN, "GET", path, asked))).stream
    lines: list[bytes] = []

    async def read() -> None:
        async for line in stream:
            lines.append(line)

    reading = asyncio.ensure_future(read())
    await until(lambda: kernel.log.watchers("core/pods/default/"))
    await asyncio.sleep(0)
    subscription = next(iter(kernel.log._broadcast._subscribers["core/pods/default/"]))
    pushed: list[str] = []
    push = subscription.push
    subscription.push = lambda change: (pushed.append(change.key), push(change))
    for name, node in (("a", "n1"), ("b", "n2"), ("c", "n1")):
        spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": node}
        await kernel.client.create(from_tree(core_v1.Pod, {"metadata": {"name": name, "namespace": "default"}, "spec": spec}))
    await until(lambda: len(lines) == 2)
    assert pushed == ["core/pods/default/a", "core/pods/default/c"]
    await kernel.client.delete(core_v1.Pod, "c", "default", grace_seconds=0)
    await until(lambda: lines[-1].startswith(b'{"type":"DELETED"'))
    reading.cancel()
