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
from bareboat.models import schema

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
                    del self._known[next(iter(self._known))]  # the oldest: to let all go at once takes 6 ms
                self._known[key] = known
        return known


class Flat:
    """A kind that has nothing beside its metadata but single values and maps of them (ConfigMap, Secret): no walk over a tree."""

    def __init__(self, parts: list[tuple[str, str, Any, bool]]) -> None:
        self._parts = parts

    def fields(self, obj: Any) -> Node:
        """What its creator owns beside metadata, in order."""
        out: Node = {}
        for attr, at, nothing, is_map in self._parts:
            value = getattr(obj, attr)
            if value != nothing:
                out[at] = _map(value) if is_map else {}
        return out


def flat(cls: type[msgspec.Struct], empty: dict[str, Any], manager: FieldManager) -> Flat | None:
    """``empty``: what is written of an object with nothing in it, beside its metadata. None for a kind that is not flat."""
    nothing, parts = cls(), []
    for field in schema.by_key(schema.key_of(cls)):
        name = field.json_name
        if name in ("apiVersion", "kind", "metadata"):
            continue
        atom = manager.atom.fields.get(name)
        if atom is None:
            return None
        is_map = atom.kind == "map" and not atom.fields and atom.element is not None and atom.element.kind == "leaf"
        if name in empty or f"f:{name}" in manager.reset or not (is_map or atom.kind == "leaf"):
            return None
        parts.append((field.attr, f"f:{name}", getattr(nothing, field.attr), is_map))
    return Flat(sorted(parts, key=lambda part: part[1]))


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
