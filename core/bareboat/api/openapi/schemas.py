"""The published definitions that a document needs: those it names and all that they refer to, with references rewritten."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from bareboat.models import definitions

Tree = dict[str, Any]
_LOCAL = "#/$defs/"


def closure(names: Iterable[str], prefix: str) -> Tree:
    """Published name → schema, references starting with ``prefix``. Modules are read anew and not kept."""
    found: Tree = {}
    modules: dict[str, dict[str, Tree]] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        schema = _find(name, modules)
        if schema is None:
            continue
        found[name] = _rewritten(schema, prefix, waiting)
    return dict(sorted(found.items()))


def published(module: str, kind: str) -> str:
    """The published name of a kind of a module ("core_v1", "Pod"); "" if it is not published."""
    return _names(module).get(kind, "")


@cache
def _names(module: str) -> dict[str, str]:
    """Of every kind of a module; the definitions themselves are not kept."""
    if module not in definitions.openapi_modules():
        return {}
    return {kind: str(schema["x-name"]) for kind, schema in definitions.openapi(module).items()}


def _find(name: str, modules: dict[str, dict[str, Tree]]) -> Tree | None:
    *_, group, version, kind = name.split(".")
    module = f"{group}_{version}"
    if module not in modules:
        modules[module] = definitions.openapi(module) if module in definitions.openapi_modules() else {}
    return modules[module].get(kind)


def _rewritten(value: Any, prefix: str, waiting: list[str]) -> Any:
    if isinstance(value, list):
        return [_rewritten(v, prefix, waiting) for v in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith(_LOCAL):
        target = reference.removeprefix(_LOCAL)
        waiting.append(target)
        link = {"$ref": prefix + target}
        if len(value) == 1 or prefix == "#/definitions/":
            return {**link, **{k: v for k, v in value.items() if k == "description"}}
        rest = {k: _rewritten(v, prefix, waiting) for k, v in value.items() if k != "$ref"}
        return {"allOf": [link], **rest}
    return {k: _rewritten(v, prefix, waiting) for k, v in value.items() if k != "x-name"}
