"""One overload of a function, and how values of types that CEL does not have travel: as maps with one key, the type's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Opaque = dict[str, Any]
OPTIONAL = "kubernetes.Optional"


@dataclass(frozen=True, slots=True)
class Function:
    """``parameters`` and ``result`` are CEL's names of types, separated by spaces; a ``member``'s first is the receiver.

    ``impl`` raises ValueError with what the rule's author should read."""

    name: str
    impl: Callable[..., Any]
    parameters: str
    result: str
    member: bool = False


def opaque(kind: str, value: Any) -> Opaque:
    return {kind: value}


def inside(kind: str, value: Opaque) -> Any:
    """What an opaque value carries. Raises ValueError for one of another type."""
    if kind not in value:
        found = next(iter(value), "map")
        raise ValueError(f"no such overload: {found} is no {kind}")
    return value[kind]


def optional(value: Any = None, *, present: bool) -> Opaque:
    """An optional that a function of ours gives; CEL's own cannot be made outside of it."""
    return opaque(OPTIONAL, [value] if present else [])
