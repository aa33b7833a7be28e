"""JSONPath as printer columns, scale paths and selectable fields use it: members, indexes, slices, wildcards, filters, descent.

`.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`, `.metadata.labels['app\\.kubernetes\\.io/name']`, `.spec.list[*].name`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_MEMBER = re.compile(r"\.((?:[^.\[\]\\]|\\.)+)")
_DESCENT = re.compile(r"\.\.((?:[^.\[\]\\]|\\.)+)?")
_BRACKET = re.compile(r"\[((?:[^\[\]'\"]|'[^']*'|\"[^\"]*\"|\[[^\]]*\])*)\]")
_FILTER = re.compile(r"\?\(\s*@((?:[^=!<>]|\\.)*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)$")


class BadPath(ValueError):
    """Not a path that is understood here."""


class JsonPath:
    """Compiled once; ``find`` gives every value that the path leads to."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps = list(_steps(text.strip().removeprefix("{").removesuffix("}").removeprefix("$")))

    def find(self, value: Any) -> list[Any]:
        found = [value]
        for step in self._steps:
            found = [below for item in found for below in step(item)]
        return found


def _steps(text: str) -> Iterator[Step]:
    at = 0
    while at < len(text):
        if found := _DESCENT.match(text, at):
            yield _descend(_plain(found[1]) if found[1] else None)
        elif found := _MEMBER.match(text, at):
            name = _plain(found[1])
            yield _wildcard if name == "*" else _member(name)
        elif found := _BRACKET.match(text, at):
            yield _bracket(found[1].strip())
        elif text[at] == "." and at == len(text) - 1:
            return
        else:
            raise BadPath(f"{text}: cannot read {text[at:]!r}")
        at = found.end()


def _plain(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)


def _member(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _wildcard(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descend(name: str | None) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if name is None:
            yield value
        elif isinstance(value, dict) and name in value:
            yield value[name]
        for below in _wildcard(value):
            yield from step(below)

    return step


def _bracket(inside: str) -> Step:
    if inside == "*":
        return _wildcard
    if inside.startswith("?"):
        return _filter(inside)
    if inside[:1] in "'\"":
        names = [_plain(part.strip()[1:-1]) for part in re.findall(r"'[^']*'|\"[^\"]*\"", inside)]
        return lambda value: (value[n] for n in names if isinstance(value, dict) and n in value)
    if ":" in inside:
        bounds = slice(*(int(part) if part.strip() else None for part in inside.split(":")))
        return lambda value: iter(value[bounds] if isinstance(value, list) else ())
    try:
        places = [int(part) for part in inside.split(",")]
    except ValueError:
        return _member(_plain(inside))
    return lambda value: (value[i] for i in places if isinstance(value, list) and -len(value) <= i < len(value))


def _filter(inside: str) -> Step:
    found = _FILTER.match(inside)
    if found is None:
        raise BadPath(f"cannot read the filter {inside!r}")
    path, operator, right = JsonPath(found[1].strip() or ""), found[2], found[3]
    wanted = _literal(right) if right is not None else None

    def holds(item: Any) -> bool:
        values = path.find(item)
        if operator is None:
            return bool(values)
        return bool(values) and _compare(values[0], operator, wanted)

    return lambda value: (item for item in (value if isinstance(value, list) else ()) if holds(item))


def _literal(text: str) -> Any:
    text = text.strip()
    if text[:1] in "'\"":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _compare(left: Any, operator: str, right: Any) -> bool:
    if operator in ("==", "!="):
        return (left == right) is (operator == "==")
    try:
        return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])
    except TypeError:
        return False
