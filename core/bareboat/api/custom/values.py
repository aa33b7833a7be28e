"""What restricts single values: bounds, lengths, patterns, enumerations, formats, sizes. One Cause for each fault."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from bareboat.api.custom.formats import FORMATS
from bareboat.api.custom.schema import Schema, Tree
from bareboat.api.kinds.causes import invalid, shown, too_long, too_many
from bareboat.models.status import Cause, quote


def restricted(value: Any, schema: Schema, at: str) -> list[Cause]:
    """Rules for other types than the value's do not apply."""
    rules = schema.values or {}
    causes: list[Cause] = []
    if isinstance(value, str):
        causes += _string(value, rules, at) + _format(value, schema.format, at)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        causes += _number(value, rules, at)
    elif isinstance(value, list):
        causes += _items(value, rules, at)
    elif isinstance(value, dict):
        causes += _members(value, rules, at)
    if "enum" in rules and not any(_same(value, allowed) for allowed in rules["enum"]):
        listed = ", ".join(quote(v if isinstance(v, str) else shown(v)) for v in rules["enum"])
        causes.append(Cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {listed}", at))
    return causes


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _string(value: str, rules: Tree, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if "maxLength" in rules and len(value) > rules["maxLength"]:
        causes.append(too_long(at, rules["maxLength"]))
    if "minLength" in rules and len(value) < rules["minLength"]:
        causes.append(invalid(at, value, f"{at} in body should be at least {rules['minLength']} chars long"))
    pattern = rules.get("pattern")
    if pattern and not _found(pattern, value):
        causes.append(invalid(at, value, f"{at} in body should match '{pattern}'"))
    return causes


def _found(pattern: str, value: str) -> bool:
    return _compiled(pattern).search(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)


def _format(value: str, name: str, at: str) -> list[Cause]:
    test = FORMATS.get(name)
    if test is None or test(value):
        return []
    message = invalid(at, value, f"{at} in body must be of type {name}: {quote(value)}").message
    return [Cause("FieldValueTypeInvalid", message, at)]


def _number(value: float, rules: Tree, at: str) -> list[Cause]:
    causes: list[Cause] = []
    low, high, step = rules.get("minimum"), rules.get("maximum"), rules.get("multipleOf")
    if high is not None:
        exclusive = rules.get("exclusiveMaximum", False)
        if value > high or (exclusive and value == high):
            causes.append(invalid(at, value, f"{at} in body should be less than {'' if exclusive else 'or equal to '}{_plain(high)}"))
    if low is not None:
        exclusive = rules.get("exclusiveMinimum", False)
        if value < low or (exclusive and value == low):
            causes.append(invalid(at, value, f"{at} in body should be greater than {'' if exclusive else 'or equal to '}{_plain(low)}"))
    if step and not float(value / step).is_integer():
        causes.append(invalid(at, value, f"{at} in body should be a multiple of {_plain(step)}"))
    return causes


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


def _items(value: list[Any], rules: Tree, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if "minItems" in rules and len(value) < rules["minItems"]:
        causes.append(invalid(at, len(value), f"{at} in body should have at least {rules['minItems']} items"))
    if "maxItems" in rules and len(value) > rules["maxItems"]:
        causes.append(too_many(at, len(value), rules["maxItems"]))
    return causes


def _members(value: dict[str, Any], rules: Tree, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if "minProperties" in rules and len(value) < rules["minProperties"]:
        causes.append(invalid(at, "", f"{at} in body should have at least {rules['minProperties']} properties"))
    if "maxProperties" in rules and len(value) > rules["maxProperties"]:
        causes.append(too_many(at, len(value), rules["maxProperties"]))
    return causes
