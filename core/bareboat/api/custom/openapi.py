"""Schemas of custom kinds as OpenAPI publishes them: with kind, apiVersion, metadata, and the list kind beside.

The old form (v2) cannot say everything: logic junctors, nullable, and what lies below a level that keeps unknown fields are left
out there, so that old clients do not refuse what the server takes.
"""

from __future__ import annotations

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
    given = version.published
    if given is None or (v2 and given.get("x-kubernetes-preserve-unknown-fields")):
        shown: Tree = {"type": "object"}  # with properties old clients would refuse all others
    else:
        shown = _mapped(given, prefix, v2=v2)
        shown["properties"] = {**shown.get("properties", {}), **_members(prefix, v2=v2)}
    shown["x-kubernetes-group-version-kind"] = [_group_version_kind(version, version.definition.kind)]
    if version.selectable:
        shown["x-kubernetes-selectable-fields"] = [{"fieldPath": path} for path in version.selectable]
    return shown


def _members(prefix: str, *, v2: bool) -> Tree:
    return {**_type_meta(), "metadata": _reference(prefix, "ObjectMeta", _METADATA, v2)}


def _type_meta() -> Tree:
    return {"apiVersion": {"description": _API_VERSION, "type": "string"}, "kind": {"description": _KIND, "type": "string"}}


def _reference(prefix: str, kind: str, description: str, v2: bool) -> Tree:
    link = {"$ref": prefix + _META + kind}
    return {"description": description, **link} if v2 else {"description": description, "allOf": [link]}


def _group_version_kind(version: Version, kind: str) -> Tree:
    return {"group": version.definition.group, "kind": kind, "version": version.name}


def _mapped(schema: Tree, prefix: str, *, v2: bool) -> Tree:
    """A level and what is below. Embedded resources get the members that they have without saying so."""
    found: Tree = {}
    for name, value in schema.items():
        if v2 and name in _left_out(schema):
            continue
        if name == "properties":
            found[name] = {key: _mapped(child, prefix, v2=v2) for key, child in value.items()}
        elif name in ("items", "additionalProperties", "not") and isinstance(value, dict):
            found[name] = _mapped(value, prefix, v2=v2)
        elif name in ("allOf", "anyOf", "oneOf"):
            found[name] = [_mapped(child, prefix, v2=v2) for child in value]
        else:
            found[name] = value
    if schema.get("x-kubernetes-embedded-resource") and not (v2 and schema.get("x-kubernetes-preserve-unknown-fields")):
        found["properties"] = {**found.get("properties", {}), **_members(prefix, v2=v2)}
        found["required"] = list(dict.fromkeys([*found.get("required", ()), "kind", "apiVersion"]))
    return found


def _left_out(schema: Tree) -> tuple[str, ...]:
    if schema.get("nullable"):
        return (*_LEFT_OUT_OF_V2, "type", "items", "properties")
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return (*_LEFT_OUT_OF_V2, "items", "properties")
    return _LEFT_OUT_OF_V2
