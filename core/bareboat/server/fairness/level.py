"""One priority level: its seats, its share of each turn of the event loop, and who waits for either.

Upstream's seats bound how many requests run at once. Here requests run on one event loop, and two things can be used up:

* **seats**, by requests that wait for something while they run (a commit, a webhook, another server, a slow reader). They are
  taken before such a request begins and given back when it has been answered;
* **turns**: what a level may begin in one turn of the loop. A read that is answered from memory never waits, so it needs no
  seat, but a flood of such reads is carried out over many turns, between which everybody else is served.

One flow never gets all seats of a level: it may hold at most twice what is still free (so two thirds of an idle level, two
fifths beside a second flood and so on), and there is room for whoever comes next even when a hung webhook keeps every request of
a tenant for half a minute. Levels that reject instead of queueing, and flows without a distinguisher, have no such bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bareboat.models import flowcontrol_v1 as v1
from bareboat.server.fairness.queues import Flow, Queue, Queues, Ticket

#: Requests that all levels together may begin in one turn: some ten milliseconds.
TURN: Final = 128
#: A level may always begin so many.
LEAST_TURN: Final = 4
#: What a read counts that is answered before its connection has been left.
GLANCE: Final = 0.25


class Seat:
    """What a running request holds."""

    __slots__ = ("began", "flow", "level", "queue", "width")

    def __init__(self, level: Level, flow: Flow, width: int, queue: Queue | None = None, began: float = 0.0) -> None:
        self.level = level
        self.flow = flow
        self.width = width
        self.queue = queue
        self.began = began

    def release(self) -> None:
        """Once, when the request has been answered."""
        self.level.free(self)


class Level:
    """``configure`` may be called again at any time: what runs goes on, what waits is dealt anew."""

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.name = name
        self.uid = ""
        self._now = now
        self.exempt = False
        self.shares = self.nominal = self.lower = self.upper = self.limit = 0
        self.turns = LEAST_TURN
        self.used = self.executing = 0
        self.begun = 0.0
        self.held: dict[Flow, int] = {}
        #: for requests that need seats, and for those that need but a turn
        self.for_seats: Queues | None = None
        self.for_turns: Queues | None = None
        self.rejected: dict[tuple[str, str], int] = {}
        #: the most seats that were wanted at once since the limits were last worked out
        self.peak = 0
        self.smoothed = 0.0

    def configure(self, obj: v1.PriorityLevelConfiguration) -> None:
        self.uid = obj.metadata.uid
        self.exempt = obj.spec.type == "Exempt"
        own = obj.spec.exempt if self.exempt else obj.spec.limited
        self.shares = (own.nominalConcurrencyShares or 0) if own is not None else 0
        queuing = obj.spec.limited.limitResponse.queuing if obj.spec.limited is not None else None
        shape = None if queuing is None else (queuing.queues or 64, queuing.handSize or 8, queuing.queueLengthLimit or 50)
        self.for_seats = self._shaped(self.for_seats, shape)
        self.for_turns = self._shaped(self.for_turns, shape)

    def bound(self, obj: v1.PriorityLevelConfiguration, nominal: int, total: int) -> None:
        """Its seats, and how far lending and borrowing may move them."""
        own = obj.spec.exempt if self.exempt else obj.spec.limited
        lendable = (own.lendablePercent or 0) if own is not None else 0
        borrowing = obj.spec.limited.borrowingLimitPercent if obj.spec.limited is not None else None
        self.nominal = nominal
        self.lower = nominal - round(nominal * lendable / 100)
        self.upper = total if borrowing is None else min(total, nominal + round(nominal * borrowing / 100))
        self.limit = nominal
        # not of the limit, which follows the seats that are wanted: most reads take none
        self.turns = max(LEAST_TURN, round(TURN * nominal / max(1, total)))

    def _shaped(self, queues: Queues | None, shape: tuple[int, int, int] | None) -> Queues | None:
        if queues is not None and queues.shape == shape:
            return queues
        fresh = Queues(*shape, self._now) if shape is not None else None
        for ticket in [t for q in queues or () for t in q.waiting]:
            taken = fresh is not None and fresh.enqueue(ticket, self.limit)
            if not taken and not ticket.admitted.done():
                ticket.admitted.set_result(False)
        return fresh

    def take(self, flow: Flow, width: int) -> Seat | None:
        """A seat if the request may run now; ``width`` 0 is a request that needs a turn only. None: it has to wait."""
        if not self.exempt:
            queues = self.for_seats if width else self.for_turns
            if queues is not None and (self.begun >= self.turns or queues.waiting):
                return None
            if width and not self._fits(flow, width):
                return None
        return self.seat(flow, width)

    def glance(self) -> bool:
        """Begin what is over at once and takes a fraction of what others take; False: it has to wait."""
        queues = self.for_turns
        if queues is not None and (self.begun >= self.turns or queues.waiting):
            return False
        self.begun += GLANCE
        return True

    def seat(self, flow: Flow, width: int, queue: Queue | None = None, began: float = 0.0) -> Seat:
        self.begun += 1
        self.executing += 1
        if width:
            self.used += width
            self.peak = max(self.peak, self.used)
            self.held[flow] = self.held.get(flow, 0) + width
        return Seat(self, flow, width, queue, began)

    def _fits(self, flow: Flow, width: int) -> bool:
        free = self.limit - self.used
        if width > free and (self.used or not self.limit):
            return False  # what is wider than the level runs alone
        return not (self.for_seats is not None and flow[1] and self.held.get(flow, 0) >= 2 * max(1, free))

    def free(self, seat: Seat) -> None:
        self.executing -= 1
        width = seat.width
        if width:
            self.used -= width
            left = self.held[seat.flow] - width
            if left:
                self.held[seat.flow] = left
            else:
                del self.held[seat.flow]
        if seat.queue is not None:
            queues = self.for_seats if width else self.for_turns
            if queues is not None:
                queues.finish(seat.queue, width, self._now() - seat.began)
        if self.waiting:
            self.pump()

    @property
    def waiting(self) -> int:
        return (self.for_seats.waiting if self.for_seats is not None else 0) + (self.for_turns.waiting if self.for_turns is not None else 0)

    @property
    def demand(self) -> int:
        return self.used + (self.for_seats.waiting_seats if self.for_seats is not None else 0)

    def wait(self, ticket: Ticket) -> bool:
        """Queue it; False: there is no queue, or it is full."""
        queues = self.for_seats if ticket.width else self.for_turns
        if queues is None or not queues.enqueue(ticket, self.limit):
            return False
        self.peak = max(self.peak, self.demand)
        return True

    def forget(self, ticket: Ticket) -> None:
        for queues in (self.for_seats, self.for_turns):
            if queues is not None:
                queues.drop(ticket)

    def end_turn(self) -> None:
        self.begun = 0.0
        if self.waiting:
            self.pump()

    def pump(self) -> None:
        """Admit what waits and fits now. Who is admitted takes the seat at once, not when it next runs."""
        for queues, needs in ((self.for_turns, False), (self.for_seats, True)):
            while queues is not None and (self.exempt or self.begun < self.turns):
                ticket = queues.dispatch(self._may_sit if needs else _always, self.limit)
                if ticket is None:
                    break
                ticket.seat = self.seat(ticket.flow, ticket.width, ticket.queue, self._now())
                if not ticket.admitted.done():
                    ticket.admitted.set_result(True)
                else:
                    ticket.seat.release()

    def _may_sit(self, ticket: Ticket) -> bool:
        return self.exempt or self._fits(ticket.flow, ticket.width)


def _always(ticket: Ticket) -> bool:
    del ticket
    return True
