"""OpenAPI definitions of the kinds that are not among the published ones: Bareboat's own and the resource metrics.

In: their Structs, whose docstrings become descriptions. Out: the same form as the published definitions have, so that ``kubectl explain``
and clients that ask for schemas know them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from bareboat.models import meta_v1

#: Module → what its published names begin with, and the kinds that are resources.
OWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "bareboat_v1": ("dev.bareboat.v1", ("Plugin",)),
    "metrics_v1beta1": ("io.k8s.metrics.pkg.apis.metrics.v1beta1", ("NodeMetrics", "PodMetrics")),
}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_SCALARS: dict[Any, str] = {str: "string", int: "integer", bool: "boolean", float: "number"}


def openapi(module: str) -> dict[str, Any]:
    """By type name, as ``definitions.openapi`` gives the published ones."""
    prefix, kinds = OWN[module]
    found = {cls.__name__: {**_schema(cls, prefix), "x-name": f"{prefix}.{cls.__name__}"} for cls in _structs(module)}
    for kind in kinds:
        group_version = getattr(importlib.import_module(f"bareboat.models.{module}"), kind)().apiVersion
        group, _, version = group_version.partition("/")
        found[kind]["x-kubernetes-group-version-kind"] = [{"group": group, "kind": kind, "version": version}]
        found[f"{kind}List"] = _list(prefix, kind, group, version)
    return found


def _structs(module: str) -> Iterator[type[msgspec.Struct]]:
    loaded = importlib.import_module(f"bareboat.models.{module}")
    for value in vars(loaded).values():
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == loaded.__name__:
            yield value


def _schema(cls: type[msgspec.Struct], prefix: str) -> dict[str, Any]:
    hints = get_type_hints(cls)
    names = zip(cls.__struct_encode_fields__, cls.__struct_fields__, strict=True)
    properties = {shown: _property(hints[name], prefix) for shown, name in names}
    return {
        "description": " ".join((vars(cls).get("__doc__") or f"{cls.__name__}.").replace("``", "").split()),
        "properties": properties,
        "type": "object",
    }


def _property(hint: Any, prefix: str) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is meta_v1.ObjectMeta:
        return {"$ref": f"#/$defs/{_META}.ObjectMeta"}
    if origin is list:
        return {"type": "array", "items": _property(arguments[0], prefix), "x-kubernetes-list-type": "atomic"}
    if origin is dict:
        return {"type": "object", "additionalProperties": _property(arguments[1], prefix)}
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    return {"$ref": f"#/$defs/{prefix}.{hint.__name__}"}


def _list(prefix: str, kind: str, group: str, version: str) -> dict[str, Any]:
    return {
        "description": f"A list of {kind}.",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": f"#/$defs/{_META}.ListMeta"},
            "items": {"type": "array", "items": {"$ref": f"#/$defs/{prefix}.{kind}"}},
        },
        "x-kubernetes-group-version-kind": [{"group": group, "kind": f"{kind}List", "version": version}],
        "x-name": f"{prefix}.{kind}List",
    }
