"""The one place that knows stevedore and pluggy, and guards their traps.

What comes in: the names that the cluster file enables. What goes out: driver classes with decoded options, and one
``Hooks`` over the enabled hook plugins. Only what is enabled is imported; whatever is wrong is collected and raised as
one ``PluginErrors``. Guards: two plugins of one name (stevedore would keep the last), an import error (it would be
logged and skipped), its entry-point cache in the home directory (it loses versions), a misspelled or ``async`` hook
(pluggy would accept it in silence). Nothing here decides *which* plugins: that is the cluster file's.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Sequence
from typing import Any

import msgspec
import pluggy
from stevedore.named import NamedExtensionManager

from bareboat.contracts import hooks
from bareboat.plugins.checks import driver_faults, isolation_faults
from bareboat.plugins.contributions import faults_of
from bareboat.plugins.inventory import GROUPS, Installed, Inventory
from bareboat.plugins.problems import PluginErrors, Problem


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One enabled plugin: ``use`` its name, ``dist`` the distribution it must come from ("" any), ``where`` its place in the file."""

    use: str
    dist: str = ""
    options: dict[str, Any] = {}
    where: str = ""
    isolate: bool = False


class LoadedDriver(msgspec.Struct, frozen=True, kw_only=True):
    """A sound driver class and its options, ready to be created with ``cls(options, host)``."""

    plugin: Installed
    cls: Any
    options: Any
    isolate: bool = False


class _Chosen(NamedExtensionManager[Any]):
    """stevedore over exactly one entry point, chosen by us: no cache, no second of the same name, no swallowed failure."""

    def __init__(self, point: importlib.metadata.EntryPoint) -> None:
        self._point = point
        super().__init__(
            point.group,
            names=[point.name],
            on_load_failure_callback=_raise_load_failure,
            propagate_map_exceptions=True,
        )

    def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
        return [self._point]


def _raise_load_failure(_manager: Any, _point: Any, error: BaseException) -> None:
    raise error


class Loader:
    """Loads plugins of one inventory."""

    def __init__(self, inventory: Inventory | None = None) -> None:
        self.inventory = inventory or Inventory()

    def drivers(self, wanted: Sequence[tuple[str, Choice]]) -> list[LoadedDriver]:
        """Load every (group, choice), in order. Raises PluginErrors with all problems."""
        problems: list[Problem] = []
        loaded = [self._driver(group, choice, problems) for group, choice in wanted]
        if problems:
            raise PluginErrors(problems)
        return [d for d in loaded if d is not None]

    def hooks(self, wanted: Sequence[Choice], modules: Sequence[Any] = ()) -> Hooks:
        """Load the hook plugins, and ``modules`` that are at hand already (of a test). Raises PluginErrors with all problems."""
        problems: list[Problem] = []
        manager = pluggy.PluginManager(hooks.PROJECT)
        manager.add_hookspecs(hooks)
        entries: list[tuple[Choice, Installed, Any]] = []
        for choice in wanted:
            found = self._import(hooks.GROUP, choice, problems)
            if found is None:
                continue
            plugin, module = found
            faults = _hook_faults(manager, choice.use, module) + (isolation_faults(hooks.GROUP, module) if choice.isolate else [])
            problems += [Problem(plugin=choice.use, group=hooks.GROUP, message=f, where=choice.where) for f in faults]
            if not faults:
                entries.append((choice, plugin, module))
        for module in modules:
            name = getattr(module, "__name__", type(module).__name__)
            faults = _hook_faults(manager, name, module)
            problems += [Problem(plugin=name, group=hooks.GROUP, message=f) for f in faults]
            here = Installed(group=hooks.GROUP, name=name, distribution="", version="", target=name)
            entries.append((Choice(use=name), here, module))
        if problems:
            raise PluginErrors(problems)
        return Hooks(manager, entries)

    def check(self, plugin: Installed) -> list[str]:
        """Load one installed plugin as the kernel would and list what is wrong with it."""
        if plugin.group not in GROUPS.values():
            return [f"made for {plugin.group}; this kernel speaks {', '.join(sorted(GROUPS.values()))}"]
        problems: list[Problem] = []
        choice = Choice(use=plugin.name, dist=plugin.distribution)
        if plugin.group == hooks.GROUP:
            try:
                self.hooks([choice]).try_out()
            except PluginErrors as error:
                problems = error.problems
        else:
            found = self._import(plugin.group, choice, problems)
            if found is not None:
                return driver_faults(plugin.group, found[1])
        return [p.message for p in problems]

    def _driver(self, group: str, choice: Choice, problems: list[Problem]) -> LoadedDriver | None:
        found = self._import(group, choice, problems)
        if found is None:
            return None
        plugin, cls = found
        faults = driver_faults(group, cls)
        options: Any = None
        if choice.isolate:
            faults += isolation_faults(group, cls)
        if not faults:
            try:
                options = msgspec.convert(choice.options, cls.Options)
            except msgspec.ValidationError as error:
                faults = [f"options: {error}; allowed: {', '.join(cls.Options.__struct_fields__) or 'none'}"]
        problems += [Problem(plugin=choice.use, group=group, message=f, where=choice.where) for f in faults]
        return None if faults else LoadedDriver(plugin=plugin, cls=cls, options=options, isolate=choice.isolate)

    def _import(self, group: str, choice: Choice, problems: list[Problem]) -> tuple[Installed, Any] | None:
        def fail(message: str) -> None:
            problems.append(Problem(plugin=choice.use, group=group, message=message, where=choice.where))

        found = self.inventory.named(group, choice.use, choice.dist)
        if not found:
            fail(self._absent(group, choice))
            return None
        if len(found) > 1:
            sources = " and ".join(p.distribution for p in found)
            fail(f"two plugins of this name are installed, from {sources}: pin one with `dist:` or uninstall the other")
            return None
        try:
            manager = _Chosen(self.inventory.entry_point(found[0]))
        except Exception as error:  # noqa: BLE001  whatever an import raises is the plugin's fault and is reported
            fail(f"importing {found[0].target} failed: {type(error).__name__}: {error}")
            return None
        return found[0], manager[choice.use].plugin

    def _absent(self, group: str, choice: Choice) -> str:
        others = self.inventory.other_versions(group, choice.use)
        if others:
            return f"installed for {others[0].group} ({others[0].distribution} {others[0].version}), but this kernel needs {group}"
        names = ", ".join(self.inventory.names(group)) or "none"
        pinned = f" from distribution {choice.dist!r}" if choice.dist else ""
        return f"no such plugin installed{pinned}; installed: {names}. Install it with pip, or correct `use:`"


class Hooks:
    """The enabled hook plugins; every hook is called once per plugin, with that plugin's options, in the file's order."""

    def __init__(self, manager: pluggy.PluginManager, entries: list[tuple[Choice, Installed, Any]]) -> None:
        self._manager = manager
        self._entries = entries

    @property
    def plugins(self) -> list[Installed]:
        return [plugin for _, plugin, _ in self._entries]

    def collect(self, hook: str, **arguments: Any) -> list[Any]:
        """Flatten what every enabled plugin returns for ``hook``. Raises PluginErrors with all that is wrong with it."""
        collected: list[Any] = []
        problems: list[Problem] = []
        accepts_options = "options" in inspect.signature(getattr(hooks, hook)).parameters
        for choice, _, module in self._entries:
            others = [m for _, _, m in self._entries if m is not module]
            call = self._manager.subset_hook_caller(hook, remove_plugins=others)
            extra = {"options": choice.options} if accepts_options else {}
            for result in call(**arguments, **extra):
                faults = faults_of(hook, result)
                problems += [Problem(plugin=choice.use, group=hooks.GROUP, message=f, where=choice.where) for f in faults]
                collected.extend(result if not faults else ())
        if problems:
            raise PluginErrors(problems)
        return collected

    def try_out(self) -> None:
        """Ask for all that can be had without a cluster. Raises PluginErrors."""
        problems: list[Problem] = []
        for hook, spec in vars(hooks).items():
            if hook.startswith("bareboat_") and set(inspect.signature(spec).parameters) <= {"options"}:
                try:
                    self.collect(hook)
                except PluginErrors as error:
                    problems += error.problems
                except Exception as error:  # noqa: BLE001  whatever a hook raises is the plugin's fault and is reported
                    use = self._entries[0][0].use
                    problems.append(Problem(plugin=use, group=hooks.GROUP, message=f"{hook} raised {type(error).__name__}: {error}"))
        if problems:
            raise PluginErrors(problems)


def _hook_faults(manager: pluggy.PluginManager, name: str, module: Any) -> list[str]:
    candidates = [
        attribute for attribute in dir(module) if attribute.startswith("bareboat_") and hasattr(getattr(module, attribute), "bareboat_impl")
    ]
    specified = {hook for hook in vars(hooks) if hook.startswith("bareboat_")}
    faults = [f"{c} is not a hook; hooks: {', '.join(sorted(specified))}" for c in candidates if c not in specified]
    unmarked = [n for n in dir(module) if n in specified and n not in candidates and inspect.isfunction(getattr(module, n))]
    faults += [f"{n} is not marked: put @hookimpl (from bareboat.contracts.hooks) before it" for n in unmarked]
    faults += [f"hook {c} must not be async" for c in candidates if inspect.iscoroutinefunction(getattr(module, c))]
    if not candidates:
        faults.append("it implements no hook")
    if faults:
        return faults
    try:
        manager.register(module, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        manager.unregister(module)
        return [str(error)]
    return []
