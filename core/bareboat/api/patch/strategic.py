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


def apply_strategic_patch(cls: type[msgspec.Struct], tree: Tree, patch: Tree) -> Tree:
    """``tree`` may be changed in place. Raises BadRequest for a directive that makes no sense."""
    return _merge_map(tree, patch, schema.of(cls))


def _merge_map(target: Tree, patch: Tree, known: TypeSchema | None) -> Tree:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        replaced: Tree = _plain({k: v for k, v in patch.items() if k != DIRECTIVE})
        return replaced
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadRequest(f"Unknown patch type found: {directive}")
    if RETAIN in patch:
        keep = set(patch[RETAIN] or ())
        target = {k: v for k, v in target.items() if k in keep}
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN):
            continue
        if key.startswith(DELETE_PREFIX):
            _delete_values(target, key.removeprefix(DELETE_PREFIX), value)
        elif not key.startswith(ORDER_PREFIX):
            _merge_field(target, key, value, known.by_name.get(key) if known else None)
    for key, order in patch.items():
        if key.startswith(ORDER_PREFIX):
            name = key.removeprefix(ORDER_PREFIX)
            _reorder(target, name, order or [], known.by_name.get(name) if known else None, patch.get(name) or [])
    return target


def _merge_field(target: Tree, key: str, value: Any, field: Field | None) -> None:
    if value is None:
        target.pop(key, None)
        return
    current = target.get(key)
    strategy = (field.patch_strategy if field else "").split(",")
    if isinstance(value, dict):
        known = field.type if field else None
        base: Tree = {} if "replace" in strategy or not isinstance(current, dict) else current
        if isinstance(current, dict) and "retainKeys" in strategy and RETAIN not in value and "$patch" not in value:
            base = current
        merged = _merge_map(base, value, known)
        if value.get(DIRECTIVE) == "delete":
            target.pop(key, None)
        else:
            target[key] = merged
    elif isinstance(value, list) and "merge" in strategy:
        target[key] = _merge_list(current if isinstance(current, list) else [], value, field)
    else:
        target[key] = _plain(value)


def _merge_list(current: list[Any], patch: list[Any], field: Field | None) -> list[Any]:
    if field is None or not field.merge_key:
        return [*current, *(v for v in patch if v not in current)]
    key = field.merge_key
    if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" for item in patch):
        return [_plain(i) for i in patch if not (isinstance(i, dict) and i.get(DIRECTIVE) == "replace" and len(i) == 1)]
    result = list(current)
    for item in patch:
        if not isinstance(item, dict):
            raise BadRequest(f"map: {item} does not contain declared merge key: {key}")
        if key not in item and DIRECTIVE not in item:
            raise BadRequest(f"map: {msgspec.json.encode(item).decode()} does not contain declared merge key: {key}")
        _merge_item(result, item, key, field)
    return result


def _merge_item(result: list[Any], item: Tree, key: str, field: Field) -> None:
    position = next((i for i, have in enumerate(result) if isinstance(have, dict) and have.get(key) == item.get(key)), None)
    if item.get(DIRECTIVE) == "delete":
        result[:] = [have for have in result if not (isinstance(have, dict) and have.get(key) == item.get(key))]
    elif position is None:
        result.append(_merge_map({}, item, field.type))
    else:
        result[position] = _merge_map(result[position], item, field.type)


def _delete_values(target: Tree, key: str, values: Any) -> None:
    if isinstance(target.get(key), list):
        target[key] = [v for v in target[key] if v not in (values or ())]


def _reorder(target: Tree, name: str, order: list[Any], field: Field | None, patched: list[Any]) -> None:
    """Items in ``order`` come in that order; the others keep their place relative to their neighbours on the server."""
    items = target.get(name)
    if not isinstance(items, list):
        return
    merge_key = field.merge_key if field else ""

    def identity(item: Any) -> Any:
        return item.get(merge_key) if merge_key and isinstance(item, dict) else item

    wanted = {identity(item): position for position, item in enumerate(order)}
    listed = sorted((i for i in items if identity(i) in wanted), key=lambda i: wanted[identity(i)])
    result = list(listed)
    for index, item in enumerate(items):
        if identity(item) in wanted:
            continue
        before = next((i for i in reversed(items[:index]) if i in result), None)
        result.insert(result.index(before) + 1 if before is not None else 0, item)
    target[name] = result


def _plain(value: Any) -> Any:
    """What is put in anew: without directives, and without the nulls that mean removal."""
    if isinstance(value, dict):
        skipped = (DIRECTIVE, RETAIN)
        return {
            k: _plain(v) for k, v in value.items() if v is not None and k not in skipped and not k.startswith((DELETE_PREFIX, ORDER_PREFIX))
        }
    if isinstance(value, list):
        return [_plain(v) for v in value if not (isinstance(v, dict) and v.get(DIRECTIVE) == "delete")]
    return value
