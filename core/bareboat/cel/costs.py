"""The price of an expression before it is evaluated, and members that it names and nothing has.

In: the tree of an expression and a shape for each variable. Out: an upper bound of its cost in upstream's units, the shape of its
value, and what is wrong with it. The bound is sound: whatever the values are, evaluating costs no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bareboat.cel.calls import ARITHMETIC, COMPARED, ORDERED, priced
from bareboat.cel.shapes import ANY, BOOL, INT, NULL, UNKNOWN, Held, Shape, joined, listed
from bareboat.cel.syntax import Call, ListOf, Literal, Loop, MapOf, Member, Name, Node, Tree

Scope = Mapping[str, Shape]
Found = tuple[int, Shape]
_LIST, _MAP = 10, 30
_SIMPLE = frozenset(("string", "int", "double", "bool", "bytes", "timestamp", "duration", "list", "map", "object"))
_NUMBERS = frozenset(("int", "double"))


@dataclass(slots=True)
class Estimate:
    """``faults`` are (place in the text, what is wrong there)."""

    cost: int = 0
    shape: Shape = ANY
    faults: list[tuple[int, str]] = field(default_factory=list)


def estimate(tree: Tree, variables: Scope) -> Estimate:
    walk = _Walk(tree)
    cost, shape = walk.price(tree.root, variables)
    return Estimate(cost, shape, sorted(set(walk.faults)))


class _Walk:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.faults: list[tuple[int, str]] = []

    def price(self, node: Node, scope: Scope) -> Found:
        match node:
            case Literal():
                return 0, NULL if node.value is None else Held([node.value])
            case Name():
                return 1, scope.get(node.name, ANY)
            case Member():
                return self._member(node, scope)
            case Call():
                return self._call(node, scope)
            case ListOf():
                found = [self.price(item, scope) for item in node.items]
                return _LIST + _costs(found), listed(len(found), joined([s for _, s in found]) if found else NULL)
            case MapOf():
                return self._map(node, scope)
            case Loop():
                return self._loop(node, scope)

    def _member(self, node: Member, scope: Scope) -> Found:
        cost, shape = self.price(node.operand, scope)
        if shape.kind == "optional":
            found = shape.element.member(node.field)
            return cost + 1, Shape("optional", found.size if found else 1, element=found)
        return cost + 1, BOOL if self._below(node.id, shape, node.field) is not None and node.test else self._known(shape, node.field)

    def _below(self, number: int, shape: Shape, name: str) -> Shape | None:
        if shape.kind in ("string", "int", "double", "bool", "list"):
            self._fault(number, f"type '{shape.display}' does not support field selection")
        elif shape.member(name) is None:
            self._fault(number, f"undefined field '{name}'")
        return ANY

    def _known(self, shape: Shape, name: str) -> Shape:
        if shape.kind in ("map", "object", "dyn"):
            return shape.member(name) or ANY
        return ANY

    def _fault(self, number: int, text: str) -> None:
        self.faults.append((self._tree.places.get(number, 0), text))

    def _call(self, node: Call, scope: Scope) -> Found:
        if node.function in ("_?._", "_[?_]") and isinstance(node.arguments[-1], Literal):
            return self._optional(node, scope)
        found = [self.price(a, scope) for a in node.arguments]
        shapes = [shape for _, shape in found]
        self._fits(node, shapes)
        literal = bool(node.arguments) and isinstance(node.arguments[-1], Literal)
        cost, shape = priced(node.function, shapes, literal=literal)
        if node.function == "_?_:_":
            return min(found[0][0] + max(found[1][0], found[2][0]), UNKNOWN), shape
        return min(cost + _costs(found), UNKNOWN), shape

    def _optional(self, node: Call, scope: Scope) -> Found:
        cost, shape = self.price(node.arguments[0], scope)
        inner = shape.element if shape.kind == "optional" else shape
        key = node.arguments[1]
        if isinstance(key, Literal) and isinstance(key.value, str) and inner.kind != "list":
            found = inner.member(key.value) if inner.kind in ("map", "object", "dyn") else ANY
            if found is None:
                self._fault(node.id, f"undefined field '{key.value}'")
                found = ANY
        else:
            found = inner.element
        return cost + 1, Shape("optional", found.size, element=found)

    def _fits(self, node: Call, of: list[Shape]) -> None:
        """Operands of two types that are known and differ."""
        if node.function not in COMPARED | ARITHMETIC or len(of) != 2:
            return
        left, right = (("map" if s.kind == "object" else s.kind) for s in of)
        if not {left, right} <= _SIMPLE or left == right:
            return
        if node.function in COMPARED and {left, right} == _NUMBERS and node.function in ORDERED:
            return
        if node.function in ("_+_", "_-_") and {left, right} <= {"timestamp", "duration"}:
            return
        self._fault(node.id, f"found no matching overload for '{node.function}' applied to '({of[0].display}, {of[1].display})'")

    def _map(self, node: MapOf, scope: Scope) -> Found:
        found = [self.price(part, scope) for entry in node.entries for part in entry]
        values = {k.value: s for (k, _), (_, s) in zip(node.entries, found[1::2], strict=True) if isinstance(k, Literal)}
        element = joined([s for _, s in found[1::2]]) if found else ANY
        return _MAP + _costs(found), Shape("map", len(node.entries), element=element, members=lambda name: values.get(name, element))

    def _loop(self, node: Loop, scope: Scope) -> Found:
        cost, over = self.price(node.over, scope)
        begun, start = self.price(node.start, scope)
        item = over.key if over.kind in ("map", "object") else over.element
        rounds = over.size if over.kind in ("list", "map", "object", "dyn") else 1
        inside = {**scope, node.item: item, node.result: start}
        each, step = self.price(node.step, inside)
        asked, _ = self.price(node.condition, inside)
        result = _grown(start, step, rounds)
        ended, value = self.price(node.value, {**scope, node.result: result})
        return min(cost + begun + rounds * (each + asked) + ended, UNKNOWN), value


def _costs(found: list[Found]) -> int:
    return min(sum(cost for cost, _ in found), UNKNOWN)


def _grown(start: Shape, step: Shape, rounds: int) -> Shape:
    """A result to which each round adds what the first one added."""
    if rounds == 0:
        return start
    if step.kind == "int" or start is BOOL or step is BOOL:
        return INT if step.kind == "int" else BOOL
    more = max(0, step.size - start.size)
    if not more:
        return joined([start, step])
    size = min(start.size + rounds * more, UNKNOWN)
    kind = step.kind if step.kind != "object" else "map"
    return Shape(kind, size, element=lambda: step.element)
