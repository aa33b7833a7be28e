"""Validation of a tree against its schema, with upstream's causes and field paths.

On an update a value that equals the one it replaces is not looked at again (ratcheting): an object that was fine when it was
written can still be changed elsewhere after its schema became stricter. Members are compared by name, items of keyed lists by key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bareboat.api.custom.schema import MISSING, Branches, Schema
from bareboat.api.custom.values import restricted
from bareboat.api.kinds.causes import invalid, required
from bareboat.models.status import Cause

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "integer": (int,),
    "number": (int, float),
}


def check(value: Any, schema: Schema, at: str = "", old: Any = MISSING) -> list[Cause]:
    """``old`` MISSING: there is nothing to compare with."""
    if old is not MISSING and old == value and type(old) is type(value):
        return []
    if value is None:
        return [] if schema.nullable else _wrong_type(value, schema, at)
    causes = _wrong_type(value, schema, at)
    if schema.branches is not None:
        causes += _branches(value, schema.branches, at)
    if schema.values is not None or schema.format:
        causes += restricted(value, schema, at)
    if isinstance(value, dict):
        causes += _members(value, schema, at, old)
    elif isinstance(value, list) and schema.items is not None:
        before = by_key(old, schema) if isinstance(old, list) and schema.list_type == "map" else {}
        for index, item in enumerate(value):
            causes += check(item, schema.items, f"{at}[{index}]", before.get(key_of(item, schema), MISSING) if before else MISSING)
    return causes


def _members(value: dict[str, Any], schema: Schema, at: str, old: Any) -> list[Cause]:
    prefix = f"{at}." if at else ""
    causes = [required(f"{prefix}{name}") for name in schema.required if name not in value]
    before = old if isinstance(old, dict) else {}
    for name, item in value.items():
        below = schema.property(name)
        if below is not None:
            causes += check(item, below, f"{prefix}{name}", before.get(name, MISSING))
    return causes


def kind_of(value: Any) -> str:
    """The name that messages give to a value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    found = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return found[type(value)]


def _wrong_type(value: Any, schema: Schema, at: str) -> list[Cause]:
    if schema.int_or_string:
        wanted, fits = "integer,string", isinstance(value, int | str) and not isinstance(value, bool)
    elif not schema.kind or (value is None and not schema.kind):
        return []
    else:
        wanted = schema.kind
        fits = isinstance(value, _TYPES.get(wanted, ())) and (not isinstance(value, bool) or wanted == "boolean")
        fits = fits or (wanted == "integer" and isinstance(value, float) and value.is_integer())
    if fits:
        return []
    found = kind_of(value)
    return [type_invalid(at, found, f'{at} in body must be of type {wanted}: "{found}"')]


def type_invalid(at: str, value: Any, because: str) -> Cause:
    cause = invalid(at, value, because)
    return Cause("FieldValueTypeInvalid", cause.message, cause.field)


def _branches(value: Any, branches: Branches, at: str) -> list[Cause]:
    """The logic junctors; the faults of the best attempt come with them."""
    causes: list[Cause] = []
    if branches.any_of:
        attempts = [check(value, child, at) for child in branches.any_of]
        if all(attempts):
            causes += [invalid(at, "", f'"{at}" must validate at least one schema (anyOf)'), *min(attempts, key=len)]
    if branches.one_of:
        attempts = [check(value, child, at) for child in branches.one_of]
        valid = sum(not faults for faults in attempts)
        said = f'"{at}" must validate one and only one schema (oneOf). Found'
        if valid == 0:
            causes += [invalid(at, "", f"{said} none valid"), *min(attempts, key=len)]
        elif valid > 1:
            causes.append(invalid(at, "", f"{said} {valid} valid alternatives"))
    failed = [faults for child in branches.all_of if (faults := check(value, child, at))]
    if failed:
        none = ". None validated" if len(failed) == len(branches.all_of) else ""
        causes += [
            *(fault for faults in failed for fault in faults),
            invalid(at, "", f'"{at}" must validate all the schemas (allOf){none}'),
        ]
    if branches.none_of is not None and not check(value, branches.none_of, at):
        causes.append(invalid(at, "", f'"{at}" must not validate the schema (not)'))
    return causes


def key_of(item: Any, schema: Schema) -> Any:
    """What tells an item of a keyed list from the others; None for one without."""
    if not isinstance(item, dict):
        return None
    found = tuple((name, _hashable(item.get(name, _default(schema, name)))) for name in schema.list_keys)
    return None if all(value is None for _, value in found) else found


def _default(schema: Schema, name: str) -> Any:
    below = schema.items.properties.get(name) if schema.items is not None else None
    return None if below is None or below.default is MISSING else below.default


def _hashable(value: Any) -> Any:
    return repr(value) if isinstance(value, dict | list) else value


def by_key(items: list[Any], schema: Schema) -> dict[Any, Any]:
    return {key: item for item in items if (key := key_of(item, schema)) is not None}


def duplicates(value: Any, schema: Schema, at: str = "") -> Iterator[Cause]:
    """Items that come twice in lists that are sets or maps."""
    if isinstance(value, dict):
        for name, item in value.items():
            below = schema.property(name)
            if below is not None and isinstance(item, dict | list):
                yield from duplicates(item, below, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        if schema.keyed:
            yield from _twice(value, schema, at)
        if schema.items is not None:
            for index, item in enumerate(value):
                if isinstance(item, dict | list):
                    yield from duplicates(item, schema.items, f"{at}[{index}]")


def _twice(items: list[Any], schema: Schema, at: str) -> Iterator[Cause]:
    seen: set[Any] = set()
    told: set[Any] = set()
    for index, item in enumerate(items):
        key = key_of(item, schema) if schema.list_type == "map" else (type(item).__name__, _hashable(item))
        if key is None:
            continue
        if key in seen and key not in told:
            told.add(key)
            value = {n: item.get(n) for n in schema.list_keys if n in item} if schema.list_type == "map" else item
            yield Cause("FieldValueDuplicate", invalid("", value, "").message.replace("Invalid", "Duplicate", 1), f"{at}[{index}]")
        seen.add(key)
