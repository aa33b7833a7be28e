"""Those who have all that was published under a prefix and wait for what comes next, thousands of them perhaps.

In: changes, put here once for all. Out: in each round the same bytes for everybody, in turn. What comes during a round waits for the
next one, so all stand at the same place but for who was served in this round, and of nobody a position or a buffer is kept. Who cannot
take more leaves, and takes along what it has not been given (store.broadcast.Subscription).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from bareboat.store.entry import Change

if TYPE_CHECKING:
    from bareboat.store.broadcast import Subscription


#: Takes the bytes of a round; False: no more for now. It must not raise.
Offer = Callable[[Sequence[bytes]], bool]
#: What followers are given of changes.
Make = Callable[[Sequence[Change]], Sequence[bytes]]


class Followers:
    """Of one prefix. All of them want what ``make`` makes of changes."""

    def __init__(self, make: Make) -> None:
        self._make = make
        #: of this round: who is still to be served, and who was; between two rounds all were
        self._due: dict[Subscription, Offer] = {}
        self._served: dict[Subscription, Offer] = {}
        #: who came during the round: they are told the usual way until it is over
        self._joining: dict[Subscription, Offer] = {}
        self._batch: Sequence[Change] = ()
        self._made: Sequence[bytes] = ()
        self._before = 0
        self._next: list[Change] = []

    @property
    def busy(self) -> bool:
        """A round goes on, or the next can begin."""
        return bool(self._due or self._next)

    def __len__(self) -> int:
        return len(self._due) + len(self._served) + len(self._joining)

    @property
    def waiting(self) -> int:
        """How many this round, or the next one, has still to serve."""
        return len(self._due) or len(self._served)

    def put(self, change: Change) -> None:
        self._next.append(change)

    def join(self, subscription: Subscription, offer: Offer) -> bool:
        """Who has all that was published; False: it is one of them when the round is over."""
        if self.busy:
            self._joining[subscription] = offer
            return False
        self._served[subscription] = offer
        return True

    def leave(self, subscription: Subscription) -> tuple[int, list[Change]]:
        """The revision up to which it has everything, as far as it is known here, and what it has not been given."""
        if self._joining.pop(subscription, None) is not None:
            return 0, []
        if self._due.pop(subscription, None) is not None:
            return self._before, [*self._batch, *self._next]
        if self._served.pop(subscription, None) is not None:
            return self._revision, self._next.copy()
        return 0, []

    def serve(self, most: int) -> int:
        """Give the batch to so many at most; how many it were."""
        if not self._due:
            self._begin()
        some, made = list(islice(self._due.items(), most)), self._made
        for subscription, offer in some:
            if self._due.pop(subscription, None) is not None:
                self._served[subscription] = offer
                if not offer(made):
                    subscription.stall()
        if not self._due:
            self._before, self._batch, self._made = self._revision, (), ()
        return len(some)

    def _begin(self) -> None:
        """A round with what came during the last one. Who joined meanwhile was told of all that itself."""
        self._batch, self._next = self._next, []
        self._made = self._make(self._batch)
        self._due, self._served, self._joining = self._served, self._joining, {}
        for subscription, offer in tuple(self._served.items()):
            changes = subscription.joined()
            if changes and not offer(self._make(changes)):
                subscription.stall()

    @property
    def _revision(self) -> int:
        """Of the last change that who was served has been given."""
        return self._batch[-1].revision if self._batch else self._before
