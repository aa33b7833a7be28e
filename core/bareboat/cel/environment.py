"""Expressions, compiled and evaluated. In: text, the names of its variables, plain trees. Out: plain values, or an ExpressionError.

Why this implementation: of the packages there are, ``cel-expr-python`` is the language's own C++ runtime, checks types at compile
time, knows optional values and evaluates a typical rule in 20 µs (``cel-python`` needs 3 ms, the Rust bindings 170 µs without
optional values). What it lacks is beside it: macros with two variables are rewritten (``macros``), times inside a tree stay text and
are compared as times (``functions.times``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from bareboat.cel.costs import Estimate, estimate
from bareboat.cel.limits import CANCELLED, PER_CALL, SLACK, Budget, ExpressionError, TooExpensive
from bareboat.cel.macros import expanded
from bareboat.cel.shapes import Shape, of_values, widest
from bareboat.cel.syntax import Call, ListOf, Literal, Loop, MapOf, Node, Tree, below, nodes, read

_EXTENSIONS = ("optional", "strings", "sets", "lists", "bindings", "encoders")
#: What the C++ library says, and how upstream's says the same.
_WORDED = (
    (re.compile(r'^NOT_FOUND: Key not found in map : "(.*)"$'), "no such key: {}"),
    (re.compile(r"Index error: index=(-?\d+) size=\d+"), "index out of bounds: {}"),
    (re.compile(r"No matching overloads found ?: ?(.*)"), "no such overload: {}"),
    (re.compile(r"div(?:ide|ision) by zero()"), "division by zero"),
    (re.compile(r"Iteration budget exceeded()"), CANCELLED),
)
#: What gives more than it takes, or looks at a text in more than one way.
_HEAVY = frozenset(("join", "replace", "format", "flatten", "lists.range"))
_PATTERNS = frozenset(("matches", "find", "findAll"))
#: Operations that can make values larger than those at hand.
_UNBOUNDED = _HEAVY | _PATTERNS | {"_+_", "split", "pairs__", "keyed__", "merged__", "sets.contains", "sets.intersects", "sets.equivalent"}
#: Below this an evaluation with loops is not worth a closer look.
_LITTLE = 20_000
#: Lists that are written in an expression and are longer than this count as much to look at.
_LITERAL = 8

_CODE = re.compile(r"^(?:[A-Z_]+: )?(.*?)(?: \[[A-Z_]+\])?$", re.DOTALL)


class Program:
    """A compiled expression."""

    __slots__ = ("_compiled", "_measures", "_tree", "kind", "spelled", "text")

    def __init__(self, text: str, spelled: str, compiled: Any) -> None:
        self.text = text
        #: with its macros rewritten: places are places in this
        self.spelled = spelled
        self._compiled = compiled
        self._tree: Tree | None = None
        self._measures: tuple[int, bool, int] | None = None
        #: CEL's name of the type of its value, in lower case; "dyn" where that depends on the values
        self.kind: str = compiled.return_type().name().lower()

    @property
    def tree(self) -> Tree:
        if self._tree is None:
            self._tree = read(self._compiled.serialize())
        return self._tree

    def estimate(self, variables: Mapping[str, Shape]) -> Estimate:
        """What it costs at most, what it gives and what is wrong with it, for variables of these shapes."""
        return estimate(self.tree, variables)

    def evaluate(self, variables: dict[str, Any], budget: Budget | None = None) -> Any:
        """A plain value. Raises ExpressionError; one of its kinds where it costs more than it may, or than is left of the budget."""
        cost = self._cost(variables)
        if budget is not None:
            budget.spend(cost)
        try:
            found = self._compiled.eval(data=variables)
            kind = found.type().name()
            if kind in ("ERROR", "UNKNOWN"):
                raise ExpressionError(_message(str(found.value())))
            return found.plain_value()
        except (RuntimeError, TypeError) as error:
            raise ExpressionError(_message(str(error))) from error

    def _cost(self, variables: dict[str, Any]) -> int:
        """Without loops and growth an expression takes as long as it is. Raises TooExpensive."""
        if self._measures is None:
            parts = list(nodes(self.tree.root))
            self._measures = len(parts), any(_is_heavy(part) for part in parts), _loops(self.tree.root)
        size, heavy, loops = self._measures
        if not heavy:
            return size
        if loops:
            bound = size * max(widest(variables.values(), _LITTLE), _LITERAL) ** (loops + 1)
            if bound < _LITTLE:
                return int(bound)
        cost = self.estimate(of_values(variables)).cost
        if cost > PER_CALL * SLACK:
            raise TooExpensive
        return min(cost, PER_CALL)


def _loops(root: Node) -> int:
    """How many loops stand in one another, where nothing in them grows; else 0."""
    for node in nodes(root):
        if isinstance(node, Call) and node.function in _UNBOUNDED:
            return 0
        if isinstance(node, ListOf | MapOf) and len(below(node)) > _LITERAL:
            return 0
    return _depth(root)


def _depth(node: Node) -> int:
    inner = max((_depth(child) for child in below(node)), default=0)
    return inner + isinstance(node, Loop)


def _is_heavy(node: Any) -> bool:
    if isinstance(node, Loop):
        return True
    if not isinstance(node, Call):
        return False
    return node.function in _HEAVY or (node.function in _PATTERNS and not isinstance(node.arguments[-1], Literal))


@lru_cache(maxsize=4096)
def compiled(text: str, variables: tuple[str, ...]) -> Program:
    """Raises ExpressionError with what is wrong and where."""
    try:
        spelled = expanded(text)
        return Program(text, spelled, _environment(variables).compile(spelled))
    except RuntimeError as error:
        raise ExpressionError(_message(str(error))) from error


@cache
def _environment(variables: tuple[str, ...]) -> Any:
    from cel_expr_python import cel

    from bareboat.cel.functions import ALL
    from bareboat.cel.macros import FUNCTIONS

    kinds = {
        **{
            name: getattr(cel.Type, name.upper())
            for name in ("bool", "bytes", "double", "dyn", "int", "list", "map", "string", "timestamp", "duration")
        },
    }
    overloads: dict[str, list[Any]] = {}
    for function in (*ALL, *FUNCTIONS):
        signature = "_".join([function.name.replace(".", "_"), *function.parameters.split(), "k8s"])
        overload = cel.Overload(
            f"{signature}_member" if function.member else signature,
            return_type=kinds[function.result],
            parameters=[kinds[name] for name in function.parameters.split()],
            is_member=function.member,
            impl=function.impl,
        )
        overloads.setdefault(function.name, []).append(overload)
    library = cel.CelExtension("kubernetes", [cel.FunctionDecl(name, listed) for name, listed in overloads.items()])
    config = cel.NewEnvConfigFromYaml("name: kubernetes\nextensions:\n" + "".join(f"- name: {name}\n" for name in _EXTENSIONS))
    return cel.NewEnv(config=config, variables=dict.fromkeys(variables, cel.Type.DYN), extensions=[library])


def pointed(text: str, place: int, said: str) -> str:
    """As the compiler tells of a fault: with the line, and a pointer to the place."""
    before = text[:place]
    row, start = before.count("\n"), before.rfind("\n") + 1
    line = text[start:].partition("\n")[0]
    return f"ERROR: <input>:{row + 1}:{place - start + 1}: {said}\n | {line}\n | {'.' * (place - start)}^"


def _message(text: str) -> str:
    """Without the code of the C++ library."""
    for pattern, words in _WORDED:
        said = pattern.search(text)
        if said is not None:
            return words.format(said[1])
    found = _CODE.match(text)
    return found[1] if found is not None else text
