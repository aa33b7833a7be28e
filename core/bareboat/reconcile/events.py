"""Event objects for people: recorded without waiting, repeated ones counted up rather than made anew."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client.client import Client
from bareboat.models import core_v1, meta_v1
from bareboat.models.status import ApiError, NotFound

log = logging.getLogger("bareboat.events")
#: Events of one source waiting to be written at most; more are dropped and counted in the log.
CAPACITY = 1000
#: Repeated events within this many seconds are one.
WINDOW = 600.0


class EventRecorder:
    """``event`` never blocks and never fails; ``run`` writes."""

    def __init__(self, client: Client, component: str, clock: Clock, ids: Ids, host: str = "") -> None:
        self._client = client
        self._component = component
        self._clock = clock
        self._ids = ids
        self._host = host
        self._queue: asyncio.Queue[tuple[core_v1.ObjectReference, str, str, str]] = asyncio.Queue(CAPACITY)
        self._known: dict[tuple[str, ...], tuple[str, str, int, float]] = {}

    def event(self, about: Any, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """``about`` an object or an ObjectReference."""
        reference = about if isinstance(about, core_v1.ObjectReference) else self._reference(about)
        try:
            self._queue.put_nowait((reference, type, reason, message[:1024]))
        except asyncio.QueueFull:
            log.warning("event dropped: %s %s/%s: %s", reason, reference.namespace, reference.name, message)

    async def run(self) -> None:
        while True:
            reference, kind, reason, message = await self._queue.get()
            try:
                await self._write(reference, kind, reason, message)
            except ApiError as error:
                log.debug("event not written: %s", error)

    async def _write(self, about: core_v1.ObjectReference, kind: str, reason: str, message: str) -> None:
        identity = (about.kind, about.namespace, about.name, about.uid, about.fieldPath, kind, reason, message)
        now, moment = self._clock.timestamp(), self._clock.monotonic()
        known = self._known.get(identity)
        if known is not None and moment - known[3] < WINDOW:
            namespace, name, count, _ = known
            try:
                await self._client.patch(core_v1.Event, name, {"count": count + 1, "lastTimestamp": now}, namespace)
            except NotFound:
                self._known.pop(identity)
            else:
                self._known[identity] = (namespace, name, count + 1, moment)
                return
        namespace = about.namespace or "default"
        name = f"{about.name}.{self._ids.uid().replace('-', '')[:16]}"
        event = core_v1.Event(
            metadata=meta_v1.ObjectMeta(name=name, namespace=namespace),
            involvedObject=about,
            reason=reason,
            message=message,
            type=kind,
            count=1,
            firstTimestamp=now,
            lastTimestamp=now,
            source=core_v1.EventSource(component=self._component, host=self._host),
            reportingComponent=self._component,
            reportingInstance=self._host,
        )
        await self._client.create(event)
        if len(self._known) > 4096:
            self._known.clear()
        self._known[identity] = (namespace, name, 1, moment)

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
