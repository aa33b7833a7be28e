"""Strategic merge patch: a merge patch that knows the type: lists with a merge key are merged item by item.

Directives: ``$patch: replace|delete|merge``, ``$deleteFromPrimitiveList/<field>``, ``$setElementOrder/<field>``, ``$retainKeys``.
The facts (patch strategy, merge key) come from ``models.schema``; upstream's specification is in its
strategic-merge-patch document.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.models import schema
from bareboat.models.schema import Field, TypeSchema
from bareboat.models.status import BadRequest

Tree = dict[str, Any]
DIRECTIVE, RETAIN = "$patch", "$retainKeys"
DELETE_PREFIX, ORDER_PREFIX = "$deleteFromPrimitiveList/", "$setElementOrder/"
_PREFIXES = (DELETE_PREFIX, ORDER_PREFIX)


def apply_strategic_patch(cls: type[msgspec.Struct], tree: Tree, patch: Tree) -> Tree:
    """``tree`` may be changed in place. Raises BadRequest for a directive that makes no sense."""
    return _merge_map(tree, patch, schema.of(cls))


def _merge_map(target: Tree, patch: Tree, known: TypeSchema | None) -> Tree:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return {k: v for k, v in patch.items() if k != DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadRequest(f"Unknown patch type found: {directive}")
    if RETAIN in patch:
        keep = set(patch[RETAIN] or ())
        target = {k: v for k, v in target.items() if k in keep}
    orders = {key.removeprefix(ORDER_PREFIX): value or [] for key, value in patch.items() if key.startswith(ORDER_PREFIX)}
    for name, order in orders.items():
        _merge_ordered(target, name, order, patch, known.by_name.get(name) if known else None)
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN) or key in orders or key.startswith(ORDER_PREFIX):
            continue
        if key.startswith(DELETE_PREFIX):
            _delete_values(target, key.removeprefix(DELETE_PREFIX), value)
        else:
            _merge_field(target, key, value, known.by_name.get(key) if known else None)
    return target


def _merge_field(target: Tree, key: str, value: Any, field: Field | None) -> None:
    if value is None:
        target.pop(key, None)
        return
    current = target.get(key)
    strategies = _strategies(field)
    if current is None:
        _put(target, key, value)
    elif isinstance(value, dict) and isinstance(current, dict):
        target[key] = value if "replace" in strategies else _merge_map(current, value, field.type if field else None)
    elif isinstance(value, list) and isinstance(current, list) and "merge" in strategies:
        target[key] = _merge_list(current, value, field)
    else:
        target[key] = value


def _strategies(field: Field | None) -> list[str]:
    return (field.patch_strategy if field else "").split(",")


def _put(target: Tree, key: str, value: Any) -> None:
    """What is new is taken as it is, but for directives, and for the nulls that mean removal."""
    plain, kept = _plain(value)
    if kept:
        target[key] = plain


def _plain(value: Any) -> tuple[Any, bool]:
    """Without directives; an object that is told what to do with an original that is not there is nothing."""
    if isinstance(value, dict):
        if DIRECTIVE in value:
            return None, False
        pairs = [(k, _plain(v)) for k, v in value.items() if v is not None and not k.startswith(_PREFIXES) and k != RETAIN]
        return {k: plain for k, (plain, kept) in pairs if kept}, True
    if isinstance(value, list):
        return [plain for plain, kept in map(_plain, value) if kept], True
    return value, True


def _merge_list(current: list[Any], patch: list[Any], field: Field | None) -> list[Any]:
    """Items of the patch in its order among those that only the server has."""
    key = field.merge_key if field else ""
    if not key:
        merged = list(dict.fromkeys([*current, *patch]))
        return _ordered(merged, patch, current, "")
    current, patch = _special(current, patch, key)
    return _ordered(_merge_items(current, patch, key, field), patch, current, key)


def _special(current: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """What the directives among the items do, and the items without them."""
    plain, replaced = [], False
    for item in patch:
        if not isinstance(item, dict):
            raise BadRequest(f"expected a map in a list merged by {key}, got {item}")
        directive = item.get(DIRECTIVE)
        if directive is None:
            plain.append(item)
        elif directive == "replace":
            replaced = True
        elif directive == "delete":
            _require(item, key)
            current = [have for have in current if not (isinstance(have, dict) and have.get(key) == item[key])]
        elif directive == "merge":
            raise BadRequest("merging lists cannot yet be specified in the patch")
        else:
            raise BadRequest(f"Unknown patch type found: {directive}")
    return (plain, []) if replaced else (current, plain)


def _require(item: Tree, key: str) -> None:
    if key not in item:
        raise BadRequest(f"map: {msgspec.json.encode(item).decode()} does not contain declared merge key: {key}")


def _merge_items(current: list[Any], patch: list[Any], key: str, field: Field | None) -> list[Any]:
    result = list(current)
    for item in patch:
        _require(item, key)
        position = next((i for i, have in enumerate(result) if isinstance(have, dict) and have.get(key) == item[key]), None)
        if position is None:
            result.append(_plain(item)[0])
        else:
            result[position] = _merge_map(result[position], item, field.type if field else None)
    return result


def _merge_ordered(target: Tree, name: str, order: list[Any], patch: Tree, field: Field | None) -> None:
    """A list whose order the patch gives."""
    current, wanted = target.get(name), patch.get(name)
    if wanted is not None and isinstance(current, list):
        merged = _merge_list(current, wanted, field)
    elif wanted is not None:
        merged = _plain(wanted)[0]
    elif isinstance(current, list):
        merged = current
    else:
        return
    target[name] = _ordered(merged, order, current or [], field.merge_key if field else "")


def _ordered(merged: list[Any], wanted: list[Any], server: list[Any], key: str) -> list[Any]:
    """Items named in ``wanted`` in that order, the server's own in theirs, and both as they stood to each other on the server."""
    place = {_identity(item, key): at for at, item in reversed(list(enumerate(wanted)))}
    was = {_identity(item, key): at for at, item in reversed(list(enumerate(server)))}
    named = sorted((i for i in merged if _identity(i, key) in place), key=lambda i: place[_identity(i, key)])
    others = sorted((i for i in merged if _identity(i, key) not in place), key=lambda i: was.get(_identity(i, key), len(was)))
    out: list[Any] = []
    while named and others:
        left, right = was.get(_identity(others[0], key)), was.get(_identity(named[0], key))
        out.append((others if left is not None and right is not None and left < right else named).pop(0))
    return [*out, *named, *others]


def _identity(item: Any, key: str) -> Any:
    found = item.get(key) if key and isinstance(item, dict) else item
    return msgspec.json.encode(found) if isinstance(found, (dict, list)) else found


def _delete_values(target: Tree, key: str, values: Any) -> None:
    if isinstance(target.get(key), list):
        target[key] = [v for v in target[key] if v not in (values or ())]
