"""Who owns what of a new object, the short way: its metadata without a walk, and a spec that was seen before not again.

A spec's fields follow from its bytes, its type and what the endpoint never writes, so objects of one template share the result.
Nobody writes to it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.api.managed.entries import ordered
from bareboat.api.managed.manager import FieldManager
from bareboat.api.managed.sets import Node

_encode = msgspec.json.Encoder().encode
#: Specs that are remembered, and the size of the largest.
MOST, LARGEST = 512, 32 * 1024


class Specs:
    """Those that were seen, by the manager of their endpoint (which lives as long as the process)."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bytes], Node] = {}

    def fields(self, manager: FieldManager, spec: Any, empty: Any, tree: Any) -> Node:
        """``tree()`` gives the spec as a tree, ``empty`` is that of the kind's empty object. Raises NoKey."""
        data = _encode(spec)
        key = (id(manager), data)
        known = self._known.get(key)
        if known is None:
            known = ordered(manager.gained({"spec": empty}, {"spec": tree()}))
            if len(data) <= LARGEST:
                if len(self._known) >= MOST:
                    self._known.clear()
                self._known[key] = known
        return known


def of_metadata(meta: Any) -> Node | None:
    """What the creator owns of ordinary metadata, in order: labels, annotations, owners, finalizers, generateName. None: walk it."""
    out: Node = {}
    if meta.annotations:
        out["f:annotations"] = _map(meta.annotations)
    if meta.finalizers:
        out["f:finalizers"] = {".": {}, **{f"v:{_encode(f).decode()}": {} for f in sorted(meta.finalizers, key=_spelled)}}
    if meta.generateName:
        out["f:generateName"] = {}
    if meta.labels:
        out["f:labels"] = _map(meta.labels)
    if meta.ownerReferences:
        keys = sorted(f'k:{{"uid":{_encode(owner.uid).decode()}}}' for owner in meta.ownerReferences)
        out["f:ownerReferences"] = {".": {}, **{key: {} for key in keys}}
    return out if not (meta.deletionTimestamp or meta.deletionGracePeriodSeconds) else None


def _spelled(text: str) -> str:
    return _encode(text).decode()


def _map(pairs: dict[str, str]) -> Node:
    return {".": {}, **{f"f:{key}": {} for key in sorted(pairs)}}
