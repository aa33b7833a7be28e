"""Reads our own tables of facts.

In: `tables/fields.txt` and `tables/extra.txt`, whose headers explain the format. Out: one `TypeRow` per type.
Not here: what the published definitions know (published.py) and the joining of both (facts.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IMPLIED = {"s": "string", "b": "bool", "l": "[]string", "m": "map[string]string"}
TOKEN = re.compile(r"(?P<name>[^=]+)=(?P<number>[0-9.]*)(?P<kind>[sbnlmpot])(?P<flag>[!0]?)(?::(?P<go>.+))?")
LINE = re.compile(r"(?P<module>\w+/\w+) (?P<name>\w+)(?: \((?P<inlined>[^)]+)\))?(?: \[(?P<gv>[^\]]+)\])?:(?P<fields>.*)")


@dataclass(frozen=True)
class FieldRow:
    name: str
    number: str
    kind: str
    flag: str
    go: str
    inlined: tuple[str, ...] = ()  # Go structs that JSON does not show, outermost first
    own: bool = False  # kind and apiVersion of the type itself


@dataclass(frozen=True)
class TypeRow:
    module: str
    name: str
    api_version: str
    fields: tuple[FieldRow, ...]


def read(path: Path) -> Iterator[TypeRow]:
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"{path.name}: cannot read {line[:80]!r}")
        inlined = dict(pair.split("=") for pair in (found["inlined"] or "").split())
        fields = tuple(_field(token, inlined) for token in found["fields"].split())
        yield TypeRow(found["module"].replace("/", "_"), found["name"], found["gv"] or "", fields)


def _field(token: str, inlined: dict[str, str]) -> FieldRow:
    if token in ("kind", "apiVersion"):
        return FieldRow(token, "", "s", "", "string", own=True)
    found = TOKEN.fullmatch(token)
    if found is None:
        raise ValueError(f"cannot read field {token!r}")
    go = found["go"] or IMPLIED.get(found["kind"], "")
    if not go:
        raise ValueError(f"field {token!r} needs a Go type")
    number = found["number"].split(".")
    names = tuple(inlined[".".join(number[:depth])] for depth in range(1, len(number)))
    return FieldRow(found["name"], found["number"], found["kind"], found["flag"], go, names)
