"""Expressions, compiled and evaluated. In: text, the names of its variables, plain trees. Out: plain values, or an ExpressionError.

Why this implementation: of the packages there are, ``cel-expr-python`` is the language's own C++ runtime, checks types at compile
time, knows optional values and evaluates a typical rule in 20 µs (``cel-python`` needs 3 ms, the Rust bindings 170 µs without
optional values). What it lacks is beside it: macros with two variables are rewritten (``macros``), times inside a tree stay text and
are compared as times (``functions.times``).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from bareboat.cel.macros import expanded

_EXTENSIONS = ("optional", "strings", "sets", "lists", "bindings", "encoders")
#: What the C++ library says, and how upstream's says the same.
_WORDED = (
    (re.compile(r'^NOT_FOUND: Key not found in map : "(.*)"$'), "no such key: {}"),
    (re.compile(r"Index error: index=(-?\d+) size=\d+"), "index out of bounds: {}"),
    (re.compile(r"No matching overloads found ?: ?(.*)"), "no such overload: {}"),
    (re.compile(r"div(?:ide|ision) by zero()"), "division by zero"),
)
_CODE = re.compile(r"^(?:[A-Z_]+: )?(.*?)(?: \[[A-Z_]+\])?$", re.DOTALL)


class ExpressionError(ValueError):
    """An expression that cannot be compiled, or that failed on the values it was given."""


class Program:
    """A compiled expression."""

    __slots__ = ("_compiled", "kind", "text")

    def __init__(self, text: str, compiled: Any) -> None:
        self.text = text
        self._compiled = compiled
        #: CEL's name of the type of its value, in lower case; "dyn" where that depends on the values
        self.kind: str = compiled.return_type().name().lower()

    def evaluate(self, variables: dict[str, Any]) -> Any:
        """A plain value. Raises ExpressionError."""
        try:
            found = self._compiled.eval(data=variables)
            kind = found.type().name()
            if kind in ("ERROR", "UNKNOWN"):
                raise ExpressionError(_message(str(found.value())))
            return found.plain_value()
        except (RuntimeError, TypeError) as error:
            raise ExpressionError(_message(str(error))) from error


@lru_cache(maxsize=4096)
def compiled(text: str, variables: tuple[str, ...]) -> Program:
    """Raises ExpressionError with what is wrong and where."""
    try:
        return Program(text, _environment(variables).compile(expanded(text)))
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


def _message(text: str) -> str:
    """Without the code of the C++ library."""
    for pattern, words in _WORDED:
        said = pattern.search(text)
        if said is not None:
            return words.format(said[1])
    found = _CODE.match(text)
    return found[1] if found is not None else text
