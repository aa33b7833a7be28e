"""Schemas of custom kinds as OpenAPI publishes them: with kind, apiVersion, metadata, and the list kind beside.

The old form (v2) cannot say everything: logic junctors, nullable, and what lies below a level that keeps unknown fields are left
out there, so that old clients do not refuse what the server takes.
"""

from __future__ import annotations

from typing import Any

from bareboat.api.custom.definition import Version
from bareboat.api.custom.schema import Tree

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_LEFT_OUT_OF_V2 = ("allOf", "anyOf", "oneOf", "not", "nullable")
_API_VERSION = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the "
    "latest internal value, and may reject unrecognized values. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
_KIND = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the "
    "client submits requests to. Cannot be updated. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
_METADATA = (
    "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_LIST_METADATA = (
    "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)


def name_of(version: Version, kind: str) -> str:
    """com.example.stable.v1.CronTab."""
    return ".".join([*reversed(version.definition.group.split(".")), version.name, kind])


def schemas(version: Version, prefix: str, *, v2: bool) -> Tree:
    """The kind and its list, by published name; references start with ``prefix``."""
    definition = version.definition
    list_kind = version.resource.list_kind
    item = name_of(version, definition.kind)
    listed: Tree = {
        "description": f"{list_kind} is a list of {definition.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **_type_meta(),
            "items": {
                "description": f"List of {definition.plural}. More info: "
                "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
                "type": "array",
                "items": {"$ref": prefix + item},
            },
            "metadata": _reference(prefix, "ListMeta", _LIST_METADATA, v2),
        },
        "x-kubernetes-group-version-kind": [_group_version_kind(version, list_kind)],
    }
    return {item: _kind(version, prefix, v2=v2), name_of(version, list_kind): listed}


def _kind(version: Version, prefix: str, *, v2: bool) -> Tree:
    given = version.published or {}
    shown = _old(given) if v2 else _new(given)
    shown.setdefault("type", "object")
    if not (v2 and given.get("x-kubernetes-preserve-unknown-fields")):
        below = shown.get("properties", {})
        shown["properties"] = {**below, **_type_meta(), "metadata": _reference(prefix, "ObjectMeta", _METADATA, v2)}
    shown["x-kubernetes-group-version-kind"] = [_group_version_kind(version, version.definition.kind)]
    if version.selectable:
        shown["x-kubernetes-selectable-fields"] = [{"fieldPath": path} for path in version.selectable]
    return shown


def _type_meta() -> Tree:
    return {"apiVersion": {"description": _API_VERSION, "type": "string"}, "kind": {"description": _KIND, "type": "string"}}


def _reference(prefix: str, kind: str, description: str, v2: bool) -> Tree:
    link = {"$ref": prefix + _META + kind}
    return {"description": description, **link} if v2 else {"description": description, "allOf": [link]}


def _group_version_kind(version: Version, kind: str) -> Tree:
    return {"group": version.definition.group, "kind": kind, "version": version.name}


def _new(schema: Any) -> Tree:
    """Embedded resources get the members that they have without saying so."""
    return _mapped(schema, _new, ())


def _old(schema: Any) -> Tree:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        kept = ("description", "type", "default", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")
        return {k: v for k, v in schema.items() if k in kept and (k != "type" or v == "object")}
    if schema.get("nullable"):
        kept = ("description", "default", *(k for k in schema if k.startswith("x-")))
        return {k: v for k, v in schema.items() if k in kept}
    found = _mapped(schema, _old, _LEFT_OUT_OF_V2)
    if schema.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
    return found


def _mapped(schema: Tree, walk: Any, left_out: tuple[str, ...]) -> Tree:
    found: Tree = {}
    for name, value in schema.items():
        if name in left_out:
            continue
        if name == "properties":
            found[name] = {key: walk(child) for key, child in value.items()}
        elif name in ("items", "additionalProperties", "not") and isinstance(value, dict):
            found[name] = walk(value)
        elif name in ("allOf", "anyOf", "oneOf"):
            found[name] = [walk(child) for child in value]
        else:
            found[name] = value
    return found
