"""The files of a new plugin, the same for all: what ``bareboat plugin new`` writes.

In: a family and a name. Out: paths and texts. The driver's file lists every verb that is to be written, with what it is for, as its
contract says it; nothing is written that would pass a test without doing anything.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import bareboat
from bareboat.cli.authoring import contributions
from bareboat.cli.authoring.families import Family
from bareboat.plugins.checks import meaning, missing_verbs


class Names:
    """What a name becomes in each place."""

    def __init__(self, family: Family, full: str, own: str) -> None:
        self.family = family
        self.package = f"bareboat_{full}"
        self.distribution = self.package.replace("_", "-")
        self.plugin = own.replace("_", "-")
        self.folder = full
        self.stem = "".join(part.capitalize() for part in own.split("_"))

    @property
    def cls(self) -> str:
        """``FooNetwork`` for a NetworkDriver."""
        return self.stem + self.family.base_class.removesuffix("Driver").removesuffix("Plugin")


def files(family: Family, full: str, own: str) -> dict[str, str]:
    """Path below the plugin's folder → text."""
    names = Names(family, full, own)
    made = {
        "pyproject.toml": _pyproject(names),
        "README.md": _readme(names),
        f"{names.package}/__init__.py": f'"""{names.stem}: {family.summary} for Bareboat."""\n',
        f"{names.package}/py.typed": "",
    }
    if family.group:
        base = base_of(family)
        made |= {
            f"{names.package}/plugin.py": _driver_plugin(names),
            f"{names.package}/options.py": _options(names),
            f"{names.package}/driver.py": _driver(names, base),
            f"{names.package}/backend.py": f'"""A client of what {names.plugin} drives; knows nothing of Bareboat."""\n',
            f"{names.package}/translate.py": (
                '"""Between contract values and the back end\'s, and from its errors to the contract\'s; pure functions."""\n'
            ),
            "tests/test_conformance.py": _driver_test(names),
        }
        return made
    made |= {
        f"{names.package}/{path}": text for path, text in contributions.modules(names.plugin, names.cls, names.package, family).items()
    }
    made["tests/test_conformance.py"] = contributions.test(names.cls, names.package, family)
    return made


def base_of(family: Family) -> type[Any]:
    found: type[Any] = getattr(importlib.import_module(family.base_module), family.base_class)
    return found


def _pyproject(names: Names) -> str:
    group, target = names.family.group, f"{names.package}.plugin:{names.cls}"
    if not group:
        group, target = "bareboat.plugins", f"{names.package}.plugin"
    return f'''[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{names.distribution}"
version = "0.1.0"
description = "{names.stem}: {names.family.summary} for Bareboat."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["bareboat>={bareboat.__version__}"]

[project.optional-dependencies]
test = ["bareboat[testing]"]

[project.entry-points."{group}"]
{names.plugin} = "{target}"

[tool.hatch.build.targets.wheel]
packages = ["{names.package}"]

[tool.pytest.ini_options]
asyncio_mode = "auto"
addopts = "--import-mode=importlib"
pythonpath = ["."]
'''


def _readme(names: Names) -> str:
    return f"""# {names.distribution}

{names.stem} is {names.family.summary} for Bareboat.

| option | default | meaning |
|---|---|---|

Install it beside Bareboat (`pip install .`), name it in the cluster file (`use: {names.plugin}`), and check it:

    bareboat plugin check .
    bareboat plugin test .
"""


def _options(names: Names) -> str:
    return f'''"""Options of {names.plugin} in the cluster file, one line of documentation each."""

from __future__ import annotations

import msgspec


class {names.stem}Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None yet."""
'''


def _driver_plugin(names: Names) -> str:
    contract = names.family.base_module.rpartition(".")[2]
    return f'''"""The class that the entry point names. Importing this module does nothing and is fast."""

from __future__ import annotations

from bareboat.contracts import {contract}
from bareboat.contracts.driver import PluginInfo

from {names.package}.driver import {names.cls}Driver
from {names.package}.options import {names.stem}Options


class {names.cls}({names.cls}Driver):
    info = PluginInfo(name="{names.plugin}", summary="what it is, in one line", contract={contract}.GROUP)
    Options = {names.stem}Options
'''


def _driver(names: Names, base: type[Any]) -> str:
    contract = names.family.base_module.rpartition(".")[2]
    lines = [f"    # {'async def ' if _is_async(base, verb) else 'def '}{verb}{_signature(base, verb)}" for verb in missing_verbs(base)]
    meanings = [f"    #     {meaning(base, verb)}" for verb in missing_verbs(base)]
    verbs = "\n".join(line for pair in zip(lines, meanings, strict=True) for line in pair)
    return f'''"""The contract's verbs, by calls of the back end. What each must do is in bareboat.contracts.{contract}."""

from __future__ import annotations

from bareboat.contracts import {contract}


class {names.cls}Driver({contract}.{names.family.base_class}):
    """See bareboat.contracts.{contract}.{names.family.base_class}."""

    # To be written; `bareboat plugin test` says what is missing:
    #
{verbs}
'''


def _is_async(base: type[Any], verb: str) -> bool:
    return inspect.iscoroutinefunction(getattr(base, verb))


def _signature(base: type[Any], verb: str) -> str:
    found = inspect.signature(getattr(base, verb))
    arguments = ["self", *(str(p) for p in list(found.parameters.values())[1:])]
    return f"({', '.join(arguments)}) -> {found.return_annotation}".replace("'", "")


def _driver_test(names: Names) -> str:
    module, _, suite = names.family.suite.partition(":")
    return f'''"""{names.stem} keeps every rule of its contract."""

from {module} import {suite}

from {names.package}.plugin import {names.cls}


class Test{names.stem}({suite}):
    driver_class = {names.cls}
'''
