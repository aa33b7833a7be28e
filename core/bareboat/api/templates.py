"""Bodies whose spec came before: what decoding and defaulting made of it then is decoded now, and who owns what of it is known.

In: the body of a create of a kind whose spec's defaults follow from the spec alone (Strategy.spec_stands_alone). Out: the object, with
its defaults, as the long way makes it; or None: then the long way has to be gone, and ``remember`` is told where it led. What is kept
follows from the bytes of a spec and its type, so it is never stale. Only specs that came twice are kept.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bareboat.api import body
from bareboat.api.managed.creation import Parts
from bareboat.api.operation import Operation
from bareboat.models.codec import DecodeError, decode_exactly, encode
from bareboat.models.repeats import repeats_in, split
from bareboat.store.entry import head

#: Specs that are kept, and the size of the largest.
MOST, LARGEST = 256, 32 * 1024
_NEEDED: Final = frozenset({"kind", "apiVersion", "metadata", "spec"})
_POSSIBLE: Final = _NEEDED | {"status"}
_NOTHING: Final = msgspec.Raw(b"{}")


class Template:
    """``spec`` is canonical and has its defaults. ``fields`` is what its creator owns of it; None: nobody has asked yet."""

    __slots__ = ("fields", "spec")

    def __init__(self, spec: bytes) -> None:
        self.spec = spec
        self.fields: Parts | None = None


class Templates:
    """Those of one process."""

    def __init__(self) -> None:
        #: None: a spec that came once
        self._known: dict[tuple[str, bytes], Template | None] = {}

    def read(self, op: Operation) -> Any | None:
        """The object; ``op.template`` is then what it was made from."""
        if not _suits(op):
            return None
        parts = _parts(op.request.body)
        if parts is None or not _NEEDED <= parts.keys() <= _POSSIBLE or parts.get("status", _NOTHING) != _NOTHING:
            return None
        found = self._known.get((op.resource.type_key, bytes(parts["spec"])))
        start = b'{"kind":%b,"apiVersion":%b,' % (bytes(parts["kind"]), bytes(parts["apiVersion"]))
        if found is None or start != head(op.resource.kind, op.resource.api_version):
            return None
        meta = bytes(parts["metadata"])
        if body.has_empty_list(meta) is not None or b'"managedFields"' in meta:
            return None
        cls: Any = op.resource.type
        try:
            obj = decode_exactly(cls, b'%b"metadata":%b,"spec":%b}' % (start, meta, found.spec))
        except DecodeError:
            return None
        if not op.request.ours and repeats_in(parts, op.request.body):
            return None
        op.template = found
        return obj

    def remember(self, op: Operation, obj: Any) -> None:
        """``obj`` is what became of the operation's body the long way."""
        if not _suits(op) or op.raw is not None or op.warnings or len(op.request.body) > LARGEST:
            return
        parts = _parts(op.request.body)
        if parts is None or "spec" not in parts:
            return
        key = op.resource.type_key, bytes(parts["spec"])
        if key not in self._known:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = None
        elif self._known[key] is None:
            spec = encode(obj.spec)
            if b"[]" not in spec and _is_read_as(spec, obj.spec):
                self._known[key] = Template(spec)


def _suits(op: Operation) -> bool:
    """Whether the way from a spec's bytes to the object is the same each time, and complains of what is wrong with them."""
    if not op.strategy.spec_stands_alone or not op.same_version or op.field_validation == "Ignore":
        return False
    return body.media_type(op.request.content_type) == body.JSON


def _is_read_as(data: bytes, spec: msgspec.Struct) -> bool:
    """A spec that lacks what it needs is not: its verdict is another one's business."""
    try:
        return decode_exactly(type(spec), data) == spec
    except DecodeError:
        return False


def _parts(data: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return split(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
