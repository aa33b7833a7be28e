"""Structural schemas: every value that is restricted is also described, outside of the logic junctors."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.apiextensions.schemas import is_schema
from bareboat.api.kinds.causes import forbidden, invalid, required
from bareboat.models.status import Cause

_EMPTY = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_EMBEDDED = "must be object if x-kubernetes-embedded-resource is true"
_ONLY_NAMES = "must not specify anything other than name and generateName, but metadata is implicitly specified"
#: What a nested schema may not say, how the path spells it, and the words.
_NESTED = (
    ("type", "type", "must be empty to be structural"),
    ("additionalProperties", "additionalProperties", "must be undefined to be structural"),
    ("default", "default", "must be undefined to be structural"),
    ("title", "title", "must be empty to be structural"),
    ("description", "description", "must be empty to be structural"),
    ("nullable", "nullable", "must be false to be structural"),
    ("externalDocs", "externalDocs", "must be undefined to be structural"),
    ("x_kubernetes_preserve_unknown_fields", "x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x_kubernetes_embedded_resource", "x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x_kubernetes_int_or_string", "x-kubernetes-int-or-string", "must be false to be structural"),
    ("x_kubernetes_list_map_keys", "x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x_kubernetes_list_type", "x-kubernetes-list-type", "must be undefined to be structural"),
    ("x_kubernetes_map_type", "x-kubernetes-map-type", "must be undefined to be structural"),
    ("x_kubernetes_validations", "x-kubernetes-validations", "must be empty to be structural"),
)


def validate_structure(schema: Any, at: str) -> list[Cause]:
    return _invariants(schema, "root", at) + _complete(schema, schema, at)


def _invariants(schema: Any, level: str, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if schema.type == "array" and schema.items is None:
        causes.append(required(f"{at}.items", "must be specified"))
    if is_schema(schema.items):
        causes += _invariants(schema.items, "item", f"{at}.items")
    for name, child in schema.properties.items():
        causes += _invariants(child, "field", f"{at}.properties[{name}]")
    if schema.additionalProperties is not None:
        if level == "root":
            causes.append(forbidden(f"{at}.additionalProperties", "must not be used at the root"))
        if is_schema(schema.additionalProperties):
            causes += _invariants(schema.additionalProperties, "field", f"{at}.additionalProperties")
    return causes + _extensions(schema, at) + _junctors(schema, level, at) + _type(schema, level, at) + _implied(schema, level, at)


def _extensions(schema: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    message = "must be false if x-kubernetes-int-or-string is true"
    for name in ("preserve_unknown_fields", "embedded_resource"):
        if schema.x_kubernetes_int_or_string and getattr(schema, f"x_kubernetes_{name}"):
            causes.append(invalid(f"{at}.x-kubernetes-{name.replace('_', '-')}", True, message))
    if not schema.x_kubernetes_embedded_resource:
        return causes
    if schema.additionalProperties is not None:
        causes.append(forbidden(f"{at}.additionalProperties", "must not be used if x-kubernetes-embedded-resource is set"))
    if not schema.x_kubernetes_preserve_unknown_fields and not schema.properties:
        because = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        causes.append(required(f"{at}.properties", because))
    return causes


def _type(schema: Any, level: str, at: str) -> list[Cause]:
    kind, field = schema.type, f"{at}.type"
    causes: list[Cause] = []
    if schema.x_kubernetes_embedded_resource and kind != "object":
        causes.append(invalid(field, kind, _EMBEDDED) if kind else required(field, _EMBEDDED))
    elif not kind and not schema.x_kubernetes_int_or_string and not schema.x_kubernetes_preserve_unknown_fields:
        causes.append(required(field, _EMPTY[level]))
    if level == "root" and kind and kind != "object":
        causes.append(invalid(field, kind, "must be object at the root"))
    return causes


def _implied(schema: Any, level: str, at: str) -> list[Cause]:
    """kind, apiVersion and metadata are what they are."""
    checked = level == "root" or schema.x_kubernetes_embedded_resource
    causes: list[Cause] = []
    for name in ("kind", "apiVersion"):
        found = schema.properties.get(name)
        if checked and found is not None and found.type != "string":
            causes.append(invalid(f"{at}.properties[{name}].type", found.type, "must be string"))
    metadata, where = schema.properties.get("metadata"), f"{at}.properties[metadata]"
    if metadata is None:
        return causes
    if checked and metadata.type != "object":
        causes.append(invalid(f"{where}.type", metadata.type, "must be object"))
    if level == "root" and not _only_names(metadata):
        causes.append(forbidden(where, _ONLY_NAMES))
    return causes


def _only_names(metadata: Any) -> bool:
    if metadata.properties.keys() - {"name", "generateName"}:
        return False
    empty = type(metadata)(type=metadata.type, default=metadata.default, properties=metadata.properties)
    return bool(metadata == empty)


def _int_or_string(options: list[Any]) -> bool:
    if [option.type for option in options] != ["integer", "string"]:
        return False
    return all(option == type(option)(type=option.type) for option in options)


def _junctors(schema: Any, level: str, at: str) -> list[Cause]:
    """Nested schemas restrict values and nothing else, but for the two ways to say int-or-string."""
    causes: list[Cause] = []
    loose = _int_or_string(schema.anyOf)
    first = bool(schema.allOf) and _int_or_string(schema.allOf[0].anyOf)
    for name in _JUNCTORS:
        for i, child in enumerate(getattr(schema, name)):
            if name == "anyOf" and loose:
                continue
            causes += _nested(child, f"{at}.{name}[{i}]", skip_any=name == "allOf" and i == 0 and first)
    return causes + (_nested(schema.not_, f"{at}.not") if schema.not_ is not None else [])


def _nested(schema: Any, at: str, *, skip_any: bool = False) -> list[Cause]:
    causes: list[Cause] = []
    for name in _JUNCTORS:
        if name == "anyOf" and skip_any:
            continue
        for i, child in enumerate(getattr(schema, name)):
            causes += _nested(child, f"{at}.{name}[{i}]")
    if schema.not_ is not None:
        causes += _nested(schema.not_, f"{at}.not")
    if is_schema(schema.items):
        causes += _nested(schema.items, f"{at}.items")
    for name, child in schema.properties.items():
        causes += _nested(child, f"{at}.properties[{name}]")
    held = [(shown, words) for name, shown, words in _NESTED if getattr(schema, name) not in (None, "", False, [], {})]
    causes += [forbidden(f"{at}.{shown}", words) for shown, words in held]
    if "metadata" in schema.properties:
        causes.append(forbidden(f"{at}.properties[metadata]", "must not be specified in a nested context"))
    return causes


def _complete(outer: Any, schema: Any, at: str) -> list[Cause]:
    """What a junctor restricts must be described by ``outer``, the schema that it belongs to."""
    causes: list[Cause] = []
    for name in _JUNCTORS:
        for i, child in enumerate(getattr(schema, name)):
            causes += _described(outer, child, at, f"{at}.{name}[{i}]")
    if schema.not_ is not None:
        causes += _described(outer, schema.not_, at, f"{at}.not")
    if outer is schema:
        for name, child in schema.properties.items():
            causes += _complete(child, child, f"{at}.properties[{name}]")
        if is_schema(schema.items):
            causes += _complete(schema.items, schema.items, f"{at}.items")
        if is_schema(schema.additionalProperties):
            causes += _complete(schema.additionalProperties, schema.additionalProperties, f"{at}.additionalProperties")
    return causes


def _described(outer: Any, nested: Any, at: str, where: str) -> list[Cause]:
    """``at`` is where the description should be, ``where`` what needs it."""
    causes: list[Cause] = []
    because = f"because it is defined in {where}"
    if nested.items is not None and outer.items is None:
        causes.append(required(f"{at}.items", f"{because}.items"))
    elif is_schema(nested.items) and is_schema(outer.items):
        causes += _described(outer.items, nested.items, f"{at}.items", f"{where}.items")
    for name, child in nested.properties.items():
        found = outer.properties.get(name)
        if found is None:
            causes.append(required(f"{at}.properties[{name}]", f"{because}.properties[{name}]"))
        else:
            causes += _described(found, child, f"{at}.properties[{name}]", f"{where}.properties[{name}]")
    for name in _JUNCTORS:
        for i, child in enumerate(getattr(nested, name)):
            causes += _described(outer, child, at, f"{where}.{name}[{i}]")
    return causes + (_described(outer, nested.not_, at, f"{where}.not") if nested.not_ is not None else [])
