"""Clients of a real API server that write ConfigMaps against each other, read, list and watch, and write down all of it.

What comes in: a Subject and a seed. What goes out: a ``histories.History``. Every connection is used without silent retries: a
PUT that was sent twice would be told of a conflict with itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec

from bareboat.base.ids import Ids, SeededIds
from bareboat.testing.histories import History, Operation, Seen, Watched
from bareboat.testing.torture.subject import Subject

NAMESPACE = "default"
PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
KEYS = 12
PREFIX = "torture-"
#: how long a client waits for an answer before it holds the outcome for unknown
PATIENCE = 10.0


class Counts(msgspec.Struct):
    """Operations by outcome; ``failed``: answers of 5xx, which are unknown outcomes too; ``relists``: watches that were told 410."""

    ok: int = 0
    refused: int = 0
    unknown: int = 0
    failed: int = 0
    events: int = 0
    relists: int = 0

    def add(self, other: Counts) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Workload:
    """``run`` until it is cancelled; ``settle`` reads what is there at the end."""

    def __init__(self, subject: Subject, *, seed: int, clients: int = 6, watchers: int = 2, history: History | None = None) -> None:
        """``history``: the one that other workloads on the same store write, too."""
        self._subject = subject
        self._seed = seed
        self._clients = clients
        self._watchers = watchers
        self.history = History() if history is None else history
        self.counts = Counts()
        self._number = 0
        self._stopped = False

    async def run(self) -> None:
        """Until ``stop``: clients end what they have begun, so that nothing comes to the server after the last look."""
        start, _ = await self.listed()
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(self._watch(start)) for _ in range(self._watchers)]
            async with asyncio.TaskGroup() as writing:
                for i in range(self._clients):
                    writing.create_task(self._client(SeededIds(self._seed * 1000 + i), f"{self._seed}-{i}"))
            for task in watching:
                task.cancel()

    def stop(self) -> None:
        self._stopped = True

    async def listed(self) -> tuple[int, Operation]:
        """A list that must succeed, however often it has to be tried."""
        async with self._session() as session:
            while True:
                operation = await self._list(session)
                if operation.outcome == "ok":
                    return operation.revision, operation
                await asyncio.sleep(0.1)

    async def settle(self) -> None:
        _, operation = await self.listed()
        self.history.final = operation.items

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self._subject.tls or True)
        session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE))
        session._retry_connection = False
        return session

    async def _client(self, ids: Ids, name: str) -> None:
        known: dict[str, int] = {}
        async with self._session() as session:
            while not self._stopped:
                await self._subject.up.wait()
                operation = await self._step(session, ids, name, known)
                if operation.outcome == "unknown":
                    known.pop(operation.key, None)
                    await asyncio.sleep(0.05)
                elif ids.fraction() < 0.2:
                    await asyncio.sleep(ids.fraction() * 0.02)

    async def _step(self, session: aiohttp.ClientSession, ids: Ids, name: str, known: dict[str, int]) -> Operation:
        key, what = f"{PREFIX}{int(ids.fraction() * KEYS)}", ids.fraction()
        if what < 0.05:
            return await self._list(session)
        if what < 0.25 or key not in known:
            operation = await self._get(session, key)
            if operation.outcome == "ok":
                known[key] = operation.revision
            return operation
        if what < 0.33 and known[key]:
            operation = await self._delete(session, key, known[key])
            known.pop(key)
            return operation
        self._number += 1
        operation = await self._write(session, key, f"{name}-{self._number}", known[key])
        if operation.outcome == "ok":
            known[key] = operation.revision
        else:
            known.pop(key, None)
        return operation

    async def _send(self, session: aiohttp.ClientSession, operation: Operation, method: str, path: str, body: Any = None) -> Any:
        """The tree of the answer; None if the outcome is unknown or a refusal."""
        loop = asyncio.get_running_loop()
        operation.begin = loop.time()
        self.history.operations.append(operation)
        try:
            async with session.request(method, self._subject.url + path, json=body) as answer:
                data = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            self.counts.unknown += 1
            return None
        operation.end = loop.time()
        if answer.status < 300:
            operation.outcome = "ok"
            self.counts.ok += 1
            return msgspec.json.decode(data)
        if answer.status >= 500 or answer.status == 429:
            self.counts.failed += 1
            return None
        operation.outcome = "refused"
        self.counts.refused += 1
        return None if answer.status != 404 else {}

    async def _list(self, session: aiohttp.ClientSession) -> Operation:
        operation = Operation(kind="list", begin=0.0)
        found = await self._send(session, operation, "GET", PATH)
        if operation.outcome == "ok":
            operation.revision = int(found["metadata"]["resourceVersion"])
            mine = [item for item in found["items"] if item["metadata"]["name"].startswith(PREFIX)]
            operation.items = {i["metadata"]["name"]: (_revision(i), i["data"]["value"]) for i in mine}
        return operation

    async def _get(self, session: aiohttp.ClientSession, key: str) -> Operation:
        operation = Operation(kind="get", begin=0.0, key=key)
        found = await self._send(session, operation, "GET", f"{PATH}/{key}")
        if operation.outcome == "ok":
            operation.revision, operation.value = _revision(found), found["data"]["value"]
        elif found is not None:
            operation.outcome = "ok"  # that it does not exist is an answer
        return operation

    async def _write(self, session: aiohttp.ClientSession, key: str, value: str, expect: int) -> Operation:
        operation = Operation(kind="update" if expect else "create", begin=0.0, key=key, value=value, expect=expect)
        metadata = {"name": key, **({"resourceVersion": str(expect)} if expect else {})}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}
        method, path = ("PUT", f"{PATH}/{key}") if expect else ("POST", PATH)
        found = await self._send(session, operation, method, path, body)
        if operation.outcome == "ok":
            operation.revision = _revision(found)
        return operation

    async def _delete(self, session: aiohttp.ClientSession, key: str, expect: int) -> Operation:
        operation = Operation(kind="delete", begin=0.0, key=key, expect=expect)
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"resourceVersion": str(expect)}}
        await self._send(session, operation, "DELETE", f"{PATH}/{key}", body)
        return operation

    async def _watch(self, start: int) -> None:
        """One watch over many connections: each goes on from the last revision that the one before was told."""
        watched = Watched(start, [])
        self.history.watches.append(watched)
        at = start
        async with self._session() as session:
            while True:
                await self._subject.up.wait()
                try:
                    at, gone = await self._told(session, watched, at)
                except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError):
                    gone = False
                at = max([at, *(e.revision for e in watched.events[-1:])])
                if gone:
                    self.counts.relists += 1
                    at, _ = await self.listed()
                    watched = Watched(at, [])
                    self.history.watches.append(watched)
                await asyncio.sleep(0.02)

    async def _told(self, session: aiohttp.ClientSession, watched: Watched, at: int) -> tuple[int, bool]:
        query = {"watch": "true", "resourceVersion": str(at), "allowWatchBookmarks": "true"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE, sock_read=120)
        async with session.get(self._subject.url + PATH, params=query, timeout=timeout) as answer:
            if answer.status >= 400:
                return at, answer.status == 410
            async for line in answer.content:
                event = msgspec.json.decode(line)
                item = event["object"]
                if event["type"] == "ERROR":
                    return at, item.get("code") == 410
                at = _revision(item)
                if event["type"] != "BOOKMARK" and item["metadata"]["name"].startswith(PREFIX):
                    self.counts.events += 1
                    watched.events.append(Seen(item["metadata"]["name"], at, item["data"]["value"], event["type"] == "DELETED"))
        return at, False


def _revision(item: Any) -> int:
    return int(item["metadata"]["resourceVersion"])
