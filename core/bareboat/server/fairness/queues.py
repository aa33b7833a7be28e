"""The queues of one priority level: shuffle sharding in, fair dispatch out.

A flow is dealt a hand of queues by a hash of its name and waits in the least burdened one, so that a flood fills few queues and
most other flows keep one without it. Who is next is decided as upstream does: every queue has a virtual time at which its next
request would begin if all active queues shared the seats evenly; dispatching moves it on by a guess of the work, finishing
corrects the guess.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from bareboat.api.request import RequestInfo

#: The schema and the distinguisher.
Flow = tuple[str, str]
#: Seconds that a request is taken to last until it has ended.
GUESS = 0.003
#: Flows whose hands are remembered, and characters of a distinguisher at most.
KEPT, LONGEST = 128, 256


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that waits. ``admitted`` gets True when it may run and False when it waited too long."""

    flow: Flow
    user: str
    info: RequestInfo
    width: int
    arrived: float
    admitted: asyncio.Future[bool]
    queue: Queue | None = None
    #: what it got: a level's Seat
    seat: Any = None


@dataclass(slots=True, eq=False)
class Queue:
    """``begins`` is the virtual time at which its next request would begin. ``burden``: the requests that wait or run, and their seats."""

    index: int
    waiting: deque[Ticket] = field(default_factory=deque)
    executing: int = 0
    seats: int = 0
    begins: float = 0.0
    burden: int = 0


class Queues:
    """``number`` queues, hands of ``hand``, at most ``length`` requests in each."""

    def __init__(self, number: int, hand: int, length: int, now: Callable[[], float]) -> None:
        self.shape = (number, hand, length)
        self._now = now
        self._queues: dict[int, Queue] = {}
        self._active: dict[int, Queue] = {}
        #: of flows that waited lately
        self._hands: dict[Flow, list[Queue]] = {}
        self._virtual, self._seen = 0.0, now()
        self.waiting = 0
        self.waiting_seats = 0

    def __iter__(self) -> Iterator[Queue]:
        return iter([self._queues[i] for i in sorted(self._queues)])

    def enqueue(self, ticket: Ticket, limit: int) -> bool:
        """False: the queue is full."""
        length = self.shape[2]
        self._advance(limit)
        queue = min(self._hand(ticket.flow), key=_burden)
        if len(queue.waiting) >= length:
            return False
        if not queue.waiting and not queue.executing:
            queue.begins = max(queue.begins, self._virtual)
        queue.waiting.append(ticket)
        queue.burden += ticket.width + 1
        ticket.queue = queue
        self._active[queue.index] = queue
        self.waiting += 1
        self.waiting_seats += ticket.width
        return True

    def dispatch(self, fits: Callable[[Ticket], bool], limit: int) -> Ticket | None:
        """The next request that fits, now executing; None if none does."""
        if not self.waiting:
            return None
        self._advance(limit)
        for queue in sorted([q for q in self._active.values() if q.waiting], key=_begins):
            ticket = queue.waiting[0]
            if fits(ticket):
                queue.waiting.popleft()
                self.waiting -= 1
                self.waiting_seats -= ticket.width
                queue.begins += max(1, ticket.width) * GUESS
                queue.executing += 1
                queue.seats += ticket.width
                return ticket
        return None

    def drop(self, ticket: Ticket) -> None:
        """It waits no more."""
        queue = ticket.queue
        if queue is None or ticket not in queue.waiting:
            return
        queue.waiting.remove(ticket)
        queue.burden -= ticket.width + 1
        self.waiting -= 1
        self.waiting_seats -= ticket.width
        self._settle(queue)

    def finish(self, queue: Queue, width: int, seconds: float) -> None:
        queue.executing -= 1
        queue.seats -= width
        queue.burden -= width + 1
        queue.begins += max(1, width) * (seconds - GUESS)
        self._settle(queue)

    def _settle(self, queue: Queue) -> None:
        if not queue.waiting and not queue.executing:
            self._active.pop(queue.index, None)

    def _hand(self, flow: Flow) -> list[Queue]:
        found = self._hands.get(flow)
        if found is None:
            number, hand, _ = self.shape
            found = [self._queue(card) for card in deal(flow, number, hand)]
            if len(flow[1]) <= LONGEST:  # of a stranger's invention nothing is kept
                if len(self._hands) >= KEPT:
                    self._hands.clear()
                self._hands[flow] = found
        return found

    def _queue(self, index: int) -> Queue:
        found = self._queues.get(index)
        if found is None:
            found = self._queues[index] = Queue(index)
        return found

    def _advance(self, limit: int) -> None:
        """Virtual time goes on by what each active queue would have got."""
        now = self._now()
        if self._active:
            demand = min(limit, sum([q.burden for q in self._active.values()]))
            self._virtual += (now - self._seen) * demand / len(self._active)
        self._seen = now


_burden, _begins = attrgetter("burden"), attrgetter("begins")


def deal(flow: Flow, deck: int, hand: int) -> list[int]:
    """``hand`` different cards of ``deck``, always the same for a flow."""
    digest = hashlib.sha256(f"{len(flow[0])},{flow[0]}{flow[1]}".encode()).digest()
    value = int.from_bytes(digest[:16], "little")
    cards: list[int] = []
    for left in range(deck, deck - min(hand, deck), -1):
        value, card = divmod(value, left)
        for earlier in sorted(cards):
            card += card >= earlier
        cards.append(card)
    return cards
