"""Those who have all that was published under a prefix and wait for what comes next, thousands of them perhaps.

In: changes, put here once for all. Out: in each round one ``Batch`` for everybody, in turn. What comes during a round waits for the next
one, so all stand at the same place but for who was served in this round, and of nobody a position or a buffer is kept. Who cannot take
a batch at once leaves, and takes along what it has not been given (store.broadcast.Subscription).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from bareboat.store.entry import Change

if TYPE_CHECKING:
    from bareboat.store.broadcast import Subscription


class Batch:
    """Changes in revision order; ``made`` is what the first of its readers made of them, for the others."""

    __slots__ = ("changes", "made")

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self.made: list[bytes] | None = None


#: Takes a batch; it must not raise.
Deliver = Callable[[Batch], None]


class Followers:
    """Of one prefix."""

    def __init__(self) -> None:
        #: of this round: who is still to be served, and who was; between two rounds all were
        self._due: dict[Subscription, Deliver] = {}
        self._served: dict[Subscription, Deliver] = {}
        #: who came during the round: they are told the usual way until it is over
        self._joining: dict[Subscription, Deliver] = {}
        self._batch = Batch(())
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

    def join(self, subscription: Subscription, deliver: Deliver) -> bool:
        """Who has all that was published; False: it is one of them when the round is over."""
        if self.busy:
            self._joining[subscription] = deliver
            return False
        self._served[subscription] = deliver
        return True

    def leave(self, subscription: Subscription) -> tuple[int, list[Change]]:
        """The revision up to which it has everything, as far as it is known here, and what it has not been given."""
        if self._joining.pop(subscription, None) is not None:
            return 0, []
        if self._due.pop(subscription, None) is not None:
            return self._before, [*self._batch.changes, *self._next]
        if self._served.pop(subscription, None) is not None:
            return self._revision, self._next.copy()
        return 0, []

    def serve(self, most: int) -> int:
        """Give the batch to so many at most; how many it were."""
        if not self._due:
            self._begin()
        some, batch = list(islice(self._due.items(), most)), self._batch
        for subscription, deliver in some:
            if self._due.pop(subscription, None) is not None:
                self._served[subscription] = deliver
                deliver(batch)
        if not self._due:
            self._before, self._batch = self._revision, Batch(())
        return len(some)

    def _begin(self) -> None:
        """A round with what came during the last one. Who joined meanwhile was told of all that itself."""
        self._batch, self._next = Batch(self._next), []
        self._due, self._served, self._joining = self._served, self._joining, {}
        for subscription, deliver in tuple(self._served.items()):
            changes = subscription.joined()
            if changes:
                deliver(Batch(changes))

    @property
    def _revision(self) -> int:
        """Of the last change that who was served has been given."""
        return self._batch.changes[-1].revision if self._batch.changes else self._before
