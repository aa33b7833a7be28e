"""The auditor: begins a record for every request that the policy wants, and hands its events to the back ends.

The policy file is looked at every few seconds; a new one that is wrong is logged and the old one stays in force.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, urlencode

import msgspec

from bareboat.api.request import ApiRequest, RequestInfo
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.contracts.auth import UserInfo
from bareboat.server.audit.events import Event
from bareboat.server.audit.policy import ORDER, Judge, PolicyError, Verdict, load
from bareboat.server.audit.record import Record

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

log = logging.getLogger("bareboat.audit")
EVERY: Final = 5.0
_LEVELS: Final = tuple(ORDER)
#: Whose bodies are tokens.
_TOKENS: Final = frozenset({("authentication.k8s.io", "tokenreviews", ""), ("", "serviceaccounts", "token")})


class Backend(Protocol):
    """Takes encoded events. ``full``: it would rather not have more now."""

    name: str
    errors: int

    @property
    def full(self) -> bool: ...

    def put(self, event: bytes) -> None: ...

    async def run(self) -> None: ...


class AuditIds:
    """An id per request: those of one server differ in their last digits."""

    def __init__(self, ids: Ids) -> None:
        first = ids.uid()
        self._prefix, self._next = first[:24], int(first[24:], 16)

    def next(self, wanted: str = "") -> str:
        if wanted:
            return wanted[:64]
        self._next = (self._next + 1) & 0xFFFFFFFFFFFF
        return f"{self._prefix}{self._next:012x}"


class Auditor:
    """Of one server. ``backends`` are run by their owner."""

    def __init__(self, policy: Path, backends: Sequence[Backend], clock: Clock, ids: AuditIds) -> None:
        self._path = policy
        self._clock = clock
        self._ids = ids
        self._judge: Judge = load(policy)
        self._seen = _mark(policy)
        self.backends = list(backends)
        self.events = 0
        self.levels = dict.fromkeys(_LEVELS, 0)

    def begin(
        self, request: ApiRequest, info: RequestInfo, *, audit_id: str = "", real: UserInfo | None = None, uri: str = ""
    ) -> Record | None:
        """``real``: who the client is, if it acts as somebody else."""
        verdict = self._judge.verdict(real or request.user, info)
        self.levels[verdict.level] += 1
        if verdict.level == "None":
            return None
        if (info.group, info.resource, info.subresource) in _TOKENS and verdict.level != "Metadata":
            verdict = Verdict("Metadata", verdict.omit, verdict.omit_managed)
        return Record(request, info, verdict, audit_id or self._ids.next(), self._clock, self._put, real, uri or _uri(request))

    def _put(self, event: Event) -> None:
        self.events += 1
        event.kind, event.apiVersion = "Event", "audit.k8s.io/v1"
        data = msgspec.json.encode(event)
        for backend in self.backends:
            backend.put(data)

    @property
    def full(self) -> bool:
        return any(backend.full for backend in self.backends)

    async def room(self) -> None:
        """Until the log has written what it has: nothing is answered that could not be recorded."""
        while self.full:
            await self._clock.sleep(0.01)

    async def run(self) -> None:
        """Take up a changed policy file."""
        while True:
            await self._clock.sleep(EVERY)
            self.reload()

    def reload(self) -> None:
        mark = _mark(self._path)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self._judge = load(self._path)
            log.info("the audit policy %s is in force", self._path)
        except PolicyError as error:
            log.warning("the audit policy has changed and cannot be used, the one before stays in force: %s", error)

    def collect(self) -> Iterator[Metric]:
        """For a scrape."""
        from prometheus_client.metrics_core import CounterMetricFamily

        yield CounterMetricFamily("apiserver_audit_event", "Audit events that were made.", value=self.events)
        levels = CounterMetricFamily("apiserver_audit_level", "Requests by the level that the policy gives them.", labels=("level",))
        for level, count in self.levels.items():
            levels.add_metric((level,), count)
        yield levels
        errors = CounterMetricFamily("apiserver_audit_error", "Events that a back end lost.", labels=("plugin",))
        for backend in self.backends:
            errors.add_metric((backend.name,), backend.errors)
        yield errors


def _mark(path: Path) -> Any:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _uri(request: ApiRequest) -> str:
    """Of a request that came without a connection."""
    query = urlencode([(key, value) for key, values in request.query.items() for value in values])
    return quote(request.path) + (f"?{query}" if query else "")
