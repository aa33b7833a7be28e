"""Loading plugins: only what is enabled is imported, and everything wrong is told at once."""

import importlib.metadata
import sys
import types

import msgspec
import pytest

from bareboat.contracts import hooks
from bareboat.contracts.driver import Health, PluginInfo
from bareboat.contracts.proxy import ProxyDriver
from bareboat.contracts.scheduling import SchedulingPolicy
from bareboat.plugins.inventory import Inventory
from bareboat.plugins.loader import Choice, Loader
from bareboat.plugins.problems import PluginErrors

PROXY = "bareboat.proxy.v1"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    table: str = "main"


class GoodProxy(ProxyDriver):
    info = PluginInfo(name="good", summary="keeps state in memory", contract=PROXY)
    Options = Options

    async def status(self):
        return Health(ready=True)

    async def sync(self, state):
        self.state = state

    async def teardown(self):
        self.state = None


class SyncProxy(GoodProxy):
    def sync(self, state):
        return None


class HalfProxy(ProxyDriver):
    info = PluginInfo(name="half", summary="", contract="bareboat.cni.v1")


class _Distribution:
    def __init__(self, name):
        self.name = name
        self.version = "1.0"


def point(name, attribute, group=PROXY, distribution="dist-a", module="plugin_under_test"):
    entry = importlib.metadata.EntryPoint(name=name, value=f"{module}:{attribute}" if attribute else module, group=group)
    vars(entry)["dist"] = _Distribution(distribution)
    return entry


@pytest.fixture(autouse=True)
def plugin_module():
    module = types.ModuleType("plugin_under_test")
    module.GoodProxy, module.SyncProxy, module.HalfProxy = GoodProxy, SyncProxy, HalfProxy
    sys.modules["plugin_under_test"] = module
    yield module
    del sys.modules["plugin_under_test"]


def problems_of(points, *choices, group=PROXY):
    with pytest.raises(PluginErrors) as caught:
        Loader(Inventory(points)).drivers([(group, c) for c in choices])
    return [str(p) for p in caught.value.problems]


def test_a_driver_is_loaded_with_its_options():
    (loaded,) = Loader(Inventory([point("good", "GoodProxy")])).drivers([(PROXY, Choice(use="good", options={"table": "x"}))])
    assert loaded.cls is GoodProxy
    assert loaded.options == Options(table="x")


def test_all_problems_are_told_at_once():
    points = [point("half", "HalfProxy"), point("sync", "SyncProxy"), point("gone", "X", module="no_such_module")]
    choices = [Choice(use=n, where=f"line {i}") for i, n in enumerate(["half", "sync", "gone", "missing"])]
    told = problems_of(points, *choices)
    assert any("verb sync is missing" in t for t in told)
    assert any("`info.contract` is 'bareboat.cni.v1'" in t for t in told)
    assert any("verb sync must be `async def`" in t for t in told)
    assert any("importing no_such_module:X failed: ModuleNotFoundError" in t for t in told)
    assert any("missing" in t and "installed: gone, half, sync" in t and t.startswith("line 3") for t in told)


def test_two_plugins_of_one_name_are_refused_until_one_is_pinned():
    points = [point("good", "GoodProxy"), point("good", "GoodProxy", distribution="dist-b")]
    assert "from dist-a and dist-b" in problems_of(points, Choice(use="good"))[0]
    (loaded,) = Loader(Inventory(points)).drivers([(PROXY, Choice(use="good", dist="dist_b"))])
    assert loaded.plugin.distribution == "dist-b"


def test_an_unknown_option_is_refused_with_the_allowed_ones():
    assert "allowed: table" in problems_of([point("good", "GoodProxy")], Choice(use="good", options={"tabel": 1}))[0]


def test_a_plugin_for_another_contract_version_says_so():
    told = problems_of([point("good", "GoodProxy", group="bareboat.proxy.v2")], Choice(use="good"))
    assert "installed for bareboat.proxy.v2" in told[0]


def test_a_disabled_plugin_is_never_imported():
    points = [point("good", "GoodProxy"), point("bad", "X", module="explodes_on_import")]
    Loader(Inventory(points)).drivers([(PROXY, Choice(use="good"))])
    assert "explodes_on_import" not in sys.modules


def policy(name):
    made = SchedulingPolicy()
    made.name = name
    return made


def hook_module(**functions):
    module = types.ModuleType("hooks_under_test")
    vars(module).update({name: hooks.hookimpl(function) for name, function in functions.items()})
    return module


def test_hooks_are_collected_in_the_order_of_the_file_with_their_own_options(plugin_module):
    plugin_module.first = hook_module(bareboat_scheduling_policies=lambda options: [policy(options["name"])])
    plugin_module.second = hook_module(bareboat_scheduling_policies=lambda: [policy("second")])
    points = [point("first", "first", group=hooks.GROUP), point("second", "second", group=hooks.GROUP)]
    loaded = Loader(Inventory(points)).hooks([Choice(use="second"), Choice(use="first", options={"name": "first"})])
    assert [p.name for p in loaded.collect("bareboat_scheduling_policies")] == ["second", "first"]


def test_a_misspelled_or_async_hook_is_refused(plugin_module):
    async def bareboat_observers():
        return []

    plugin_module.wrong = hook_module(bareboat_admision=lambda options: [options])
    plugin_module.late = hook_module(bareboat_observers=bareboat_observers)
    plugin_module.empty = types.ModuleType("empty")
    points = [point(n, n, group=hooks.GROUP) for n in ("wrong", "late", "empty")]
    with pytest.raises(PluginErrors) as caught:
        Loader(Inventory(points)).hooks([Choice(use=n) for n in ("wrong", "late", "empty")])
    told = [str(p) for p in caught.value.problems]
    assert any("bareboat_admision is not a hook" in t for t in told)
    assert any("must not be async" in t for t in told)
    assert any("implements no hook" in t for t in told)


def test_check_reports_what_loading_would():
    inventory = Inventory([point("half", "HalfProxy")])
    faults = Loader(inventory).check(inventory.all()[0])
    assert "verb teardown is missing: Remove every rule of this instance from the host." in faults


def test_what_cannot_have_a_process_of_its_own_says_so(plugin_module):
    class Unnamed(GoodProxy):
        driver_name = ""

    plugin_module.Unnamed = Unnamed
    plugin_module.contributing = hook_module(bareboat_observers=lambda: [])  # noqa: PIE807  hooks are functions
    isolated = [Choice(use=name, isolate=True) for name in ("good", "unnamed", "contributing")]
    loader = Loader(
        Inventory([point("good", "GoodProxy"), point("unnamed", "Unnamed"), point("contributing", "contributing", hooks.GROUP)])
    )
    assert loader.drivers([(PROXY, isolated[0])])[0].isolate
    with pytest.raises(PluginErrors, match="learns its name when it is open"):
        loader.drivers([(PROXY, isolated[1])])
    with pytest.raises(PluginErrors, match="`isolate` is for drivers of"):
        loader.hooks([isolated[2]])
    store = Inventory([point("sqlite", "SqliteStore", "bareboat.store.v1", module="bareboat.store.sqlite")])
    with pytest.raises(PluginErrors, match="`isolate` is for drivers of"):
        Loader(store).drivers([("bareboat.store.v1", Choice(use="sqlite", isolate=True))])
