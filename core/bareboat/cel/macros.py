"""Macros with two variables (`all(i, v, …)`, `transformMap(k, v, …)`), written as macros with one.

The runtime knows only macros that bind one variable. In: the text of an expression. Out: the same expression over the pairs of the
list or map, where a macro over a list of one item binds each of the two names:

    x.all(k, v, P)   →   x.pairs__().all(p0__, [p0__.k].all(k, [p0__.v].all(v, P)))
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

from bareboat.cel.functions.function import Function

_MACRO = re.compile(r"\.\s*(all|exists|existsOne|exists_one|transformList|transformMap|transformMapEntry)\s*\(")
_TEXT = re.compile(r"""[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|//[^\n]*""", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")


def expanded(text: str) -> str:
    """Unbalanced text is left as it is: the parser says what is wrong."""
    if _MACRO.search(text) is None:
        return text
    return _expanded(text, count())


def _expanded(text: str, numbers: Iterator[int]) -> str:
    out, at = [], 0
    skipped = [found.span() for found in _TEXT.finditer(text)]
    for found in _MACRO.finditer(text):
        if found.start() < at or any(start <= found.start() < end for start, end in skipped):
            continue
        arguments, end = _arguments(text, found.end(), skipped)
        if len(arguments) < 3 or not all(_NAME.fullmatch(a.strip()) for a in arguments[:2]):
            continue
        out.append(text[at : found.start()])
        first, second, *rest = (_expanded(a, numbers).strip() for a in arguments)
        out.append(_written(found[1], first, second, rest, f"p{next(numbers)}__"))
        at = end
    return "".join([*out, text[at:]])


def _arguments(text: str, start: int, skipped: list[tuple[int, int]]) -> tuple[list[str], int]:
    """The arguments of a call and where it ends; none if it does not end."""
    depth, at, last = 0, start, start
    ends = dict(skipped)
    found: list[str] = []
    while at < len(text):
        if at in ends:
            at = ends[at]
            continue
        char = text[at]
        if char in "([{":
            depth += 1
        elif char in ")]}" and depth:
            depth -= 1
        elif char == ")":
            return [*found, text[last:at]], at + 1
        elif char == "," and not depth:
            found.append(text[last:at])
            last = at + 1
        at += 1
    return [], start


def _written(macro: str, first: str, second: str, rest: list[str], pair: str) -> str:
    def bound(inner: str, expression: str, pick: str = "") -> str:
        return f"[{pair}.k].{inner}({first}, [{pair}.v].{inner}({second}, {expression}){pick}){pick}"

    if not macro.startswith("transform"):
        outer = "exists_one" if macro in ("existsOne", "exists_one") else macro
        return f".pairs__().{outer}({pair}, {bound('exists' if outer == 'exists_one' else outer, rest[0])})"
    filtered = f".filter({pair}, {bound('all', rest[0])})" if len(rest) > 1 else ""
    result = f'{{"k": {first}, "v": {rest[-1]}}}' if macro == "transformMap" else rest[-1]
    ending = {"transformList": "", "transformMap": ".keyed__()", "transformMapEntry": ".merged__()"}[macro]
    return f".pairs__(){filtered}.map({pair}, {bound('map', result, '[0]')}){ending}"


def _pairs(value: Any) -> list[dict[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [{"k": key, "v": item} for key, item in items]


def _merged(entries: list[dict[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for entry in entries:
        if not found.keys().isdisjoint(entry):
            raise ValueError(f"insert failed: key {next(iter(entry))} already exists")
        found |= entry
    return found


FUNCTIONS = (
    Function("pairs__", _pairs, "list", "list", member=True),
    Function("pairs__", _pairs, "map", "list", member=True),
    Function("keyed__", lambda pairs: {pair["k"]: pair["v"] for pair in pairs}, "list", "map", member=True),
    Function("merged__", _merged, "list", "map", member=True),
)
