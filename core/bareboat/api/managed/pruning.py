"""Taking fields out of a tree: what an applier named the last time, names no longer, and nobody else owns."""

from __future__ import annotations

from typing import Any

from bareboat.api.managed.atoms import LEAF, Atom
from bareboat.api.managed.sets import EMPTY, SELF, Node, difference, intersection, member, union
from bareboat.api.managed.walks import element, named


def remove(value: Any, gone: Node, atom: Atom) -> Any:
    """``value`` without the members of ``gone``; None when nothing is left. The argument stays as it is."""
    if atom.kind == "leaf" or not value:
        return None if atom.kind != "leaf" else value
    if atom.kind == "map":
        if not isinstance(value, dict):
            return value
        return _from_map(value, gone, atom) or None
    return _from_list(value, gone, atom) or None


def _from_map(value: dict[str, Any], gone: Node, atom: Atom) -> dict[str, Any]:
    out = {}
    for name, item in value.items():
        node = gone.get("f:" + name)
        if node is None:
            out[name] = item
        elif not member(node):
            out[name] = remove(item, node, atom.child(name) or LEAF)
    return out


def _from_list(items: list[Any], gone: Node, atom: Atom) -> list[Any]:
    out = []
    for item in items:
        node = gone.get(element(item, atom))
        if node is None:
            out.append(item)
        elif not member(node):
            out.append(remove(item, node, atom.element or LEAF))
    return out


def with_named_members(node: Node, atom: Atom) -> Node:
    """The set in which every struct field that has members below is a member itself."""
    out: Node = {}
    for key, child in node.items():
        if key == SELF or not child:
            out[key] = child
            continue
        below = atom.child(key[2:]) if key.startswith("f:") else atom.element
        grown = with_named_members(child, below or LEAF)
        is_field = key.startswith("f:") and key[2:] in atom.fields
        out[key] = {SELF: EMPTY, **grown} if is_field else grown
    return out


def prune(merged: dict[str, Any], last: Node, owned: Node, atom: Atom) -> dict[str, Any]:
    """``merged`` without what ``last`` named, except what anybody in ``owned`` still holds."""
    if not last:
        return merged
    last = with_named_members(last, atom)
    pruned = remove(merged, last, atom) or {}
    everything = with_named_members(named(merged, atom), atom)
    kept = union(with_named_members(named(pruned, atom), atom), with_named_members(owned, atom))
    pruned = remove(merged, difference(everything, kept), atom) or {}
    left = with_named_members(named(pruned, atom), atom)
    return remove(merged, intersection(difference(everything, left), last), atom) or {}
