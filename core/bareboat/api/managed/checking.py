"""Whether an applied configuration fits the shape of its kind: every field declared, every container of the right sort."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bareboat.api.managed.atoms import DEDUCED, LEAF, Atom
from bareboat.api.managed.walks import NoKey, element


def faults(value: Any, atom: Atom, at: str = "") -> Iterator[str]:
    """Messages, each with its path."""
    if atom.kind == "leaf" or value is None or (atom is DEDUCED and not isinstance(value, dict)):
        return
    if atom.kind == "map":
        if not isinstance(value, dict):
            yield f"{at}: expected map, got {_shown(value)}"
            return
        for name, item in value.items():
            below = atom.child(name)
            if below is None:
                yield f"{at}.{name}: field not declared in schema"
            else:
                yield from faults(item, below, f"{at}.{name}")
        return
    if not isinstance(value, list):
        yield f"{at}: expected list, got {_shown(value)}"
        return
    yield from _items(value, atom, at)


def _items(items: list[Any], atom: Atom, at: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        try:
            key = element(item, atom)
        except NoKey as error:
            yield f"{at}: element {index}: {error}"
            continue
        path = f"{at}[{key[2:]}]" if atom.kind == "list" else f"{at}[={key[2:]}]"
        if key in seen:
            yield f"{at}: duplicate entries for key [{key[2:]}]"
        seen.add(key)
        yield from faults(item, atom.element or LEAF, path)


def _shown(value: Any) -> str:
    return f"&{{{str(value).lower() if isinstance(value, bool) else value}}}"


def sentence(found: list[str]) -> str:
    return found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in found)
