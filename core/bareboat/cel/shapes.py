"""What is known of a value before an expression is evaluated: its type and how large it can be.

Two kinds: ``Shape`` says what a declaration allows, ``Held`` looks at values that are there. Both answer the same questions; the
walk in ``costs`` does not ask which it has. Sizes are characters, items or members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

#: What a request may weigh, and so the most that anything in it can hold.
LARGEST = 3 * 1024 * 1024
#: More than any whole number that is known.
UNKNOWN = 1 << 63
SIZED = frozenset(("string", "bytes", "list", "map", "object", "dyn"))


class Shape:
    """``kind``: CEL's name of the type, ``object`` for a map with known members, ``dyn`` for what only the value tells.

    ``most`` bounds a whole number. ``members`` gives the shape of one by its name as expressions spell it, None for one that is not
    there; ``display`` is what messages call the type.
    """

    __slots__ = ("_element", "_members", "display", "kind", "most", "size")

    def __init__(
        self,
        kind: str,
        size: int = 1,
        *,
        element: Shape | Callable[[], Shape] | None = None,
        members: Callable[[str], Shape | None] | None = None,
        most: int = UNKNOWN,
        display: str = "",
    ) -> None:
        self.kind = kind
        self.size = size
        self.most = most
        self.display = display or kind
        self._element = element
        self._members = members

    @property
    def element(self) -> Shape:
        """Of lists the items, of maps the values."""
        if callable(self._element):
            self._element = self._element()
        return self._element if self._element is not None else ANY

    @property
    def key(self) -> Shape:
        return Shape("string", self.size) if self.kind in ("map", "object") else ANY

    def member(self, name: str) -> Shape | None:
        """None: there is no such member, whatever the value."""
        if self._members is not None:
            return self._members(name)
        return self.element if self.kind in ("map", "dyn") else ANY


ANY = Shape("dyn", LARGEST)
BOOL, INT, DOUBLE, NULL = Shape("bool"), Shape("int"), Shape("double"), Shape("null_type")
TIMESTAMP, DURATION, OPAQUE = Shape("timestamp"), Shape("duration"), Shape("opaque")


def text(size: int) -> Shape:
    return Shape("string", size)


def listed(size: int, element: Shape) -> Shape:
    return Shape("list", size, element=element)


def joined(shapes: Sequence[Shape]) -> Shape:
    """What is any one of them."""
    known = [s for s in shapes if s.kind != "null_type"] or list(shapes)
    if not known:
        return NULL
    if len(known) == 1 or all(s is known[0] for s in known):
        return known[0]
    kinds = {s.kind for s in known}
    kind = kinds.pop() if len(kinds) == 1 else "dyn"
    size, most = max(s.size for s in known), max(s.most for s in known)
    below = [s for s in known if s.kind in ("list", "map", "object", "dyn", "optional")]
    if kind == "object":
        kind = "map"
    return Shape(kind, size, element=lambda: joined([s.element for s in below]) if below else ANY, members=_either(below), most=most)


def _either(shapes: Sequence[Shape]) -> Callable[[str], Shape | None]:
    def members(name: str) -> Shape | None:
        found = [m for s in shapes if (m := s.member(name)) is not None]
        return joined(found) if found else ANY

    return members


_KINDS: dict[type, str] = {str: "string", bool: "bool", int: "int", float: "double", bytes: "bytes", list: "list", dict: "map"}


class Held(Shape):
    """Any one of these values. Their parts are looked at only when they are asked for."""

    __slots__ = ("__dict__", "values")

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values
        kinds = {_KINDS.get(type(v), "opaque") for v in values if v is not None}
        kind = kinds.pop() if len(kinds) == 1 else "dyn" if kinds else "null_type"
        size = max((len(v) for v in values if isinstance(v, str | bytes | list | dict)), default=1)
        most = max((abs(v) for v in values if isinstance(v, int)), default=0)
        super().__init__(kind, size, most=most)

    @cached_property
    def _elements(self) -> Shape:
        parts = chain.from_iterable(v if isinstance(v, list) else v.values() for v in self.values if isinstance(v, list | dict))
        return Held(list(parts))

    @property
    def element(self) -> Shape:
        return self._elements

    @property
    def key(self) -> Shape:
        return Held(list(chain.from_iterable(v for v in self.values if isinstance(v, dict))))

    def member(self, name: str) -> Shape | None:
        return Held([v[name] for v in self.values if isinstance(v, dict) and name in v])


def of_values(variables: Mapping[str, Any]) -> dict[str, Shape]:
    return {name: Held([value]) for name, value in variables.items()}


def widest(values: Iterable[Any], enough: int) -> int:
    """The length of the longest list, map or text there is, counted in tens of characters; ``enough`` where there is much to look at."""
    found, left, waiting = 1, 1000, list(values)
    while waiting:
        value = waiting.pop()
        left -= 1
        if isinstance(value, str | bytes):
            found = max(found, len(value) // 10)
        elif isinstance(value, list | dict):
            found = max(found, len(value))
            waiting.extend(value if isinstance(value, list) else value.values())
        if left < len(waiting) or found > enough:
            return enough
    return found
