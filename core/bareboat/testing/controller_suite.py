"""The rules of controllers from plugins, in a world: they come up, survive what they read, and leave the API alone when nothing changes.

class TestMyController(ControllerSuite):
    controller = MyController

    async def busy(self, world):
        await world.apply(...)      # something that it acts on
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from bareboat.contracts.hooks import hookimpl
from bareboat.reconcile.controller import Controller
from bareboat.testing.world import World

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "suite"}, "data": {"a": "b"}}


class ControllerSuite:
    """Each rule has a world of its own in which the controller runs beside the kernel's own."""

    controller: ClassVar[Any]
    group: ClassVar[str] = "bareboat_controllers"

    async def busy(self, world: World) -> None:
        """Make something that the controller acts on."""
        await world.apply(CONFIG)

    @pytest_asyncio.fixture
    async def world(self) -> AsyncIterator[World]:
        contributed = ModuleType("suite")
        vars(contributed)["bareboat_controllers"] = hookimpl(lambda: [self.controller])
        async with World(nodes=0, plugins=[contributed]) as made:
            yield made

    def test_it_is_a_controller_with_a_name(self) -> None:
        assert issubclass(self.controller, Controller)
        assert self.controller.name

    @pytest.mark.virtual_time
    async def test_it_works_without_a_crash(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR):
            await self.busy(world)
            await world.advance(30)
        assert not [r for r in caplog.records if r.exc_info], caplog.text

    @pytest.mark.virtual_time
    async def test_it_comes_to_rest(self, world: World) -> None:
        """A controller that writes whenever it looks never ends."""
        await self.busy(world)
        await world.advance(120)
        before = world.revision
        await world.advance(120)
        assert world.revision - before < 30, f"{world.revision - before} writes in two minutes in which nobody asked for anything"

    @pytest.mark.virtual_time
    async def test_it_survives_refusals(self, world: World) -> None:
        name = f"system:serviceaccount:kube-system:{self.controller.name}"
        for code in (409, 429, 500):
            world.faults.fail("*", code=code, times=2, of=name)
        await self.busy(world)
        await world.advance(120)
        world.faults.clear()
        await self.busy(world)
        await world.advance(60)
