"""The grammar of label selectors. In: `x in (a,b),!y,z!=1`. Out: its requirements, or SelectorError with upstream's message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bareboat.models import names
from bareboat.models.status import aggregate, quote

BINARY: Final = ("in", "notin", "=", "==", "!=", "gt", "lt")
SYMBOLS: Final = {">": "gt", "<": "lt"}
_SPECIAL: Final = "=!(),><"
_SPACE: Final = " \t\r\n"
_END: Final = ("end", "")
_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)

Token = tuple[str, str]  # kind: end, word, error or the symbol itself; text


class SelectorError(ValueError):
    """The selector cannot be understood."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition. `operator`: in notin = == != exists ! gt lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.operator in ("=", "==", "in"):
            return value is not None and value in self.values
        if self.operator in ("!=", "notin"):
            return value is None or value not in self.values
        if self.operator in ("exists", "!"):
            return (value is not None) == (self.operator == "exists")
        if value is None or _INTEGER.fullmatch(value) is None:
            return False
        return int(value) > int(self.values[0]) if self.operator == "gt" else int(value) < int(self.values[0])

    def __str__(self) -> str:
        joined = ",".join(sorted(self.values))
        if self.operator in ("in", "notin"):
            return f"{self.key} {self.operator} ({joined})"
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        return f"{self.key}{ {'gt': '>', 'lt': '<'}.get(self.operator, self.operator) }{joined}"


def requirement(key: str, operator: str, values: list[str]) -> Requirement:
    """A checked requirement; raises SelectorError."""
    faults = []
    if found := names.qualified_name(key):
        faults.append(f"key: Invalid value: {quote(key)}: {'; '.join(found)}")
    faults += _value_count(operator, values)
    for index, value in enumerate(values):
        if found := names.label_value(value):
            faults.append(f"values[{index}][{key}]: Invalid value: {quote(value)}: {'; '.join(found)}")
    if faults:
        raise SelectorError(aggregate(faults))
    return Requirement(key, operator, tuple(values))


def _value_count(operator: str, values: list[str]) -> list[str]:
    shown = f"[{','.join(quote(value) for value in values)}]"
    if operator in ("in", "notin") and not values:
        return [f"values: Invalid value: {shown}: for 'in', 'notin' operators, values set can't be empty"]
    if operator in ("exists", "!") and values:
        return [f"values: Invalid value: {shown}: values set must be empty for exists and does not exist"]
    if operator in ("gt", "lt"):
        return [
            f"values[{index}]: Invalid value: {quote(value)}: for 'Gt', 'Lt' operators, the value must be an integer"
            for index, value in enumerate(values)
            if _INTEGER.fullmatch(value) is None
        ]
    return []


def parse(text: str) -> list[Requirement]:
    return _Parser(_tokens(text)).selector()


def _tokens(text: str) -> list[Token]:
    tokens, index = [], 0
    while index < len(text):
        if text[index] in _SPACE:
            index += 1
        elif text[index] in _SPECIAL:
            run = re.match(r"[=!(),><]+", text[index:])
            symbol = _symbol(run[0] if run else text[index])
            tokens.append((symbol, symbol))
            index += len(symbol)
        else:
            end = next((i for i in range(index, len(text)) if text[i] in _SPECIAL + _SPACE), len(text))
            tokens.append(("word", text[index:end]))
            index = end
    return [*tokens, _END]


def _symbol(run: str) -> str:
    return run[:2] if run[:2] in ("==", "!=") else run[0]


class _Parser:
    """Recursive descent over the tokens; `in` and `notin` are operators only after a key."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0

    def peek(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.tokens[self.position]
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def selector(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            kind, text = self.peek()
            if kind == "end":
                return found
            if kind not in ("word", "!"):
                raise SelectorError(f"found '{text}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self.requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            kind, text = self.take()
            if kind == "end":
                return found
            if kind != ",":
                raise SelectorError(f"found '{text}', expected: ',' or 'end of string'")
            kind, text = self.peek()
            if kind not in ("word", "!"):
                raise SelectorError(f"found '{text}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        kind, key = self.take()
        negated = kind == "!"
        if negated:
            kind, key = self.take()
        if kind != "word":
            raise SelectorError(f"found '{key}', expected: identifier")
        if faults := names.qualified_name(key):
            raise SelectorError(f"<nil>: Invalid value: {quote(key)}: {'; '.join(faults)}")
        if negated or self.peek()[0] in ("end", ","):
            return requirement(key, "!" if negated else "exists", [])
        operator = self.operator()
        values = self.value_set() if operator in ("in", "notin") else {self.exact_value()}
        return requirement(key, operator, sorted(values))

    def operator(self) -> str:
        _, text = self.take()
        operator = SYMBOLS.get(text, text)
        if operator not in BINARY or text in ("gt", "lt"):
            raise SelectorError(f"found '{text}', expected: {', '.join(BINARY)}")
        return operator

    def exact_value(self) -> str:
        if self.peek()[0] in ("end", ","):
            return ""
        kind, text = self.take()
        if kind != "word":
            raise SelectorError(f"found '{text}', expected: identifier")
        return text

    def value_set(self) -> set[str]:
        kind, text = self.take()
        if kind != "(":
            raise SelectorError(f"found '{text}' expected: '('")
        kind, text = self.peek()
        if kind == ")":
            self.take()
            return {""}
        if kind not in ("word", ","):
            raise SelectorError(f"found '{text}', expected: ',', ')' or identifier")
        values = self.identifiers()
        if self.take()[0] != ")":
            raise SelectorError(f"found '{text}', expected: ')'")
        return values

    def identifiers(self) -> set[str]:
        values: set[str] = set()
        while True:
            kind, text = self.take()
            if kind == "word":
                values.add(text)
                following, next_text = self.peek()
                if following == ")":
                    return values
                if following != ",":
                    raise SelectorError(f"found '{next_text}', expected: ',' or ')'")
            elif kind == ",":
                if not values or self.peek()[0] == ")":
                    values.add("")
                if self.peek()[0] == ")":
                    return values
                if self.peek()[0] == ",":
                    self.take()
                    values.add("")
            else:
                raise SelectorError(f"found '{text}', expected: ',', or identifier")
