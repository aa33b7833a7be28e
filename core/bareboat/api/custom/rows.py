"""Between what is stored and what is served of custom objects.

Stored:  ``{"metadata":{"name":…},…,"apiVersion":"group/version#mark"}``  the version that was the storage version when the object
         was written, and a mark of its schema at that time.
Served:  like every object. A row with the present mark of the wanted version is served with its head and tail exchanged; any
         other is decoded, pruned, converted and given its defaults first, and remembered for the next reader.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api.custom.defaults import default
from bareboat.api.custom.definition import Version
from bareboat.api.custom.pruning import prune
from bareboat.models import custom
from bareboat.models.custom import CustomObject
from bareboat.models.scheme import Scheme
from bareboat.store.entry import Entry, head

if TYPE_CHECKING:
    from bareboat.api.custom.conversion import Converter

#: What the log's bytes of custom objects start with: the log knows no versions.
START = head("", "")
#: Worked rows of a version that are remembered.
KEPT = 4096
#: Rows that are worked on before others get their turn on the loop.
AT_ONCE = 64

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Heads:
    """For the log: what served bytes of a resource ("apps/deployments") start with, as long as the scheme stays as it is."""

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        self._generation = -1
        self._known: dict[str, bytes] = {}

    def __call__(self, key: str) -> bytes:
        if self._generation != self._scheme.generation:
            self._generation = self._scheme.generation
            self._known.clear()
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._head(key)
        return found

    def _head(self, key: str) -> bytes:
        group, _, plural = key.partition("/")
        try:
            stored = self._scheme.storage("" if group == "core" else group, plural)
        except KeyError:
            return START
        return START if stored.custom else head(stored.kind, stored.api_version)


async def seen(version: Version, converter: Converter, entries: list[Entry]) -> list[Entry]:
    """The entries with the bytes that clients of ``version`` get."""
    out: list[Entry | None] = [_ready(version, entry) for entry in entries]
    missing = [i for i, entry in enumerate(out) if entry is None]
    if missing:
        bodies = await _worked(version, converter, [entries[i] for i in missing])
        for i, data in zip(missing, bodies, strict=True):
            entry = entries[i]
            _remember(version, entry, data)
            out[i] = Entry(entry.key, entry.revision, entry.created, data, entry.expires_at)
    return [entry for entry in out if entry is not None]


def _ready(version: Version, entry: Entry) -> Entry | None:
    data = entry.data
    if data.startswith(version.head):
        return entry
    if data.endswith(version.tail):
        served = b"".join((version.head, memoryview(data)[len(START) : -len(version.tail)], b"}"))
    else:
        known = version.worked.get((entry.key, entry.revision))
        if known is None:
            return None
        served = known
    return Entry(entry.key, entry.revision, entry.created, served, entry.expires_at)


def _remember(version: Version, entry: Entry, data: bytes) -> None:
    if len(version.worked) >= KEPT:
        version.worked.clear()
    version.worked[entry.key, entry.revision] = data


async def _worked(version: Version, converter: Converter, entries: list[Entry]) -> list[bytes]:
    trees = []
    for number, entry in enumerate(entries):
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        tree = _tree(version, entry)
        stored = version.definition.of(tree["apiVersion"])
        if stored is not None and stored is not version:
            prune(tree, stored.schema)
        trees.append(tree)
    bodies = []
    for number, tree in enumerate(await converter.convert(version.definition, trees, version.api_version)):
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        prune(tree, version.schema)
        default(tree, version.schema, partly=True)
        bodies.append(_served(tree))
    return bodies


def _tree(version: Version, entry: Entry) -> dict[str, Any]:
    tree = _decode(entry.data)
    tree["kind"] = version.definition.kind
    tree["apiVersion"] = tree["apiVersion"].partition("#")[0]
    return tree


def _served(tree: dict[str, Any]) -> bytes:
    """A tree as served bytes: kind and apiVersion, metadata with its resourceVersion in front, the rest."""
    meta = tree.pop("metadata")
    meta = {"resourceVersion": meta.pop("resourceVersion"), **meta}
    rest = {name: value for name, value in tree.items() if name not in ("kind", "apiVersion")}
    start = head(tree["kind"], tree["apiVersion"]) + b'"metadata":' + msgspec.json.encode(meta)
    return start + (b"," + _encode(rest)[1:] if rest else b"}")


async def row(version: Version, converter: Converter, obj: CustomObject) -> bytes:
    """What is stored of an object of ``version``: in the storage version, without kind and resourceVersion."""
    obj.metadata.resourceVersion = ""
    storage = version.definition.storage
    if storage is not version:
        tree = custom.to_tree(obj)
        [tree] = await converter.convert(version.definition, [tree], storage.api_version)
        prune(tree, storage.schema)
        obj = custom.from_tree(tree)
        obj.metadata.resourceVersion = ""
    start = head(obj.kind, obj.apiVersion)
    return b"".join((b"{", memoryview(custom.encode(obj))[len(start) : -1], storage.tail))
