"""Drivers that misbehave in every way: the caller stays up, is told which plugin it was and why, and goes on when the plugin does."""

import asyncio
import threading
import time

import pytest

from bareboat.contracts.driver import Health, PluginInfo
from bareboat.contracts.errors import DriverError, InvalidConfig
from bareboat.contracts.proxy import ProxyDriver
from bareboat.plugins.running import guard, guarded, thread

LABEL = "proxy bad (bad-dist 1.0)"


class BadProxy(ProxyDriver):
    """``state`` says what goes wrong: a function, called by every verb."""

    info = PluginInfo(name="bad", summary="", contract="bareboat.proxy.v1")
    behave = staticmethod(lambda: None)
    failing_constructor = None

    def __init__(self, options=None, host=None):
        super().__init__(options, host)
        if type(self).failing_constructor:
            raise type(self).failing_constructor

    async def status(self):
        return Health(ready=True)

    async def sync(self, state):
        found = type(self).behave()
        return await found if asyncio.iscoroutine(found) else found

    async def teardown(self):
        return None


@pytest.fixture
async def bad(monkeypatch):
    monkeypatch.setattr(thread, "BLOCKED", 0.2)
    monkeypatch.setattr(thread, "LOOK", 0.05)
    monkeypatch.setattr(thread, "GRACE", 0.1)
    monkeypatch.setattr(guard, "STATUS_SECONDS", 0.3)
    driver = guarded(BadProxy, LABEL, BadProxy)
    yield driver
    monkeypatch.setattr(BadProxy, "behave", staticmethod(lambda: None))
    await asyncio.sleep(0.3)
    await driver.close()


def behaves(monkeypatch, how):
    monkeypatch.setattr(BadProxy, "behave", staticmethod(how))


async def raised(call):
    with pytest.raises(DriverError) as caught:
        await call
    assert LABEL in caught.value.message
    return caught.value


async def test_one_that_is_well_works_on_a_thread_of_its_own(bad, monkeypatch):
    behaves(monkeypatch, lambda: where.append(threading.current_thread().name))
    where = []
    await bad.open()
    await bad.sync(None)
    assert where == [f"driver {LABEL}"]
    assert isinstance(bad, ProxyDriver)
    assert (await bad.status()).ready
    assert bad.capabilities == BadProxy.capabilities


async def test_one_whose_constructor_raises_is_made_later(bad, monkeypatch):
    monkeypatch.setattr(BadProxy, "failing_constructor", ValueError("no such table"))
    await bad.open()
    health = await bad.status()
    assert (health.ready, health.reason) == (False, "PluginFailed")
    assert health.message == f"{LABEL}: starting it raised ValueError: no such table"
    error = await raised(bad.sync(None))
    assert (error.reason, error.terminal) == ("PluginFailed", False)
    monkeypatch.setattr(BadProxy, "failing_constructor", None)
    bad._not_before = 0.0
    await bad.sync(None)
    assert (await bad.status()).ready


async def test_an_exception_that_is_no_driver_error_is_a_bug_that_is_told(bad, monkeypatch, caplog):
    await bad.open()
    behaves(monkeypatch, lambda: 1 / 0)
    error = await raised(bad.sync(None))
    assert (error.reason, error.terminal) == ("PluginBug", False)
    assert "sync raised ZeroDivisionError: division by zero" in error.message
    assert "Traceback" in caplog.text
    behaves(monkeypatch, lambda: None)
    await bad.sync(None)


async def test_a_driver_error_comes_through_as_it_is(bad, monkeypatch):
    await bad.open()

    def refuse():
        raise InvalidConfig("no", reason="TableMissing")

    behaves(monkeypatch, refuse)
    with pytest.raises(InvalidConfig) as caught:
        await bad.sync(None)
    assert caught.value.reason == "TableMissing"


async def test_a_value_of_the_wrong_type_is_refused(bad, monkeypatch):
    await bad.open()
    behaves(monkeypatch, lambda: 42)
    error = await raised(bad.sync(None))
    assert error.reason == "PluginBug"
    assert "sync returned int, where None" in error.message


async def test_one_that_blocks_its_loop_holds_nobody_up(bad, monkeypatch):
    await bad.open()
    behaves(monkeypatch, lambda: time.sleep(1.0))
    began = time.monotonic()
    beats = asyncio.ensure_future(_beats())
    error = await raised(bad.sync(None))
    assert error.reason == "PluginBlocked"
    assert "time.sleep" in error.message
    assert time.monotonic() - began < 0.9
    assert (await bad.status()).reason == "PluginBlocked"
    assert max(await beats) < 0.1, "the caller's loop stood still"
    behaves(monkeypatch, lambda: None)
    await asyncio.sleep(0.8)
    await bad.sync(None)
    assert (await bad.status()).ready


async def _beats():
    gaps, last = [], time.monotonic()
    for _ in range(40):
        await asyncio.sleep(0.01)
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
    return gaps


async def test_one_that_ignores_cancellation_is_left_behind(bad, monkeypatch, caplog):
    async def stubborn():
        for _ in range(10):
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                continue

    await bad.open()
    behaves(monkeypatch, stubborn)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await bad.sync(None)
    assert time.monotonic() - began < 0.6
    assert "goes on after it was cancelled" in caplog.text


async def test_tasks_that_leak_are_ended_and_named(bad, monkeypatch, caplog):
    async def leak():
        asyncio.get_running_loop().create_task(asyncio.sleep(1000), name="forgotten")

    await bad.open()
    behaves(monkeypatch, leak)
    await bad.sync(None)
    await bad.close()
    assert f"{LABEL} left 1 tasks behind, which were ended: forgotten" in caplog.text


async def test_one_that_dies_is_begun_anew(bad, monkeypatch, caplog):
    await bad.open()
    behaves(monkeypatch, lambda: exit(3))
    error = await raised(bad.sync(None))
    assert error.reason == "PluginDied"
    behaves(monkeypatch, lambda: None)
    await bad.sync(None)
    assert (await bad.status()).ready


async def test_a_pod_tells_which_plugin_failed_and_runs_when_it_is_well(worlds):
    from bareboat.testing.world.nodes import fake_drivers

    made = {}

    def drivers(host):
        inner = fake_drivers(host)
        cls = type("Crashing", (type(inner["runtime"]),), {"run_pod_sandbox": _crash, "broken": True, "inline": True})
        real = inner["runtime"]
        made["class"] = cls
        runtime = guarded(cls, "cri crashing (crash-dist 2.0)", lambda: cls(type(real).Options(persist=False), host))
        return {"runtime": runtime, "network": inner["network"]}

    world = await worlds(drivers=drivers)
    await world.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    await world.until(lambda: _told(world))
    assert (await world.get("pod/p")).status.phase == "Pending"
    made["class"].broken = False
    await world.until("pod/p is ready")


async def test_a_node_whose_runtime_cannot_be_made_says_so_and_gets_ready_with_it(worlds):
    from bareboat.testing.world import World
    from bareboat.testing.world.nodes import fake_drivers

    state = {"error": OSError("no such socket")}

    def drivers(host):
        inner = fake_drivers(host)

        def make():
            if state["error"]:
                raise state["error"]
            return inner["runtime"]

        return {"runtime": guarded(type(inner["runtime"]), "cri late (late-dist 1.0)", make), "network": inner["network"]}

    world = await worlds(nodes=0, drivers=drivers)
    assert isinstance(world, World)
    await world.add_node("n1")
    node = await world.until(lambda: _not_ready(world))
    assert node["reason"] == "PluginFailed"
    assert node["message"] == "cri late (late-dist 1.0): starting it raised OSError: no such socket"
    state["error"] = None
    world.nodes["n1"].drivers["runtime"]._not_before = 0.0
    await world.until("node/n1 is ready")
    assert (await world.get("node/n1")).status.nodeInfo.containerRuntimeVersion == "fake://0.1.0"
    await world.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    await world.until("pod/p is ready")


async def _not_ready(world):
    ready = (await world.get("node/n1")).condition("Ready") if await world.exists("node/n1") else None
    return ready if ready is not None and ready["status"] == "False" and ready["reason"].startswith("Plugin") else None


async def _crash(self, config):
    if type(self).broken:
        raise KeyError("sandbox")
    return await super(type(self), self).run_pod_sandbox(config)


async def _told(world):
    messages = [e.message for e in await world.events("pod/p")]
    return any("cri crashing (crash-dist 2.0): run_pod_sandbox raised KeyError: 'sandbox'" in m for m in messages)
