"""The smallest strategic merge patch from one status to another. Pure.

What comes in: a status as it is known and as it should be, as trees. What goes out: only what differs. A list with a merge key carries the
items that changed, so what others wrote into the list meanwhile (a readiness gate's condition) is not lost; other lists are replaced.
"""

from __future__ import annotations

from typing import Any

#: Lists of Pod and Node statuses that merge, with the key of their items.
MERGE_KEYS = {"conditions": "type", "podIPs": "ip", "hostIPs": "ip", "addresses": "type", "resourceClaimStatuses": "name"}


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Empty if there is none."""
    patch: dict[str, Any] = {}
    for name in [*after, *(n for n in before if n not in after)]:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        key = MERGE_KEYS.get(name)
        if key is not None:
            patch[name] = _items(old or [], new or [], key)
        elif isinstance(old, dict) and isinstance(new, dict):
            patch[name] = difference(old, new)
        else:
            patch[name] = new
    return patch


def _items(before: list[dict[str, Any]], after: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    old, new = {i[key]: i for i in before}, {i[key]: i for i in after}
    changed = [_item(old.get(k, {}), i, key) for k, i in new.items() if old.get(k) != i]
    return [*changed, *({"$patch": "delete", key: k} for k in old if k not in new)]


def _item(before: dict[str, Any], after: dict[str, Any], key: str) -> dict[str, Any]:
    return {key: after[key], **difference(before, after)}
