"""A small client of etcd's own JSON gateway (``/v3/…``): ranges, transactions, watches. Knows nothing of Bareboat's rows.

Keys and values travel in base64, 64-bit numbers as strings. A request that was not answered by one endpoint is not repeated at the next
unless it only reads: the caller knows what to do about a write.
"""

from __future__ import annotations

import asyncio
import io
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import msgspec

from bareboat.contracts.errors import DriverError, Exhausted, InvalidConfig, Unavailable
from bareboat_store_etcd.options import EtcdOptions, context, password

#: gRPC codes that mean that nothing was done, by what they mean to us.
INVALID, DENIED, EXHAUSTED, OUT_OF_RANGE, UNAUTHENTICATED = 3, 7, 8, 11, 16


class Unanswered(Unavailable):
    """Nobody said what became of the request."""


class HistoryGone(Exception):
    """etcd has compacted the revision that a read was pinned to."""


class Pair(msgspec.Struct, frozen=True):
    key: str
    value: bytes
    mod: int


class Found(msgspec.Struct, frozen=True):
    """``revision`` is etcd's own at the time of the answer."""

    pairs: list[Pair]
    more: bool
    count: int
    revision: int


class Outcome(msgspec.Struct, frozen=True):
    done: bool
    revision: int
    found: list[Found]


class Gateway:
    """``open`` before anything else."""

    def __init__(self, options: EtcdOptions) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        self._token = ""
        self._at = 0

    async def open(self) -> None:
        tls = context(self._options)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls if tls is not None else True, limit=16), timeout=aiohttp.ClientTimeout(total=None)
        )
        if self._options.user:
            await self._authenticate()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def range(self, key: str, end: str = "", *, limit: int = 0, revision: int = 0, count_only: bool = False) -> Found:
        """Keys from ``key`` up to ``end`` ("" = that key alone), in order."""
        answer = await self._read("kv/range", range_request(key, end, limit=limit, revision=revision, count_only=count_only))
        return _found(answer, int(answer["header"]["revision"]))

    async def txn(
        self, compare: Sequence[dict[str, Any]], success: Sequence[dict[str, Any]], failure: Sequence[dict[str, Any]] = ()
    ) -> Outcome:
        """Raises Unanswered if it is unknown whether it happened."""
        return _outcome(await self._post("kv/txn", {"compare": list(compare), "success": list(success), "failure": list(failure)}))

    async def read(self, *requests: dict[str, Any]) -> list[Found]:
        """Several ranges of one moment."""
        return _outcome(await self._read("kv/txn", {"success": list(requests)})).found

    async def compact(self, revision: int) -> None:
        await self._post("kv/compaction", {"revision": str(revision)})

    async def size(self) -> int:
        """Bytes of etcd's whole database."""
        return int((await self._read("maintenance/status", {})).get("dbSize", 0))

    async def watch(self, key: str) -> AsyncIterator[bytes]:
        """Values of ``key`` as they are written. Raises Unavailable when the stream ends."""
        body = {"create_request": {"key": encoded(key)}}
        try:
            async with self._client.post(self._url("watch"), json=body, headers=self._headers()) as response:
                async for line in response.content:
                    for event in msgspec.json.decode(line).get("result", {}).get("events", ()):
                        if "value" in event["kv"]:
                            yield b64decode(event["kv"]["value"])
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{self._options.shown}: {error}") from error
        raise Unavailable(f"{self._options.shown} ended the watch")

    async def _read(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Each endpoint is tried; the only one a second time if its connection was just lost."""
        others = len(self._options.endpoints) - 1
        for left in range(max(1, others), -1, -1):
            try:
                return await self._post(path, body)
            except Unanswered as error:
                if not left or (not others and error.reason == "StoreTimeout"):
                    raise
        raise AssertionError("unreachable")

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        status, answer = await self._ask(path, body)
        if status == 200:
            return answer
        if answer.get("code") == UNAUTHENTICATED and self._options.user:
            await self._authenticate()
            status, answer = await self._ask(path, body)
            if status == 200:
                return answer
        raise self._failure(answer)

    async def _ask(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        data = msgspec.json.encode(body)
        try:
            async with asyncio.timeout(self._options.timeout):
                for _ in range(len(self._options.endpoints) - 1):
                    try:
                        return await self._sent(path, data)
                    except aiohttp.ClientConnectorError:  # nothing was sent: the next may have it
                        self._at += 1
                return await self._sent(path, data)
        except TimeoutError as error:
            self._at += 1
            raise Unanswered(f"{self._options.shown} does not answer", reason="StoreTimeout") from error
        except (aiohttp.ClientError, OSError, msgspec.MsgspecError) as error:
            self._at += 1
            raise Unanswered(f"{self._options.shown}: {error}", reason="StoreUnreachable") from error

    async def _sent(self, path: str, data: bytes) -> tuple[int, dict[str, Any]]:
        async with self._client.post(self._url(path), data=io.BytesIO(data), headers=self._headers()) as response:
            return response.status, msgspec.json.decode(await response.read())

    def _failure(self, answer: dict[str, Any]) -> Exception:
        code, text = answer.get("code"), str(answer.get("message") or answer.get("error") or answer)
        where = f"{self._options.shown}: {text}"
        if code == OUT_OF_RANGE:
            return HistoryGone(text)
        if code == EXHAUSTED:
            return Exhausted(f"{where}; compact and defragment it, or give it a larger quota", reason="StoreFull")
        if code in (DENIED, UNAUTHENTICATED):
            return InvalidConfig(f"{where}; check `user`, `password_file` and the role's rights on the prefix", reason="StoreRefused")
        if code == INVALID:
            return DriverError(where, reason="StoreRefused")
        self._at += 1
        return Unanswered(where, reason="StoreUnreachable")

    async def _authenticate(self) -> None:
        body = {"name": self._options.user, "password": password(self._options)}
        status, answer = await self._ask("auth/authenticate", body)
        if status != 200:
            raise InvalidConfig(f"{self._options.shown}: {answer.get('message', status)}", reason="StoreRefused")
        self._token = str(answer["token"])

    def _url(self, path: str) -> str:
        endpoints = self._options.endpoints
        return f"{endpoints[self._at % len(endpoints)].rstrip('/')}/v3/{path}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._token} if self._token else {}

    @property
    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise DriverError("the store is not open")
        return self._session


def encoded(key: str | bytes) -> str:
    return b64encode(key.encode() if isinstance(key, str) else key).decode()


def range_request(key: str, end: str = "", *, limit: int = 0, revision: int = 0, count_only: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"key": encoded(key), "limit": str(limit), "revision": str(revision), "count_only": count_only}
    return {**found, "range_end": encoded(end)} if end else found


def reads(key: str, end: str = "", *, limit: int = 0) -> dict[str, Any]:
    return {"request_range": range_request(key, end, limit=limit)}


def puts(key: str, value: str | bytes) -> dict[str, Any]:
    return {"request_put": {"key": encoded(key), "value": encoded(value)}}


def deletes(key: str, end: str = "") -> dict[str, Any]:
    """That key, or those from it up to ``end``."""
    return {"request_delete_range": {"key": encoded(key), **({"range_end": encoded(end)} if end else {})}}


def unchanged(key: str, mod: int) -> dict[str, Any]:
    """True while ``key`` was last written at etcd's revision ``mod``; 0: it does not exist."""
    return {"key": encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(mod)}


def _outcome(answer: dict[str, Any]) -> Outcome:
    revision = int(answer["header"]["revision"])
    found = [_found(r["response_range"], revision) for r in answer.get("responses", ()) if "response_range" in r]
    return Outcome(bool(answer.get("succeeded")), revision, found)


def _found(answer: dict[str, Any], revision: int) -> Found:
    pairs = [Pair(b64decode(kv["key"]).decode(), b64decode(kv.get("value", "")), int(kv["mod_revision"])) for kv in answer.get("kvs", ())]
    return Found(pairs, bool(answer.get("more")), int(answer.get("count", 0)), revision)
