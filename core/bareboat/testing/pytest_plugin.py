"""What pytest gets from Bareboat: the fixtures ``world``, ``worlds`` and ``live_world``, and virtual time for the tests that use them.

Loaded by its entry point wherever Bareboat is installed, so importing it costs nothing: worlds are imported when a test asks for one.
A test that uses ``world`` or ``worlds`` runs on an event loop of virtual time, unless it is marked ``real_time``; all other tests keep
the event loop that they have. ``@pytest.mark.world(nodes=3, rbac=True)`` gives a fixture the arguments of ``World``.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bareboat.testing.world import LiveWorld, World

async_fixture: Any = pytest.fixture
if importlib.util.find_spec("pytest_asyncio"):  # synchronous tests need no more than pytest
    import pytest_asyncio

    async_fixture = pytest_asyncio.fixture

MARKERS = (
    "world(**options): arguments of bareboat.testing.world.World for the world, worlds and live_world fixtures",
    "virtual_time: runs on an event loop whose clock jumps when nothing is ready",
    "real_time: a test with the world fixture that runs in real time, as serving HTTP needs it",
)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time for the tests marked so and those that use a world."""
    uses_world = {"world", "worlds"} & set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("virtual_time") or (uses_world and not item.get_closest_marker("real_time")):
        from bareboat.testing.virtual_time import VirtualTimeLoop

        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}


def options_of(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the nearest ``world`` mark says."""
    mark = request.node.get_closest_marker("world")
    return dict(mark.kwargs) if mark is not None else {}


@async_fixture  # type: ignore[untyped-decorator]
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A cluster in memory, in virtual time: see bareboat.testing.world.World."""
    from bareboat.testing.world import World

    async with World(**options_of(request)) as made:
        yield made


@async_fixture  # type: ignore[untyped-decorator]
async def worlds(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Any]]:
    """``await worlds(nodes=2)`` makes a further cluster in this process; all of them end with the test."""
    from bareboat.testing.world import World

    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> World:
            return await stack.enter_async_context(World(**{**options_of(request), **options}))

        yield make


@pytest.fixture
def live_world(request: pytest.FixtureRequest) -> Iterator[LiveWorld]:
    """A cluster in memory on a thread of its own, in real time, served over HTTPS: see bareboat.testing.world.LiveWorld."""
    from bareboat.testing.world import LiveWorld

    with LiveWorld(**options_of(request)) as made:
        yield made
