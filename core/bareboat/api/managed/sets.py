"""Sets of field paths, in the very form in which they are written: FieldsV1 trees.

`{"f:spec": {".": {}, "f:replicas": {}}}` holds `.spec` and `.spec.replicas`. A node is itself a member if it is empty or has
the key `"."`. The root is no member: an empty root is the empty set. Nothing here changes its arguments; results may share
nodes with them, and what comes out of sets whose keys are in order is in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

Node = dict[str, Any]

EMPTY: Node = {}
SELF = "."


def member(node: Node) -> bool:
    return not node or SELF in node


def union(a: Node, b: Node) -> Node:
    """Of two roots; ``a`` itself if ``b`` adds nothing."""
    if not a or not b or a is b:
        return a or b
    return _merged(a, b)


def _merged(a: Node, b: Node) -> Node:
    out = a
    for key, right in b.items():
        left = a.get(key)
        node = right if left is None else _union(left, right)
        if node is not left:
            out = dict(a) if out is a else out
            out[key] = node
    return out if len(out) == len(a) else dict(sorted(out.items()))


def _union(a: Node, b: Node) -> Node:
    if a and b:
        return _merged(a, b)
    return _with_self(b) if b else _with_self(a)


def _with_self(node: Node) -> Node:
    return node if not node or SELF in node else {SELF: EMPTY, **node}


def difference(a: Node, b: Node) -> Node:
    """What is in ``a`` and not in ``b``, ``a`` itself if that is everything; members below a member of ``b`` stay."""
    out = a
    for key, right in b.items():
        left = a.get(key)
        if left is None or key == SELF:
            continue
        node = _difference(left, right)
        if node is left:
            continue
        if out is a:
            out = dict(a)
        if node is None:
            del out[key]
        else:
            out[key] = node
    return out


def _difference(a: Node, b: Node) -> Node | None:
    children = difference(a, b)
    lost = member(a) and member(b)
    if not lost and children is a:
        return a
    return _node(member(a) and not lost, {k: v for k, v in children.items() if k != SELF})


def _node(is_member: bool, children: Node) -> Node | None:
    if not is_member:
        return children or None
    return {SELF: EMPTY, **children} if children else EMPTY


def intersection(a: Node, b: Node) -> Node:
    out: Node = {}
    if not a or not b:
        return out
    for key, left in a.items():
        right = b.get(key)
        if right is None or key == SELF:
            continue
        node = _node(member(left) and member(right), intersection(left, right))
        if node is not None:
            out[key] = node
    return out


def without(a: Node, prefixes: Node) -> Node:
    """``a`` less everything at and below the members of ``prefixes``."""
    if not prefixes:
        return a
    out: Node = {}
    for key, left in a.items():
        cut = prefixes.get(key)
        if cut is None:
            out[key] = left
        elif not member(cut) and (below := without(left, cut)):
            out[key] = below
    return out


def of(*paths: str) -> Node:
    """A set of named fields: ``of("status", "metadata.labels")``."""
    root: Node = {}
    for path in paths:
        node = root
        for name in path.split("."):
            node = node.setdefault(f"f:{name}", {})
    return root


def names(node: Node) -> set[str]:
    """The last elements of the members' paths."""
    found: set[str] = set()
    for key, below in node.items():
        if key != SELF:
            if member(below):
                found.add(key)
            found |= names(below)
    return found


def paths(node: Node, before: str = "") -> Iterator[str]:
    """As messages name them: members of a level first, then what is below."""
    below = sorted((k, v) for k, v in node.items() if k != SELF)
    for key, child in below:
        if member(child):
            yield before + _written(key)
    for key, child in below:
        yield from paths(child, before + _written(key))


def _written(key: str) -> str:
    """`.spec`, `[name="c"]`, `[="a"]`, `[0]`."""
    kind, text = key[0], key[2:]
    if kind == "f":
        return f".{text}"
    if kind == "k":
        fields = msgspec.json.decode(text)
        return "[" + ",".join(f"{name}={_text(value)}" for name, value in fields.items()) + "]"
    return f"[={text}]" if kind == "v" else f"[{text}]"


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
