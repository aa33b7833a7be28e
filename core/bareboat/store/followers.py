"""Those who have all that was published under a prefix and wait for what comes next, thousands of them perhaps.

In: changes, put here once for all. Out: bytes, made once for all who stand at the same place, given to a few followers at a time, to
those first who have waited longest. Nobody has a buffer: who has been given everything stands behind all others in a group whose place
is the end of what was published. Who cannot take more leaves, and takes along what it has not been given (store.broadcast.Subscription).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from bareboat.store.entry import Change

if TYPE_CHECKING:
    from bareboat.store.broadcast import Subscription

#: Takes bytes; False: no more for now. It must not raise.
Offer = Callable[[Sequence[bytes]], bool]
#: What followers are given of changes.
Make = Callable[[Sequence[Change]], Sequence[bytes]]


class _Group:
    """Followers who were given as many changes, in the order in which that was; the last one had this revision."""

    __slots__ = ("given", "members", "revision")

    def __init__(self, given: int, revision: int) -> None:
        self.given = given
        self.revision = revision
        self.members: dict[Subscription, Offer] = {}


class Followers:
    """Of one prefix. All of them want what ``make`` makes of changes."""

    def __init__(self, make: Make) -> None:
        self._make = make
        #: those who were given least first; the places of no two are the same
        self._groups: deque[_Group] = deque()
        #: what somebody has still to be given, how many came before it, and after it
        self._changes: list[Change] = []
        self._start = self._end = 0
        #: for whom something was made last, up to where, and what
        self._made: tuple[int, int, Sequence[bytes]] = (0, 0, ())

    @property
    def waiting(self) -> int:
        """How many have not been given everything."""
        return sum(len(group.members) for group in self._groups if group.given < self._end)

    @property
    def busy(self) -> bool:
        return self._start < self._end

    def __len__(self) -> int:
        return sum(len(group.members) for group in self._groups)

    def put(self, change: Change) -> None:
        self._changes.append(change)
        self._end += 1

    def join(self, subscription: Subscription, offer: Offer) -> None:
        """Who has all that was published."""
        self._latest(subscription.seen).members[subscription] = offer

    def leave(self, subscription: Subscription) -> tuple[int, list[Change]]:
        """The revision up to which it has everything, as far as it is known here, and what it has not been given."""
        for group in self._groups:
            if group.members.pop(subscription, None) is not None:
                missed = self._changes[group.given - self._start :]
                self._forget()
                return group.revision, missed
        return 0, []

    def serve(self, most: int) -> int:
        """Give what there is to so many at most; how many it were."""
        if not self.busy:
            return 0
        group, latest = self._groups[0], self._latest(self._changes[-1].revision)
        if self._made[:2] != (group.given, self._end):
            self._made = (group.given, self._end, self._make(self._changes[group.given - self._start :]))
        some, made = list(islice(group.members.items(), most)), self._made[2]
        for subscription, offer in some:
            if group.members.pop(subscription, None) is not None:
                latest.members[subscription] = offer
                if not offer(made):
                    subscription.stall()
        self._forget()
        return len(some)

    def _latest(self, revision: int) -> _Group:
        """Of those who were given everything."""
        if not self._groups or self._groups[-1].given < self._end:
            self._groups.append(_Group(self._end, revision))
        return self._groups[-1]

    def _forget(self) -> None:
        """What everybody has been given."""
        while self._groups and not self._groups[0].members:
            self._groups.popleft()
        start = self._groups[0].given if self._groups else self._end
        if start > self._start:
            del self._changes[: start - self._start]
            self._start = start
        if not self.busy:
            self._made = (0, 0, ())
