"""A world on a thread and an event loop of its own, in real time, served over HTTPS: for synchronous tests and blocking clients.

In: what ``World`` takes. Out: the same verbs, without await, and ``url`` and ``kubeconfig`` for whatever is under test.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from bareboat.testing.world.faults import Faults
from bareboat.testing.world.things import Selection, Thing
from bareboat.testing.world.world import World

T = TypeVar("T")
#: Real seconds.
PATIENCE = 60.0


class LiveWorld:
    """``with LiveWorld() as world``. ``world.inner`` is the World; ``call`` runs any coroutine of it."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bareboat-world", daemon=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> Self:
        self._thread.start()
        try:
            self.inner: World = self.call(self._begin())
        except BaseException:
            self._end()
            raise
        return self

    async def _begin(self) -> World:
        world = await World(**self._options).start()
        await world.serve()
        return world

    def stop(self) -> None:
        """Twice is fine."""
        if self._thread.is_alive():
            try:
                self.call(self.inner.stop())
            finally:
                self._end()

    def _end(self) -> None:
        self.call(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on the world's loop and wait."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def kubeconfig(self) -> Path:
        return self.inner.kubeconfig

    @property
    def faults(self) -> Faults:
        return self.inner.faults

    def apply(self, *sources: Any) -> list[Thing]:
        return self.call(self.inner.apply(*sources))

    def create(self, source: Any) -> Thing:
        return self.call(self.inner.create(source))

    def get(self, reference: str) -> Thing:
        return self.call(self.inner.get(reference))

    def list(self, reference: str) -> Selection:
        return self.call(self.inner.list(reference))

    def exists(self, reference: str) -> bool:
        return self.call(self.inner.exists(reference))

    def delete(self, reference: str, **options: Any) -> None:
        self.call(self.inner.delete(reference, **options))

    def patch(self, reference: str, patch: Any, **options: Any) -> Thing:
        return self.call(self.inner.patch(reference, patch, **options))

    def status(self, reference: str, **fields: Any) -> Thing:
        return self.call(self.inner.status(reference, **fields))

    def scale(self, reference: str, replicas: int) -> Thing:
        return self.call(self.inner.scale(reference, replicas))

    def set_image(self, reference: str, image: str, container: str = "") -> Thing:
        return self.call(self.inner.set_image(reference, image, container))

    def events(self, reference: str = "") -> Selection:
        return self.call(self.inner.events(reference))

    def logs(self, reference: str, container: str = "") -> str:
        return self.call(self.inner.logs(reference, container))

    def until(self, wanted: str | Callable[[], Any], timeout: float = PATIENCE) -> Any:
        """A callable runs on the world's loop: it must not block."""
        return self.call(self.inner.until(wanted, timeout))

    def history(self, reference: str, *, quiet: float = 2.0, through: str = "") -> Iterator[Selection]:
        states = self.inner.history(reference, quiet=quiet, through=through)
        while (state := self.call(_next(states))) is not None:
            yield state

    def lose_node(self, name: str) -> None:
        self.call(self.inner.lose_node(name))

    def find_node(self, name: str) -> None:
        self.call(self.inner.find_node(name))


async def _next(states: AsyncIterator[Selection]) -> Selection | None:
    return await anext(states, None)
