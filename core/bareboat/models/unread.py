"""Objects whose managedFields stay the bytes that they are: they are half of what there is to decode and few look at them.

In: the JSON of a stored object. Out: an object of its type, but that ``fieldsV1`` of its metadata.managedFields are ``msgspec.Raw``;
encoding writes them as they were read. Whoever wants them as trees has `codec.to_tree`, or `api.managed` reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec

from bareboat.models import meta_v1, scalars
from bareboat.models.codec import REFUSED, decode

#: What an entry has that has no fields; it is not written.
NOTHING = msgspec.Raw(b"")
T = TypeVar("T", bound=msgspec.Struct)


def decode_unread(cls: type[T], data: bytes) -> T:
    """As `codec.decode`; what only its slow way understands is read as a whole."""
    try:
        return _decoder(cls)(data)  # type: ignore[no-any-return]
    except REFUSED:
        return decode(cls, data)


@cache
def _decoder(cls: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    metadata = _metadata()
    return msgspec.json.Decoder(_with(cls, "metadata", metadata, default_factory=metadata), dec_hook=scalars.canonical).decode


@cache
def _metadata() -> type[msgspec.Struct]:
    entry: Any = _with(meta_v1.ManagedFieldsEntry, "fieldsV1", msgspec.Raw, default=NOTHING)
    return _with(meta_v1.ObjectMeta, "managedFields", list[entry], default_factory=list)


def _with(cls: type[msgspec.Struct], name: str, kind: Any, **empty: Any) -> type[msgspec.Struct]:
    """A subclass that has one field of another type, in its place."""
    known = msgspec.structs.fields(cls)
    fields: list[Any] = [(f.name, f.type, _default(f)) for f in known]
    fields[[f.name for f in known].index(name)] = (name, kind, msgspec.field(**empty))
    return msgspec.defstruct(
        cls.__name__,
        fields,
        bases=(cls,),
        module=cls.__module__,
        rename={f.name: f.encode_name for f in known},
        kw_only=True,
        omit_defaults=cls.__struct_config__.omit_defaults,
    )


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return msgspec.field() if field.default is msgspec.NODEFAULT else msgspec.field(default=field.default)
