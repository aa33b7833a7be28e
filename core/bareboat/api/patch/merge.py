"""JSON merge patch, RFC 7386: null removes, objects merge, the rest replaces. As upstream, objects in lists lose their nulls, too."""

from __future__ import annotations

from typing import Any


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """``target`` may be changed in place; the result is what counts."""
    if isinstance(patch, list):
        return [None if item is None else apply_merge_patch(None, item) for item in patch]
    if not isinstance(patch, dict):
        return patch
    result = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge_patch(result.get(key), value)
    return result
