"""The applied object: a configuration laid over the live object. Fields of the configuration win; keyed lists keep both orders."""

from __future__ import annotations

from typing import Any

from bareboat.api.managed.atoms import LEAF, Atom
from bareboat.api.managed.walks import element, indexed


def merge(live: Any, config: Any, atom: Atom) -> Any:
    """Shares what it does not change with its arguments."""
    if atom.kind == "leaf" or not live:
        return config
    if config is None or config in ({}, []):
        return live
    if atom.kind == "map":
        return _maps(live, config, atom) if isinstance(live, dict) and isinstance(config, dict) else config
    return _lists(live, config, atom) if isinstance(live, list) and isinstance(config, list) else config


def _maps(live: dict[str, Any], config: dict[str, Any], atom: Atom) -> dict[str, Any]:
    out = dict(live)
    for name, value in config.items():
        out[name] = merge(out[name], value, atom.child(name) or LEAF) if name in out else value
    return out


def _lists(live: list[Any], config: list[Any], atom: Atom) -> list[Any]:
    """Items that both have come in the order of the configuration, the others where they were beside their neighbours."""
    lefts, rights = [element(i, atom) for i in live], [element(i, atom) for i in config]
    left_items, right_items = indexed(live, atom), indexed(config, atom)
    shared = [at for at in rights if at in left_items]
    out: list[Any] = []
    done: set[str] = set()
    i = j = 0

    def take(at: str) -> None:
        done.add(at)
        mine = left_items.get(at, ())
        theirs = right_items[at]
        out.append(merge(mine[0], theirs[0], atom.element or LEAF) if len(mine) == 1 else theirs[0])

    while i < len(lefts) or j < len(rights):
        if i < len(lefts) and j < len(rights):
            at = lefts[i]
            if at == rights[j]:
                take(at)
                i, j = i + 1, j + 1
                shared = shared[1:]
                continue
            if at in right_items and shared and shared[0] != at:
                i += 1
                continue
        if i < len(lefts):
            at = lefts[i]
            if at not in right_items:
                out.append(live[i])
                i += 1
                continue
            if at in done:
                i += 1
        if j < len(rights):
            at = rights[j]
            take(at)
            j += 1
            if shared and shared[0] == at:
                shared = shared[1:]
    return out
