"""The tree of a compiled expression, read from what the compiler serializes (``cel.expr.CheckedExpr`` in protobuf's wire format).

In: bytes. Out: a ``Tree`` of small nodes with their places in the text. Macros are expanded in it: what loops is a ``Loop``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    id: int
    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """``test``: has(operand.field)."""

    id: int
    operand: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A member function's receiver is the first argument."""

    id: int
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    id: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    id: int
    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """For each ``item`` of ``over``, while ``condition``: ``result`` becomes ``step``; at last ``value``."""

    id: int
    item: str
    over: Node
    result: str
    start: Node
    condition: Node
    step: Node
    value: Node


Node = Literal | Name | Member | Call | ListOf | MapOf | Loop


@dataclass(frozen=True, slots=True)
class Tree:
    """``places``: where a node stands in the text, in characters."""

    root: Node
    places: dict[int, int]


def read(data: bytes) -> Tree:
    """Of ``google.protobuf.Any`` around a CheckedExpr."""
    checked = _fields(_one(_fields(data), 2))
    source = _fields(_one(checked, 5))
    entries = [_fields(entry) for entry in source.get(4, ())]
    return Tree(_node(_one(checked, 4)), {_one(e, 1, 0): _one(e, 2, 0) for e in entries})


def nodes(node: Node) -> Iterator[Node]:
    """It and all below it."""
    yield node
    for child in below(node):
        yield from nodes(child)


def below(node: Node) -> tuple[Node, ...]:
    """Its parts."""
    match node:
        case Member():
            return (node.operand,)
        case Call():
            return node.arguments
        case ListOf():
            return node.items
        case MapOf():
            return tuple(part for entry in node.entries for part in entry)
        case Loop():
            return node.over, node.start, node.condition, node.step, node.value
        case _:
            return ()


def _node(data: bytes) -> Node:
    fields = _fields(data)
    number = _one(fields, 2, 0)
    made = next(((kind, fields[kind][0]) for kind in _MADE if kind in fields), None)
    if made is None:
        return Literal(number, None)
    kind, inner = made
    return _MADE[kind](number, _fields(inner))


def _literal(number: int, f: Fields) -> Node:
    if 6 in f or 7 in f:
        return Literal(number, f[6][0].decode() if 6 in f else f[7][0])
    if 5 in f:
        return Literal(number, struct.unpack("<d", f[5][0])[0])
    if 2 in f:
        return Literal(number, bool(f[2][0]))
    whole = _one(f, 3, _one(f, 4, None))
    return Literal(number, whole - (1 << 64) if whole is not None and 3 in f and whole >> 63 else whole)


def _member(number: int, f: Fields) -> Node:
    return Member(number, _node(_one(f, 1)), _text(f, 2), bool(_one(f, 3, 0)))


def _call(number: int, f: Fields) -> Node:
    target = [f[1][0]] if 1 in f else []
    return Call(number, _text(f, 2), tuple(_node(a) for a in (*target, *f.get(3, ()))))


def _map(number: int, f: Fields) -> Node:
    entries = [_fields(entry) for entry in f.get(2, ())]
    return MapOf(number, tuple((_node(_one(e, 3)), _node(_one(e, 4))) for e in entries))


def _loop(number: int, f: Fields) -> Node:
    over, start, condition, step, value = (_node(_one(f, field)) for field in (2, 4, 5, 6, 7))
    return Loop(number, _text(f, 1), over, _text(f, 3), start, condition, step, value)


_MADE = {
    3: _literal,
    4: lambda number, f: Name(number, _text(f, 1)),
    5: _member,
    6: _call,
    7: lambda number, f: ListOf(number, tuple(_node(item) for item in f.get(1, ()))),
    8: _map,
    9: _loop,
}

Fields = dict[int, list[Any]]


def _fields(data: bytes) -> Fields:
    found: Fields = {}
    for number, value in _wire(data):
        found.setdefault(number, []).append(value)
    return found


def _one(fields: Fields, number: int, default: Any = b"") -> Any:
    return fields[number][0] if number in fields else default


def _text(fields: Fields, number: int) -> str:
    return str(_one(fields, number).decode())


def _wire(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        size, at = (8, at) if kind == 1 else (4, at) if kind == 5 else _varint(data, at)
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
