"""Joins the published definitions with our tables: everything that is known of a type, field by field.

Out: `TypeFacts` per type, for the code generator (source.py) and, as JSON, for the run time (`bareboat.models.schema`).
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bareboat_build import published
from bareboat_build.tables import FieldRow, TypeRow

GO_SCALARS = {
    "string": "string",
    "bool": "bool",
    "int32": "int32",
    "int64": "int64",
    "[]byte": "bytes",
    "runtime.RawExtension": "any",
    "interface{}": "any",
}
GO_PACKAGES = {"metav1": "meta_v1", "authenticationv1": "authentication_v1"}


@dataclass(frozen=True)
class FieldFacts:
    name: str
    attr: str
    shape: str
    kind: str
    flag: str
    go: str
    number: str
    list_type: str
    map_keys: tuple[str, ...]
    merge_key: str
    strategy: str
    map_type: str
    inlined: tuple[str, ...]
    own: bool

    def as_json(self) -> list[Any]:
        """In the order of the fields of `bareboat.models.schema.Field`."""
        merging = [self.list_type, self.map_keys, self.merge_key, self.strategy, self.map_type]
        return [self.name, self.attr, self.shape, self.kind + self.flag, self.go, self.number, *merging, self.inlined]


@dataclass(frozen=True)
class TypeFacts:
    module: str
    name: str
    published: str
    kinds: tuple[tuple[str, str, str], ...]  # group, version, kind
    map_type: str
    fields: tuple[FieldFacts, ...]

    @property
    def key(self) -> str:
        return f"{self.module}.{self.name}"

    def as_json(self) -> dict[str, Any]:
        rows = [field.as_json() for field in self.fields]
        return {"published": self.published, "kinds": self.kinds, "map_type": self.map_type, "fields": rows}


def join(definitions: dict[str, dict[str, Any]], rows: Iterator[TypeRow]) -> dict[str, TypeFacts]:
    facts = {}
    for row in rows:
        definition = definitions.get(f"{row.module}.{row.name}", {})
        joined = _type(row, definition)
        facts[joined.key] = joined
    return facts


def _type(row: TypeRow, definition: dict[str, Any]) -> TypeFacts:
    properties = definition.get("properties", {})
    if definition:
        kinds = [(k["group"], k["version"], k["kind"]) for k in definition.get("x-kubernetes-group-version-kind", [])]
        missing = properties.keys() ^ {field.name for field in row.fields}
        if missing:
            raise ValueError(f"{row.module}.{row.name}: the table and the definitions differ in {sorted(missing)}")
    else:
        kinds = [(*row.api_version.split("/"), row.name)] if row.api_version else []  # type: ignore[list-item]
    fields = tuple(_field(row, field, properties.get(field.name)) for field in row.fields)
    return TypeFacts(row.module, row.name, definition.get("x-name", ""), tuple(kinds), definition.get("x-kubernetes-map-type", ""), fields)


def _field(row: TypeRow, field: FieldRow, schema: dict[str, Any] | None) -> FieldFacts:
    known = schema or {}
    return FieldFacts(
        name=field.name,
        attr=attribute(field.name),
        shape=published.shape(schema) if schema else go_shape(row.module, field.go),
        kind=field.kind,
        flag=field.flag,
        go=field.go,
        number=field.number,
        list_type=known.get("x-kubernetes-list-type", ""),
        map_keys=tuple(known.get("x-kubernetes-list-map-keys", ())),
        merge_key=known.get("x-kubernetes-patch-merge-key", ""),
        strategy=known.get("x-kubernetes-patch-strategy", ""),
        map_type=known.get("x-kubernetes-map-type", ""),
        inlined=field.inlined,
        own=field.own,
    )


def attribute(name: str) -> str:
    """The Python attribute of a JSON field: `from_`, `ref`, `x_kubernetes_list_type`."""
    plain = re.sub(r"\W", "_", name.lstrip("$"))
    return plain + "_" if keyword.iskeyword(plain) else plain


def go_shape(module: str, go: str) -> str:
    if go.startswith("*"):
        return go_shape(module, go[1:])
    if go in GO_SCALARS:
        return GO_SCALARS[go]
    if go.startswith("[]"):
        return "[]" + go_shape(module, go[2:])
    if go.startswith("map[string]"):
        return "{}" + go_shape(module, go[len("map[string]") :])
    package, _, name = go.rpartition(".")
    return f"{GO_PACKAGES[package] if package else module}.{name}"
