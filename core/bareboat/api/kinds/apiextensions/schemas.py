"""The rules of a schema in a definition: what OpenAPI v3 in the API allows, list and map types, defaults, rules in CEL."""

from __future__ import annotations

import re
from typing import Any

import re2

from bareboat.api.custom.checks import check
from bareboat.api.custom.schema import compiled as compiled_schema
from bareboat.api.kinds.causes import duplicate, forbidden, invalid, one_of, required, unsupported
from bareboat.api.kinds.expressions.rules import expression
from bareboat.cel.environment import compiled
from bareboat.cel.limits import ExpressionError
from bareboat.models.codec import to_tree
from bareboat.models.status import Cause

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_NOT_SUPPORTED = {
    "id": "id",
    "additionalItems": "additionalItems",
    "patternProperties": "patternProperties",
    "definitions": "definitions",
    "dependencies": "dependencies",
    "ref": "$ref",
}
_MIXED = "additionalProperties and properties are mutual exclusive"
_LONGEST_MESSAGE = 2048
#: Levels of a schema. Every walk over one goes as deep as it does.
DEEPEST = 100
_OLD = re.compile(r"\boldSelf\b")


def is_schema(value: Any) -> bool:
    return value is not None and not isinstance(value, bool | list | dict)


def too_deep(schema: Any) -> bool:
    """Whether there is more below the deepest level; without going there."""
    level = [schema]
    for _ in range(DEEPEST):
        level = [child for found in level for child, _, _ in children(found, "")]
        if not level:
            return False
    return True


def validate_schema(schema: Any, at: str, *, root: bool = False, nested: bool = False, loose: str = "") -> list[Cause]:
    """``nested``: under a logic junctor, where values are restricted and not described. ``loose``: the path of the list above it
    whose items have no keys: nobody can tell which item of an old object one was."""
    causes = _own(schema, at, root=root) + _lists(schema, at) + _maps(schema, at)
    if schema.x_kubernetes_validations and not nested:
        causes += _rules(schema, at, loose)
    for child, where, under in children(schema, at):
        unkeyed = where if child is schema.items and schema.x_kubernetes_list_type != "map" else ""
        causes += validate_schema(child, where, nested=nested or under, loose=loose or unkeyed)
    return causes


def children(schema: Any, at: str) -> list[tuple[Any, str, bool]]:
    """Schemas in a schema, their paths, and whether they are below allOf, anyOf, oneOf or not."""
    found = [(schema.items, f"{at}.items", False)] if is_schema(schema.items) else []
    found += [(child, f"{at}.properties[{name}]", False) for name, child in schema.properties.items()]
    if is_schema(schema.additionalProperties):
        found.append((schema.additionalProperties, f"{at}.additionalProperties", False))
    for name in ("allOf", "oneOf", "anyOf"):
        found += [(child, f"{at}.{name}[{i}]", True) for i, child in enumerate(getattr(schema, name))]
    return found + ([(schema.not_, f"{at}.not", True)] if schema.not_ is not None else [])


def _own(schema: Any, at: str, *, root: bool) -> list[Cause]:
    causes = [forbidden(f"{at}.{shown}", f"{shown} is not supported") for name, shown in _NOT_SUPPORTED.items() if getattr(schema, name)]
    if schema.uniqueItems:
        causes.append(forbidden(f"{at}.uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"))
    if schema.type == "null":
        causes.append(forbidden(f"{at}.type", "type cannot be set to null, use nullable as an alternative"))
    elif schema.type:
        causes += one_of(f"{at}.type", schema.type, TYPES)
    if root and schema.nullable:
        causes.append(forbidden(f"{at}.nullable", "nullable cannot be true at the root"))
    if isinstance(schema.items, list):
        causes.append(forbidden(f"{at}.items", "items must be a schema object and not an array"))
    if schema.properties and schema.additionalProperties is not None and schema.additionalProperties is not True:
        causes.append(forbidden(f"{at}.additionalProperties", _MIXED))
    if schema.x_kubernetes_preserve_unknown_fields is False:
        causes.append(invalid(f"{at}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined"))
    if schema.pattern:
        causes += _pattern(schema.pattern, f"{at}.pattern")
    return causes if causes or schema.default is None else _default(schema, f"{at}.default")


def _default(schema: Any, at: str) -> list[Cause]:
    """A default is a value that the schema takes."""
    faults = check(schema.default, compiled_schema(to_tree(schema)))
    return [Cause(f.type, f.message, f"{at}.{f.field}" if f.field else at) for f in faults]


def _pattern(pattern: str, field: str) -> list[Cause]:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        return [invalid(field, pattern, f"must be a valid regular expression, but isn't: {reason}")]
    return []


def _typed(schema: Any, at: str, wanted: str, because: str) -> list[Cause]:
    if schema.type == wanted:
        return []
    if not schema.type:
        return [required(f"{at}.type", because)]
    return [invalid(f"{at}.type", schema.type, because)]


def _maps(schema: Any, at: str) -> list[Cause]:
    kind = schema.x_kubernetes_map_type
    if kind is None:
        return []
    causes = _typed(schema, at, "object", "must be object if x-kubernetes-map-type is specified")
    return causes + one_of(f"{at}.x-kubernetes-map-type", kind, ("atomic", "granular"))


def _lists(schema: Any, at: str) -> list[Cause]:
    kind, keys = schema.x_kubernetes_list_type, schema.x_kubernetes_list_map_keys
    field = f"{at}.x-kubernetes-list-type"
    causes: list[Cause] = []
    if kind is not None:
        causes += _typed(schema, at, "array", "must be array if x-kubernetes-list-type is specified")
        causes += one_of(field, kind, ("atomic", "map", "set"))
    if keys and kind is None:
        causes.append(required(field, "must be map if x-kubernetes-list-map-keys is non-empty"))
    elif keys and kind != "map":
        causes.append(invalid(field, kind, "must be map if x-kubernetes-list-map-keys is non-empty"))
    if kind == "map":
        causes += _map_list(schema, keys, at)
    elif kind == "set" and is_schema(schema.items):
        causes += _set_items(schema.items, f"{at}.items")
    return causes


def _set_items(items: Any, at: str) -> list[Cause]:
    if items.nullable:
        return [forbidden(f"{at}.nullable", "cannot be nullable when x-kubernetes-list-type is set")]
    if items.type == "array" and items.x_kubernetes_list_type not in ("atomic", None):
        message = "must be atomic as item of a list with x-kubernetes-list-type=set"
        return [invalid(f"{at}.x-kubernetes-list-type", items.x_kubernetes_list_type, message)]
    if items.type == "object" and items.x_kubernetes_map_type != "atomic":
        message = "must be atomic as item of a list with x-kubernetes-list-type=set"
        if items.x_kubernetes_map_type is None:
            return [required(f"{at}.x-kubernetes-map-type", message)]
        return [invalid(f"{at}.x-kubernetes-map-type", items.x_kubernetes_map_type, message)]
    return []


def _map_list(schema: Any, keys: list[str], at: str) -> list[Cause]:
    field, items = f"{at}.x-kubernetes-list-map-keys", schema.items
    causes = [] if keys else [required(field, "must not be empty if x-kubernetes-list-type is map")]
    if items is None:
        return [*causes, required(f"{at}.items", "must have a schema if x-kubernetes-list-type is map")]
    if not is_schema(items):
        return [*causes, invalid(f"{at}.items", items, "must only have a single schema if x-kubernetes-list-type is map")]
    if items.type != "object":
        message = "must be object if parent array's x-kubernetes-list-type is map"
        causes.append(invalid(f"{at}.items.type", items.type, message))
    for i, key in enumerate(keys):
        found = items.properties.get(key)
        if key in keys[:i]:
            causes.append(duplicate(f"{field}[{i}]", key))
        if found is None:
            causes.append(invalid(field, keys, "entries must all be names of item properties"))
            continue
        where = f"{at}.items.properties[{key}]"
        if found.type in ("array", "object"):
            message = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            causes.append(invalid(f"{where}.type", found.type, message))
        if key not in items.required and found.default is None:
            message = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            causes.append(required(f"{where}.default", message))
        if found.nullable:
            causes.append(forbidden(f"{where}.nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"))
    return causes


def _rules(schema: Any, at: str, loose: str) -> list[Cause]:
    causes: list[Cause] = []
    for i, rule in enumerate(schema.x_kubernetes_validations):
        where = f"{at}.x-kubernetes-validations[{i}]"
        if not rule.rule.strip():
            causes.append(required(f"{where}.rule", "rule is not specified"))
        else:
            causes += expression(f"{where}.rule", rule.rule, ("self", "oldSelf")) or _compiles(f"{where}.rule", rule.rule, "bool")
        if loose and _OLD.search(rule.rule) and not rule.optionalOldSelf:
            message = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {loose}"
            causes.append(invalid(f"{where}.rule", rule.rule, message))
        causes += _message(rule, where)
        if rule.reason is not None and rule.reason not in _REASONS:
            causes.append(unsupported(f"{where}.reason", rule.reason, _REASONS))
        if rule.optionalOldSelf is not None and "oldSelf" not in rule.rule:
            message = "may not be set if oldSelf is not used in rule"
            causes.append(invalid(f"{where}.optionalOldSelf", rule.optionalOldSelf, message))
    return causes


def _compiles(field: str, text: str, kind: str) -> list[Cause]:
    """What only the language's own compiler finds: functions that do not exist, operands that do not fit."""
    try:
        found = compiled(text, ("self", "oldSelf")).kind
    except ExpressionError as error:
        return [invalid(field, text, f"compilation failed: {error}")]
    if found in (kind, "dyn"):
        return []
    wanted = "must evaluate to a bool" if kind == "bool" else "must evaluate to a string"
    return [invalid(field, text, wanted)]


def _message(rule: Any, at: str) -> list[Cause]:
    message, told = rule.message, rule.messageExpression
    trimmed = message.strip()
    causes: list[Cause] = []
    if message and not trimmed:
        causes.append(invalid(f"{at}.message", message, "message must be non-empty if specified"))
    elif "\n" in trimmed or "\r" in trimmed:
        causes.append(invalid(f"{at}.message", message, "message must not contain line breaks"))
    elif "\n" in rule.rule.strip() and not trimmed and not told:
        causes.append(required(f"{at}.message", "message must be specified if rule contains line breaks"))
    if len(message) > _LONGEST_MESSAGE:
        causes.append(Cause("FieldValueTooLong", f"Too long: may not be more than {_LONGEST_MESSAGE} bytes", f"{at}.message"))
    if told and not told.strip():
        causes.append(required(f"{at}.messageExpression", "messageExpression must be non-empty if specified"))
    elif told:
        field = f"{at}.messageExpression"
        causes += expression(field, told, ("self", "oldSelf"), "string") or _compiles(field, told, "string")
    return causes
