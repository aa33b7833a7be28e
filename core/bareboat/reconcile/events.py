"""Event objects for people: recorded without waiting, repeated ones counted up rather than made anew, too many not written at all."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

import msgspec

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client.client import Client
from bareboat.models import core_v1, meta_v1
from bareboat.models.status import ApiError, NotFound
from bareboat.reconcile.correlation import Correlator, Recent

log = logging.getLogger("bareboat.events")
#: Events of one source waiting to be written at most; more are dropped and counted in the log.
CAPACITY = 1000
#: Repeated events within this many seconds are one.
WINDOW = 600.0


class _Said(msgspec.Struct):
    """How often, when last, and the name of the Event once it is written."""

    count: int = 0
    moment: float = 0.0
    name: str = ""


class _News(msgspec.Struct):
    about: core_v1.ObjectReference
    kind: str
    reason: str
    message: str
    combined: bool
    said: _Said
    count: int


class EventRecorder:
    """``event`` never blocks and never fails; ``run`` writes. ``limited``: no more about one object than client-go's recorder writes."""

    def __init__(self, client: Client, component: str, clock: Clock, ids: Ids, host: str = "", *, limited: bool = True) -> None:
        self._client = client
        self._component = component
        self._clock = clock
        self._ids = ids
        self._host = host
        self._queue: asyncio.Queue[_News] = asyncio.Queue(CAPACITY)
        self._said: Recent[_Said] = Recent()
        self._correlator = Correlator() if limited else None
        self._dropped = 0

    def event(self, about: Any, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """``about`` an object or an ObjectReference."""
        meta = about if isinstance(about, core_v1.ObjectReference) else about.metadata
        whom, now = (about.kind, meta.namespace, meta.name, meta.uid), self._clock.monotonic()
        sort = (getattr(meta, "fieldPath", ""), type, reason)
        text, combined = self._correlator.message(whom, sort, message, now) if self._correlator else (message, False)
        said = self._counted((whom, sort, "" if combined else message), now)
        if self._correlator and not self._correlator.accepts(whom, now):
            return
        if self._queue.full():
            self._drop()
            return
        reference = about if isinstance(about, core_v1.ObjectReference) else self._reference(about)
        self._queue.put_nowait(_News(reference, type, reason, text[:1024], combined, said, said.count))

    def _counted(self, identity: tuple[Any, ...], now: float) -> _Said:
        said = self._said.get(identity)
        if said is None or now - said.moment >= WINDOW:
            said = _Said()
        said.count, said.moment = said.count + 1, now
        self._said.put(identity, said)
        return said

    def _drop(self) -> None:
        if not self._dropped:
            log.warning("%s: more than %d events wait to be written; others are dropped", self._component, CAPACITY)
        self._dropped += 1

    async def run(self) -> None:
        while True:
            news = await self._queue.get()
            if self._dropped and self._queue.empty():
                log.warning("%s: %d events were dropped", self._component, self._dropped)
                self._dropped = 0
            try:
                await self._write(news)
            except ApiError as error:
                log.debug("event not written: %s", error)

    async def _write(self, news: _News) -> None:
        about, now = news.about, self._clock.timestamp()
        namespace = about.namespace or "default"
        if news.said.name:
            change: dict[str, Any] = {"count": news.count, "lastTimestamp": now}
            if news.combined:
                change["message"] = news.message
            try:
                await self._client.patch(core_v1.Event, news.said.name, change, namespace)
            except NotFound:
                news.count = news.said.count = 1
            else:
                return
        name = f"{about.name}.{self._ids.uid().replace('-', '')[:16]}"
        event = core_v1.Event(
            metadata=meta_v1.ObjectMeta(name=name, namespace=namespace),
            involvedObject=about,
            reason=news.reason,
            message=news.message,
            type=news.kind,
            count=news.count,
            firstTimestamp=now,
            lastTimestamp=now,
            source=core_v1.EventSource(component=self._component, host=self._host),
            reportingComponent=self._component,
            reportingInstance=self._host,
        )
        await self._client.create_named(event)
        news.said.name = name

    def _reference(self, obj: Any) -> core_v1.ObjectReference:
        meta = obj.metadata
        return core_v1.ObjectReference(
            kind=obj.kind,
            apiVersion=obj.apiVersion,
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
        )
