"""Who owns what of a new object, the short way: its metadata without a walk, and a spec that was seen before not again.

A spec's fields follow from its bytes, its type and what the endpoint never writes, so objects of one template share the result. It is
made as JSON, in ``Parts``: by the name of each field, its member of the object that is written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from bareboat.api.managed.entries import ordered
from bareboat.api.managed.manager import FieldManager
from bareboat.api.managed.sets import Node
from bareboat.models import schema

Parts = dict[str, bytes]
Shape = tuple[Any, ...]

_encode = msgspec.json.Encoder().encode
#: Specs that are remembered, and the size of the largest.
MOST, LARGEST = 512, 32 * 1024
#: Maps whose keys are remembered: how many, and how large each.
MAPS, KEYS, CHARACTERS = 1024, 32, 1024


class Specs:
    """Those that were seen, by the manager of their endpoint (which lives as long as the process)."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bytes], Parts] = {}

    def fields(self, manager: FieldManager, spec: Any, empty: Any, tree: Any) -> Parts:
        """``tree()`` gives the spec as a tree, ``empty`` is that of the kind's empty object. Raises NoKey."""
        data = _encode(spec)
        key = (id(manager), data)
        known = self._known.get(key)
        if known is None:
            known = spelled(manager.gained({"spec": empty}, {"spec": tree()}))
            if len(data) <= LARGEST:
                if len(self._known) >= MOST:
                    del self._known[next(iter(self._known))]  # the oldest: to let all go at once takes 6 ms
                self._known[key] = known
        return known


class Shapes:
    """Objects of single values, alone and in structures (Events): what is owned follows from which values differ from nothing."""

    def __init__(self) -> None:
        self._known: dict[tuple[FieldManager, Shape], Parts] = {}

    def fields(self, manager: FieldManager, obj: Any, nothing: Any, find: Callable[[], Parts]) -> Parts:
        """What its creator owns beside metadata. ``nothing`` is an empty object; ``find()`` goes the long way, and may raise NoKey."""
        shape = _shape(obj, nothing, beside=("metadata",))
        if shape is None:
            return find()
        key = (manager, shape)
        known = self._known.get(key)
        if known is None:
            known = find()
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = known
        return known


def _shape(obj: Any, nothing: Any, beside: tuple[str, ...] = ()) -> Shape | None:
    """Of each field: nothing, a value or a structure. None: with lists or maps, of which the keys count."""
    found: list[Any] = [obj.__class__]
    for name in obj.__struct_fields__:
        value, absent = getattr(obj, name), getattr(nothing, name)
        if name in beside or value == absent:
            found.append(0)
        elif isinstance(value, msgspec.Struct):
            below = _shape(value, absent if absent is not None else value.__class__())
            if below is None:
                return None
            found.append(below)
        elif isinstance(value, (dict, list, msgspec.Raw)):
            return None
        else:
            found.append(1)
    return tuple(found)


def spelled(fields: Node) -> Parts:
    """Of any kind's fields beside metadata."""
    return {name: _member(name, below) for name, below in ordered(fields).items()}


def joined(parts: Parts) -> msgspec.Raw:
    """The object that has these members, in order; nothing (and false) if there are none."""
    if not parts:
        return msgspec.Raw()
    return msgspec.Raw(b"{%b}" % b",".join([parts[name] for name in sorted(parts)]))


class Flat:
    """A kind that has nothing beside its metadata but single values and maps of them (ConfigMap, Secret): no walk over a tree."""

    def __init__(self, parts: list[tuple[str, str, Any, bool]]) -> None:
        self._parts = parts

    def fields(self, obj: Any) -> Parts:
        """What its creator owns beside metadata."""
        out: Parts = {}
        for attr, at, nothing, is_map in self._parts:
            value = getattr(obj, attr)
            if value != nothing:
                out[at] = _map(at, value) if is_map else b'"%b":{}' % at.encode()
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


def of_metadata(meta: Any) -> Parts | None:
    """What the creator owns of ordinary metadata: labels, annotations, owners, finalizers, generateName. None: walk it."""
    if meta.deletionTimestamp or meta.deletionGracePeriodSeconds:
        return None
    out: list[bytes] = []
    if meta.annotations:
        out.append(_map("f:annotations", meta.annotations))
    if meta.finalizers:
        out.append(_member("f:finalizers", {".": {}, **{f"v:{_spelled(f)}": {} for f in sorted(meta.finalizers, key=_spelled)}}))
    if meta.generateName:
        out.append(b'"f:generateName":{}')
    if meta.labels:
        out.append(_map("f:labels", meta.labels))
    if meta.ownerReferences:
        keys = sorted(f'k:{{"uid":{_spelled(owner.uid)}}}' for owner in meta.ownerReferences)
        out.append(_member("f:ownerReferences", {".": {}, **{key: {} for key in keys}}))
    return {"f:metadata": b'"f:metadata":{%b}' % b",".join(out)} if out else {}


def _spelled(text: str) -> str:
    return _encode(text).decode()


def _member(name: str, fields: Node) -> bytes:
    return b'"%b":%b' % (name.encode(), _encode(fields))


def _map(name: str, pairs: dict[str, str]) -> bytes:
    if len(pairs) <= KEYS and sum(map(len, pairs)) <= CHARACTERS:
        return _map_of(name, *pairs)
    return _map_of.__wrapped__(name, *pairs)


@lru_cache(MAPS)
def _map_of(name: str, *keys: str) -> bytes:
    """Objects of one kind mostly have the same keys."""
    return _member(name, {".": {}, **{f"f:{key}": {} for key in sorted(keys)}})
