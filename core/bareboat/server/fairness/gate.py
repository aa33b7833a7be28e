"""The gate: which level a request belongs to, whether it may run now, and the wait until it may.

In: the FlowSchemas and PriorityLevelConfigurations as they are in the store, and per request a user and a RequestInfo. Out: a
``Pass`` (None where nothing is limited) or TooManyRequests. Which schema a kind of request belongs to is worked out once and
kept until the objects change, so the way without a queue is a few dictionary look-ups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bareboat.api.request import ApiRequest, RequestInfo
from bareboat.base.clock import Clock
from bareboat.contracts.auth import Reader, UserInfo
from bareboat.models import flowcontrol_v1 as v1
from bareboat.models.codec import from_tree
from bareboat.models.status import TooManyRequests
from bareboat.server.fairness import bootstrap
from bareboat.server.fairness.borrowing import share
from bareboat.server.fairness.level import Level, Seat
from bareboat.server.fairness.matching import Schema
from bareboat.server.fairness.queues import Flow, Ticket
from bareboat.server.fairness.waits import Waits
from bareboat.server.fairness.width import Widths

#: Classified kinds of requests that are kept.
KEPT = 10_000
#: Characters of a path at most for its kind to be kept.
LONGEST = 500
#: Seconds between two rounds of lending and borrowing.
ROUND = 10.0
TEXT = "Too many requests, please try again later."
Headers = tuple[tuple[bytes, bytes], tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests of one kind belong. ``width`` -1: it depends on more than the kind, for writes on those that watch ``watched``."""

    schema: Schema
    level: Level
    flow: Flow
    headers: Headers
    #: the headers as they are sent
    text: bytes
    width: int
    watched: str


class Rejected(TooManyRequests):
    """429 in upstream's plain words."""

    def __init__(self) -> None:
        super().__init__(TEXT, retry_after=1)


class Fairness:
    """Of one server. ``total`` seats are shared out; nothing waits longer than ``patience`` seconds."""

    def __init__(self, reader: Reader, widths: Widths, clock: Clock, *, total: int, patience: float) -> None:
        self._reader = reader
        self._widths = widths
        self._clock = clock
        self.total = total
        self._patience = patience
        self.levels: dict[str, Level] = {}
        self.schemas: list[Schema] = []
        self.waits = Waits()
        self._places: dict[tuple[object, ...], Place] = {}
        #: in the order in which they came
        self._queued: dict[Ticket, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._begun: set[Level] = set()
        self._stale = True
        #: what a Place follows from has changed so often
        self.changes = 0
        reader.subscribe(v1.FlowSchema, self._changed)
        reader.subscribe(v1.PriorityLevelConfiguration, self._changed)

    def _changed(self, namespace: str, name: str) -> None:
        del namespace, name
        self._stale = True
        self.changes += 1

    def place(self, user: UserInfo, info: RequestInfo) -> Place:
        """The schema and level of a request, and the headers that say so."""
        if self._stale:
            self._load()
        key = (
            user.name,
            user.groups,
            info.verb,
            info.group,
            info.resource,
            info.subresource,
            info.namespace,
            info.path * (not info.resource),
        )
        found = self._places.get(key)
        if found is None:
            found = self._find(user, info)
            if len(info.path) <= LONGEST:  # of a stranger's invention nothing is kept
                if len(self._places) >= KEPT:
                    self._places.clear()
                self._places[key] = found
        return found

    def _find(self, user: UserInfo, info: RequestInfo) -> Place:
        schema = next((s for s in self.schemas if s.matches(user, info)), self.schemas[-1])
        level = self.levels[schema.level]
        names = (b"x-kubernetes-pf-flowschema-uid", b"x-kubernetes-pf-prioritylevel-uid")
        headers = ((names[0], schema.uid.encode()), (names[1], level.uid.encode()))
        flow = (schema.name, schema.distinguisher(user, info))
        text = b"".join([b"%b: %b\r\n" % header for header in headers])
        return Place(schema, level, flow, headers, text, self._widths.fixed(info), self._widths.watched(info))

    def enter(self, place: Place, request: ApiRequest, info: RequestInfo) -> Seat | None:
        """The seat if the request may run now, else None: then ``wait``."""
        level = place.level
        seat = level.take(place.flow, self._width(place, request, info))
        if seat is not None:
            place.schema.dispatched += 1
            if not level.exempt:
                self._turn(level)
        return seat

    def _width(self, place: Place, request: ApiRequest, info: RequestInfo) -> int:
        if place.width >= 0:
            return place.width
        return self._widths.writing(place.watched) if place.watched else self._widths.listing(request, info)

    def passes(self, place: Place) -> bool:
        """A request that needs but a turn and is answered before this turn ends: whether it may."""
        level = place.level
        if not level.exempt:
            if not level.glance():
                return False
            self._turn(level)
        place.schema.dispatched += 1
        return True

    async def wait(self, place: Place, request: ApiRequest, info: RequestInfo, lost: list[Callable[[], object]] | None = None) -> Seat:
        """Raises Rejected. ``lost``: calls what is put there when the client has gone."""
        schema, level = place.schema, place.level
        began, admitted = self._clock.monotonic(), asyncio.get_running_loop().create_future()
        ticket = Ticket(place.flow, request.user.name, info, self._width(place, request, info), began, admitted)
        self._turn(level)
        if not level.wait(ticket):
            self._reject(level, schema, "queue-full" if level.for_seats is not None else "concurrency-limit")
            raise Rejected
        self._queue(ticket)
        if lost is not None:
            lost.append(admitted.cancel)
        try:
            ran = await admitted
        except asyncio.CancelledError:
            self._reject(level, schema, "cancelled")
            if ticket.seat is not None:
                ticket.seat.release()
            if admitted.cancelled() and not _cancelling():
                raise ConnectionResetError from None
            raise
        finally:
            del self._queued[ticket]
            if ticket.seat is None:
                level.forget(ticket)
            if lost is not None:
                lost.remove(admitted.cancel)
            self.waits.add(schema.name, level.name, ticket.seat is not None, self._clock.monotonic() - began)
        if not ran:
            self._reject(level, schema, "time-out")
            raise Rejected
        schema.dispatched += 1
        self._turn(level)
        seat: Seat = ticket.seat
        return seat

    def _queue(self, ticket: Ticket) -> None:
        """Its patience begins. There is one timer, for who has waited longest."""
        self._queued[ticket] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._patience, self._give_up)

    def _give_up(self) -> None:
        """For those who have waited too long."""
        self._timer = None
        bound = self._clock.monotonic() - self._patience
        for ticket in self._queued:
            if ticket.arrived > bound:
                self._timer = asyncio.get_running_loop().call_later(ticket.arrived - bound, self._give_up)
                return
            if not ticket.admitted.done():
                ticket.admitted.set_result(False)

    def _reject(self, level: Level, schema: Schema, reason: str) -> None:
        key = (schema.name, reason)
        level.rejected[key] = level.rejected.get(key, 0) + 1

    def _turn(self, level: Level) -> None:
        """See to it that the level's turn ends when the loop has gone round."""
        if level.exempt or level in self._begun:
            return
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._begun.add(level)

    def _end_turn(self) -> None:
        begun, self._begun = self._begun, set()
        for level in begun:
            level.end_turn()
            if level.begun:
                self._turn(level)

    async def run(self) -> None:
        """Lend and borrow seats."""
        while True:
            await self._clock.sleep(ROUND)
            if self._stale:
                self._load()
            self.lend()

    def lend(self) -> None:
        """One round of it."""
        for name, limit in share(list(self.levels.values()), self.total).items():
            level = self.levels[name]
            level.limit = limit
            if level.waiting:
                self._turn(level)

    def _load(self) -> None:
        """The objects as they are now. The mandatory ones hold even while they are not there."""
        self._stale = False
        found = {o.metadata.name: o for o in self._reader.list(v1.PriorityLevelConfiguration)}
        for tree in bootstrap.LEVELS:
            name = tree["metadata"]["name"]
            if name in bootstrap.MANDATORY and name not in found:
                found[name] = from_tree(v1.PriorityLevelConfiguration, tree)
        before, self.levels = self.levels, {}
        for name, obj in sorted(found.items()):
            self.levels[name] = before.pop(name) if name in before else Level(name, self._clock.monotonic)
            self.levels[name].configure(obj)
        shares = sum(level.shares for level in self.levels.values()) or 1
        for name, level in self.levels.items():
            level.bound(found[name], -(-self.total * level.shares // shares), self.total)
        for gone in before.values():  # what waits there is let in when its time comes; nothing new goes there
            if gone.waiting:
                self._turn(gone)
        self._load_schemas()

    def _load_schemas(self) -> None:
        counts = {s.name: s.dispatched for s in self.schemas}
        objects = {o.metadata.name: o for o in self._reader.list(v1.FlowSchema)}
        for tree in bootstrap.SCHEMAS:
            name = tree["metadata"]["name"]
            if name in bootstrap.MANDATORY and name not in objects:
                objects[name] = from_tree(v1.FlowSchema, tree)
        known = [Schema(o) for o in objects.values() if o.spec.priorityLevelConfiguration.name in self.levels]
        self.schemas = sorted(known, key=lambda s: (s.precedence, s.name))
        for schema in self.schemas:
            schema.dispatched = counts.get(schema.name, 0)
        self._places.clear()


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
