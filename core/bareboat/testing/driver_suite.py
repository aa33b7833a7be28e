"""The rules of every driver, whatever its contract: the class is one that the kernel loads, and its life cycle is as promised.

What comes in: a subclass that names ``driver_class`` (and ``options``, if the defaults do not do). What goes out: one test per verb that
has to be written, and the rules of ``contracts.driver``. While verbs are missing all other rules wait, so that what is to be done next is
what fails. The suites of the contracts build upon it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from bareboat.contracts.driver import Driver, Health
from bareboat.plugins.checks import BASES, driver_faults, meaning, missing_verbs
from bareboat.testing.host import FakeHost

DRIVER: Any = Driver


def round_trips(value: msgspec.Struct) -> bool:
    """Whether the value survives the wire: every value of a contract may cross a process boundary."""
    return bool(msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value)


class Soundness:
    """The class itself. ``driver_class`` None: the suite's own factory makes the drivers, and only the class it makes is looked at."""

    driver_class: ClassVar[Any] = None
    options: ClassVar[dict[str, Any]] = {}
    group: ClassVar[str] = ""

    @classmethod
    def verbs(cls) -> list[str]:
        """That a driver of the contract has to have."""
        return missing_verbs(BASES[cls.group]) if cls.group in BASES else []

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "verb" in metafunc.fixturenames:
            metafunc.parametrize("verb", type(self).verbs())

    @classmethod
    def missing(cls) -> list[str]:
        """Verbs that are still to be written."""
        return missing_verbs(cls.driver_class) if cls.driver_class is not None else []

    @pytest.fixture(autouse=True)
    def _verbs_first(self, request: pytest.FixtureRequest) -> None:
        missing = self.missing()
        if missing and request.node.originalname not in ("test_the_verb_is_written", "test_the_class_is_one_that_the_kernel_loads"):
            pytest.skip(f"waits for the missing verbs: {', '.join(missing)}")

    def test_the_verb_is_written(self, verb: str) -> None:
        base = BASES[self.group]
        assert verb not in self.missing(), f"verb {verb} is missing: {meaning(base, verb)}"

    def test_the_class_is_one_that_the_kernel_loads(self) -> None:
        if self.driver_class is not None:
            faults = [f for f in driver_faults(self.group, self.driver_class) if not f.startswith("verb ") or " is missing" not in f]
            assert faults == [], "\n".join(faults)

    def make_driver(self, host: Any) -> Any:
        """A new driver, as a new process would make it."""
        if self.driver_class is None:
            raise NotImplementedError("name your driver: driver_class = MyDriver, or write make_driver(host)")
        return self.driver_class(msgspec.convert(self.options, self.driver_class.Options), host)

    def make_host(self, directory: Path) -> FakeHost:
        return FakeHost(directory)


class DriverSuite(Soundness):
    """``driver`` is an open driver; ``again`` is what a new process makes of the same directories."""

    @pytest.fixture
    def host(self, tmp_path: Path) -> FakeHost:
        return self.make_host(tmp_path)

    @pytest_asyncio.fixture
    async def driver(self, host: FakeHost) -> AsyncIterator[Any]:
        made = self.make_driver(host)
        self._successors: list[Any] = []
        await made.open()
        yield made
        await self.clean_up(made)
        for one in (made, *self._successors):
            await one.close()

    async def clean_up(self, driver: Any) -> None:
        """Undo what a test left; the driver is open."""
        if hasattr(driver, "teardown"):
            await driver.teardown()

    async def again(self, driver: Any) -> Any:
        """What an agent that was restarted has: nothing but the host's directories carries over."""
        await driver.close()
        made = self.make_driver(self.make_host(driver.host.state_dir.parent))
        self._successors.append(made)
        await made.open()
        return made

    async def test_the_driver_says_how_it_is(self, driver: Any) -> None:
        health = await driver.status()
        assert isinstance(health, Health)
        assert health.ready or health.reason

    async def test_opening_and_closing_twice_is_fine(self, driver: Any) -> None:
        await driver.open()
        await driver.close()
        await driver.close()
        await driver.open()
        assert isinstance(await driver.status(), Health)

    async def test_capabilities_cross_a_process_boundary(self, driver: Any) -> None:
        capabilities = getattr(driver, "capabilities", None)
        assert capabilities is None or round_trips(capabilities)
