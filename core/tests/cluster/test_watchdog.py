"""A plugin that blocks the event loop is found and named."""

import asyncio
import logging
import time
import types

import pytest

from bareboat.base.clock import SystemClock
from bareboat.cluster.watchdog import Watchdog, holder


@pytest.fixture
async def watchdog():
    watchdog = Watchdog(SystemClock(), patience=0.2)
    task = asyncio.create_task(watchdog.run())
    await asyncio.sleep(0.05)
    yield watchdog
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def plugin():
    """A module of a plugin, with a function that blocks."""
    module = types.ModuleType("bareboat_slow_thing.plugin")
    module.__dict__["sleep"] = time.sleep
    exec("def block(seconds):\n    sleep(seconds)\n", module.__dict__)
    return module


async def test_a_plugin_that_blocks_is_named_with_its_stack(watchdog, plugin, caplog):
    with caplog.at_level(logging.WARNING, "bareboat.watchdog"):
        plugin.block(0.6)
        await asyncio.sleep(0.3)
    first, *_, last = [record.getMessage() for record in caplog.records]
    assert "plugin slow-thing holds it" in first
    assert "in block" in first
    assert last.startswith("the event loop goes on: plugin slow-thing held it for 0.")
    assert watchdog.blocked == {"plugin slow-thing": 1}
    assert 0.3 < watchdog.seconds["plugin slow-thing"] < 1
    samples = [s for family in watchdog.collect() for s in family.samples if s.name == "bareboat_loop_blocked_total"]
    assert [(s.labels, s.value) for s in samples] == [({"holder": "plugin slow-thing"}, 1)]


async def test_a_loop_that_runs_is_left_alone(watchdog, caplog):
    await asyncio.sleep(0.6)
    assert watchdog.blocked == {}
    assert not caplog.records


def test_without_a_plugin_the_kernel_s_module_is_named():
    assert holder(None) == "nobody"
