"""What one call costs, and what is known of what it gives. The costs are upstream's model: a unit for a call, a tenth of a unit for
each character that is looked at, a unit for each item that is.

In: the name of a function and the shapes of its arguments. Out: (cost, shape of the result). A function that is not named here costs
what its arguments are long, and may give as much as they hold together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bareboat.cel.shapes import ANY, BOOL, DOUBLE, DURATION, INT, LARGEST, OPAQUE, SIZED, TIMESTAMP, UNKNOWN, Shape, joined, listed, text

Shapes = Sequence[Shape]
Priced = tuple[int, Shape]
_PER_CHARACTER, _PER_PATTERN, _PER_FOREIGN_PATTERN = 0.1, 0.25, 500
COMPARED = frozenset(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"))
ORDERED = COMPARED - {"_==_", "_!=_"}
ARITHMETIC = frozenset(("_+_", "_-_", "_*_", "_/_", "_%_"))


def priced(function: str, of: Shapes, *, literal: bool = False) -> Priced:
    """``literal``: the last argument is written in the expression itself."""
    known = _PRICES.get(function)
    if known is not None:
        return known(of)
    if function in COMPARED:
        return _walked(min((s.size for s in of if s.kind in SIZED), default=1)), BOOL
    if function in ("matches", "find", "findAll"):
        return _matched(function, of, literal=literal)
    if function in _GIVES:
        return _looked(of), _GIVES[function]
    size = min(sum(s.size for s in of if s.kind in SIZED), UNKNOWN)
    return _looked(of), Shape("dyn", max(size, 1)) if size else OPAQUE


def _walked(size: int) -> int:
    return max(1, int(size * _PER_CHARACTER + 0.999))


def _looked(of: Shapes) -> int:
    return 1 + sum(_walked(s.size) for s in of if s.kind in SIZED)


def _matched(function: str, of: Shapes, *, literal: bool) -> Priced:
    pattern = of[1].size if len(of) > 1 else 1
    cost = int((of[0].size + 1) * _PER_CHARACTER * max(1.0, pattern * _PER_PATTERN)) + 1
    cost += 0 if literal else pattern * _PER_FOREIGN_PATTERN
    found = {"matches": BOOL, "find": text(of[0].size)}.get(function, listed(of[0].size, text(of[0].size)))
    return cost, found


def _sum(of: Shapes) -> Priced:
    """Numbers, or texts and lists put together. What is appended to a list costs by the item, however long the list is."""
    left, right = of[0], of[-1]
    kinds = {left.kind, right.kind}
    most = min(left.most + right.most, UNKNOWN)
    if kinds <= {"int", "double", "bool", "null_type", "timestamp", "duration", "opaque", "uint"}:
        return 1, Shape(left.kind, most=most)
    size = min(left.size + right.size, UNKNOWN)
    if "list" in kinds:
        return 1 + right.size, listed(size, joined([s.element for s in of if s.kind in ("list", "dyn")]))
    kind = next(iter(kinds)) if len(kinds) == 1 else "string" if "string" in kinds else "dyn"
    return _walked(size), Shape(kind, size, most=most)


def _product(of: Shapes) -> Priced:
    return 1, Shape(of[0].kind if of[0].kind != "dyn" else "dyn", most=min(of[0].most * of[-1].most, UNKNOWN))


def _within(of: Shapes) -> Priced:
    return max(1, of[1].size), BOOL


def _indexed(of: Shapes) -> Priced:
    return 1, of[0].element


def _range(of: Shapes) -> Priced:
    return of[0].most, listed(of[0].most, INT)


def _joined(of: Shapes) -> Priced:
    between = of[1].size if len(of) > 1 else 0
    size = min(of[0].size * (of[0].element.size + between), UNKNOWN)
    return _walked(size), text(size)


def _replaced(of: Shapes) -> Priced:
    size = min((of[0].size + 1) * max(1, of[2].size + 1 if len(of) > 2 else 1), UNKNOWN)
    return _walked(of[0].size) + _walked(size), text(size)


def _split(of: Shapes) -> Priced:
    return _walked(of[0].size) + of[0].size, listed(of[0].size + 1, text(of[0].size))


def _flattened(of: Shapes) -> Priced:
    inner = of[0].element
    depth = of[1].most if len(of) > 1 else 1
    size, found = of[0].size, inner
    for _ in range(min(depth, 8)):
        size, found = min(size * max(1, found.size), UNKNOWN), found.element
    return size, listed(size, found)


def _formatted(of: Shapes) -> Priced:
    values = of[1] if len(of) > 1 else ANY
    size = min(of[0].size + of[0].size * (values.element.size + 32), UNKNOWN)
    return _walked(size), text(size)


def _same(of: Shapes) -> Priced:
    return max(1, of[0].size), of[0]


def _same_text(of: Shapes) -> Priced:
    return _walked(of[0].size), Shape(of[0].kind if of[0].kind != "dyn" else "string", of[0].size)


def _begun(of: Shapes) -> Priced:
    return _walked(min(of[0].size, of[1].size)), BOOL


def _contained(of: Shapes) -> Priced:
    return _walked(of[0].size), BOOL


def _crossed(of: Shapes) -> Priced:
    return max(1, min(of[0].size * of[1].size, UNKNOWN)), BOOL


def _pairs(of: Shapes) -> Priced:
    key = of[0].key if of[0].kind in ("map", "object") else INT
    value = of[0].element
    pair = Shape("object", 2, element=lambda: joined([key, value]), members={"k": key, "v": value}.get)
    return max(1, of[0].size), listed(of[0].size, pair)


def _keyed(of: Shapes) -> Priced:
    pair = of[0].element
    return max(1, of[0].size), Shape("map", of[0].size, element=lambda: pair.member("v") or ANY)


def _merged(of: Shapes) -> Priced:
    return max(1, of[0].size), Shape("map", of[0].size, element=lambda: of[0].element.element)


def _optional(of: Shapes) -> Priced:
    return 1, Shape("optional", of[-1].size, element=of[-1])


def _or_value(of: Shapes) -> Priced:
    held = of[0].element if of[0].kind == "optional" else of[0]
    return 1, joined([held, of[1]])


def _held(of: Shapes) -> Priced:
    return 1, of[0].element if of[0].kind in ("optional", "list", "dyn") else ANY


def _choice(of: Shapes) -> Priced:
    return 0, joined(of[1:])


def _as_text(of: Shapes) -> Priced:
    size = of[0].size if of[0].kind in SIZED else 40
    return _walked(size), text(size)


def _negated(of: Shapes) -> Priced:
    return 1, of[0]


def _item(of: Shapes) -> Priced:
    return 1, of[0].element


_PRICES: dict[str, Callable[[Shapes], Priced]] = {
    "_+_": _sum,
    **dict.fromkeys(("_-_", "_*_", "_/_", "_%_"), _product),
    "-_": _negated,
    "!_": lambda of: (1, BOOL),
    "_&&_": lambda of: (0, BOOL),
    "_||_": lambda of: (0, BOOL),
    "@not_strictly_false": lambda of: (0, BOOL),
    "_?_:_": _choice,
    "@in": _within,
    "in": _within,
    "_[_]": _indexed,
    "size": lambda of: (1, Shape("int", most=of[0].size)),
    "lists.range": _range,
    "join": _joined,
    "replace": _replaced,
    "split": _split,
    "flatten": _flattened,
    "format": _formatted,
    **dict.fromkeys(("distinct", "reverse", "sort", "slice", "sortBy", "@sortByAssociatedKeys"), _same),
    **dict.fromkeys(("substring", "trim", "lowerAscii", "upperAscii", "dyn", "bytes", "strings.quote"), _same_text),
    "charAt": lambda of: (1, text(1)),
    "string": _as_text,
    **dict.fromkeys(("sets.contains", "sets.intersects", "sets.equivalent"), _crossed),
    **dict.fromkeys(("startsWith", "endsWith"), _begun),
    "contains": _contained,
    "pairs__": _pairs,
    "keyed__": _keyed,
    "merged__": _merged,
    "optional.of": _optional,
    "optional.ofNonZeroValue": _optional,
    "optional.none": lambda of: (1, Shape("optional")),
    "_[?_]": lambda of: (1, Shape("optional", of[0].element.size, element=of[0].element)),
    "orValue": _or_value,
    "or": lambda of: (1, joined(of)),
    "value": _held,
    **dict.fromkeys(("min", "max", "sum", "first", "last"), lambda of: (max(1, of[0].size), _item(of)[1])),
}
_GIVES: dict[str, Shape] = {
    **dict.fromkeys(("hasValue", "isSorted", "isURL", "isIP", "isCIDR", "isQuantity", "bool"), BOOL),
    **dict.fromkeys(("isSemver", "containsIP", "containsCIDR", "isGreaterThan", "isLessThan", "isInteger", "allowed", "errored"), BOOL),
    **dict.fromkeys(("int", "indexOf", "lastIndexOf", "compareTo", "asInteger", "sign", "major", "minor", "patch"), INT),
    **dict.fromkeys(("getFullYear", "getMonth", "getDate", "getDayOfWeek", "getHours", "getMinutes", "getSeconds"), INT),
    **dict.fromkeys(("double", "asApproximateFloat"), DOUBLE),
    "timestamp": TIMESTAMP,
    "duration": DURATION,
    **dict.fromkeys(("quantity", "ip", "cidr", "url", "semver", "type", "format.named"), OPAQUE),
    **dict.fromkeys(("getHost", "getHostname", "getScheme", "getPort", "getEscapedPath", "reason"), text(LARGEST)),
}
