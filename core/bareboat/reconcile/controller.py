"""The base of controllers: informers feed keys into a queue, workers reconcile keys, failures come back later.

A reconcile reads the present state and makes one step towards the wanted one; it never relies on what an event said.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client.client import Client
from bareboat.models.status import AlreadyExists, ApiError, Conflict
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import Informer, InformerFactory
from bareboat.reconcile.queue import IN_A_ROW, WorkQueue

log = logging.getLogger("bareboat.controller")
Mapper = Callable[[str, Any], Iterable[str]]


#: Up to so many dependents every change is looked at at once; of more, for so many seconds each, but never longer than this.
FEW, PACE, LONGEST_PACE = 16, 0.002, 1.0


class Terminal(Exception):
    """Trying again cannot help until the object changes."""


class ControllerContext:
    """What a controller works with; the client carries the controller's own identity."""

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock, ids: Ids, events: EventRecorder) -> None:
        self.client = client
        self.informers = informers
        self.clock = clock
        self.ids = ids
        self.events = events


class Controller(ABC):
    """Subclasses say what they watch in ``setup`` and what they do in ``reconcile``."""

    name: ClassVar[str]
    workers: ClassVar[int] = 2
    #: keys that are reconciled before others have their turn: fewer where one may take milliseconds
    in_a_row: ClassVar[int] = IN_A_ROW

    def __init__(self, context: ControllerContext) -> None:
        self.context = context
        self.client = context.client
        self.clock = context.clock
        self.events = context.events
        self.queue = WorkQueue(context.ids.fraction, self.in_a_row)
        self._needs: list[Informer[Any]] = []
        self._sizes: dict[str, int] = {}
        self.setup(context.informers)

    @abstractmethod
    def setup(self, informers: InformerFactory) -> None:
        """Declare informers with ``watch``; nothing may be read yet."""

    @abstractmethod
    async def reconcile(self, key: str) -> float | None:
        """One step for ``key``. Seconds until it is wanted again, or None. Raising means: again, later."""

    def watch(self, informer: Informer[Any], mapper: Mapper | None = None, view: Any = None) -> Informer[Any]:
        """Enqueue the object's own key on every change, or the keys that ``mapper(key, object)`` gives for its old and new state.

        With ``view``, a Struct of the few fields that the mapper reads, only those are decoded.
        """
        self._needs.append(informer)

        if mapper is None:
            informer.on_change(lambda key, _old, _new: self.queue.add(key))
            return informer

        def changed(key: str, old: Any, new: Any) -> None:
            for obj in (old, new) if old is not new else (new,):
                if obj is not None:
                    for target in mapper(key, obj):
                        self.queue.add_after(target, self.pace(target))

        informer.on_view(changed, view)
        return informer

    def note_size(self, key: str, dependents: int) -> None:
        """How many objects a reconcile of ``key`` has to read: changes of many are gathered, or their number would count twice."""
        if dependents > FEW:
            self._sizes[key] = dependents
        else:
            self._sizes.pop(key, None)

    def pace(self, key: str) -> float:
        """Seconds to gather changes of the dependents of ``key``; 0 for few."""
        return min(LONGEST_PACE, PACE * self._sizes.get(key, 0))

    async def run(self) -> None:
        """Until cancelled."""
        for informer in self._needs:
            await informer.synced()
        async with asyncio.TaskGroup() as group:
            for number in range(self.workers):
                group.create_task(self._work(), name=f"{self.name}-{number}")
            group.create_task(self.background(), name=f"{self.name}-background")

    async def background(self) -> None:
        """Periodic work beside the queue, if there is any."""

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                again = await self.reconcile(key)
            except Terminal as error:
                log.warning("%s %s: %s", self.name, key, error)
                self.queue.forget(key)
            except (Conflict, AlreadyExists) as error:
                log.debug("%s %s: %s", self.name, key, error)
                self.queue.add_rate_limited(key)
            except ApiError as error:
                log.warning("%s %s: %s", self.name, key, error)
                self.queue.add_rate_limited(key)
            except Exception:
                log.exception("%s %s failed", self.name, key)
                self.queue.add_rate_limited(key)
            else:
                self.queue.forget(key)
                if again is not None:
                    self.queue.add_after(key, again)
            finally:
                self.queue.done(key)
