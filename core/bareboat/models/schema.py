"""What is known of a type beyond its Python shape: list types, merge keys, Go types, presence, protobuf numbers.

In: a class of `bareboat.models.*_v*`. Out: its `TypeSchema`, read from the compiled definitions when first asked for. Strategic merge,
managedFields, OpenAPI, the slow path of the codec and protobuf work from these facts.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache, cached_property
from typing import Any

import msgspec

from bareboat.models import definitions


class Field(msgspec.Struct, frozen=True, gc=False):
    """One field of a type. `shape` is `string`, `core_v1.Pod`, `[]shape`, `{}shape` …; `kind` is what the value is in JSON terms."""

    json_name: str
    attr: str
    shape: str
    presence: str  # s b n l m p o t and a flag: see core/definitions/tables/fields.txt
    go_type: str
    number: str  # protobuf: "7", "2.1" for a field that JSON inlines, "" for none
    list_type: str  # atomic, set, map or ""
    map_keys: tuple[str, ...]
    merge_key: str
    patch_strategy: str
    map_type: str
    inlined: tuple[str, ...]  # Go structs between the type and the field that JSON does not show

    @property
    def kind(self) -> str:
        """list, map, struct, union, any or a scalar: string bool int32 int64 double bytes time microtime quantity intorstring."""
        return shape_kind(self.shape)

    @property
    def item(self) -> str:
        """The shape of an item of a list or map."""
        return self.shape[2:] if self.shape[:2] in ("[]", "{}") else ""

    @property
    def pointer(self) -> bool:
        return self.presence[0] == "p"

    @property
    def always(self) -> bool:
        return self.presence.endswith("!")

    @property
    def type(self) -> TypeSchema | None:
        """The schema of the struct in this field, its items or values."""
        return by_shape(self.shape)


class TypeSchema:
    """The facts of one type; two are the same object if their class is."""

    def __init__(self, key: str, row: dict[str, Any]) -> None:
        self.key = key
        self.module, self.name = key.split(".")
        self.published: str = row["published"]
        self.kinds = tuple((group, version, kind) for group, version, kind in row["kinds"])
        self.map_type: str = row["map_type"]
        self.fields = tuple(_field(values) for values in row["fields"])

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {field.json_name: field for field in self.fields}

    @cached_property
    def cls(self) -> type[msgspec.Struct]:
        found: type[msgspec.Struct] = getattr(importlib.import_module(f"bareboat.models.{self.module}"), self.name)
        return found

    @property
    def go_package(self) -> str:
        """What Go prints before a type's name: the last part of the package, its version."""
        return self.module.rpartition("_")[2]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __repr__(self) -> str:
        return f"TypeSchema({self.key})"


def _field(row: list[Any]) -> Field:
    return msgspec.convert(dict(zip(Field.__struct_fields__, row, strict=True)), Field)


_KNOWN: dict[str, TypeSchema] = {}
_LOADED: set[str] = set()


def of(cls: type) -> TypeSchema:
    """The schema of a class of models; KeyError for any other."""
    return by_key(key_of(cls))


@cache
def key_of(cls: type) -> str:
    """`core_v1.Pod`."""
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


def by_key(key: str) -> TypeSchema:
    """By `core_v1.Pod`."""
    if (known := _KNOWN.get(key)) is not None:
        return known
    module = key.partition(".")[0]
    if module not in _LOADED and module in definitions.modules():
        for name, row in definitions.facts(module).items():
            _KNOWN[f"{module}.{name}"] = TypeSchema(f"{module}.{name}", row)
        _LOADED.add(module)
    return _KNOWN[key]


def by_shape(shape: str) -> TypeSchema | None:
    """The struct at the bottom of a shape, if there is one."""
    bare = shape.replace("[]", "").replace("{}", "")
    if bare.startswith("schema|"):
        return by_key("apiextensions_v1.JSONSchemaProps")
    return by_key(bare) if "." in bare else None


def shape_kind(shape: str) -> str:
    if shape.startswith("[]"):
        return "list"
    if shape.startswith("{}"):
        return "map"
    if shape.startswith("schema|"):
        return "union"
    return "struct" if "." in shape else shape
