"""Objects of kinds that are defined at run time: typed metadata, everything else a plain tree.

In and out: the same JSON as every object has, ``kind`` and ``apiVersion`` first, then ``metadata``. What may be in the tree is
the business of the definition's schema, not of this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from bareboat.models import meta_v1

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode
_OWN = ("kind", "apiVersion", "metadata")


class CustomObject(msgspec.Struct):
    """``content`` has every member but kind, apiVersion and metadata."""

    kind: str
    apiVersion: str
    metadata: meta_v1.ObjectMeta
    content: dict[str, Any] = {}


def decode(data: bytes) -> CustomObject:
    """Raises DecodeError."""
    return from_tree(_decode(data))


def from_tree(tree: dict[str, Any]) -> CustomObject:
    """Shares the content with the tree. Raises DecodeError if metadata is not what it must be."""
    from bareboat.models import codec, meta_v1

    meta = codec.from_tree(meta_v1.ObjectMeta, tree.get("metadata") or {})
    content = {name: value for name, value in tree.items() if name not in _OWN}
    return CustomObject(str(tree.get("kind") or ""), str(tree.get("apiVersion") or ""), meta, content)


def encode(obj: CustomObject) -> bytes:
    from bareboat.models import codec

    head = b'{"kind":%b,"apiVersion":%b,"metadata":%b' % (_encode(obj.kind), _encode(obj.apiVersion), codec.encode(obj.metadata))
    return head + (b"," + _encode(obj.content)[1:] if obj.content else b"}")


def to_tree(obj: CustomObject) -> dict[str, Any]:
    """Shares the content with the object."""
    from bareboat.models import codec

    return {"kind": obj.kind, "apiVersion": obj.apiVersion, "metadata": codec.to_tree(obj.metadata), **obj.content}
