"""Label and field selectors. In: selector text or a LabelSelector. Out: a `Selector` that matches labels.

The grammar and its complaints are upstream's, because they reach clients: `x in (a,b),!y,z!=1`. Which fields a kind lets clients select by
is known to the api package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bareboat.base.memo import remembered
from bareboat.models import label_grammar
from bareboat.models.label_grammar import Requirement, SelectorError

if TYPE_CHECKING:
    from bareboat.models import meta_v1

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "Requirement",
    "Selector",
    "SelectorError",
    "from_label_selector",
    "parse_fields",
    "parse_labels",
]

OPERATORS: Final = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold. `nothing` matches no labels at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    equal: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)  # the plain ones, which most selectors are made of
    others: tuple[Requirement, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plain = [found.operator in ("=", "==") for found in self.requirements]
        equal = tuple((found.key, found.values[0]) for found, simple in zip(self.requirements, plain, strict=True) if simple)
        others = tuple(found for found, simple in zip(self.requirements, plain, strict=True) if not simple)
        object.__setattr__(self, "equal", equal)
        object.__setattr__(self, "others", others)

    @property
    def empty(self) -> bool:
        """Whether it matches everything."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.nothing:
            return False
        for key, value in self.equal:
            if labels.get(key) != value:
                return False
        return all(requirement.matches(labels) for requirement in self.others)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING: Final = Selector()
NOTHING: Final = Selector(nothing=True)


def parse_labels(text: str) -> Selector:
    """Raises SelectorError with upstream's message."""
    if not text:
        return EVERYTHING
    return _known(text)


@remembered(1024, longest=512)
def _known(text: str) -> Selector:
    """Clients ask for the same again and again."""
    return _sorted(label_grammar.parse(text))


def from_label_selector(selector: meta_v1.LabelSelector | None) -> Selector:
    """None selects nothing, an empty selector everything. Raises SelectorError."""
    if selector is None:
        return NOTHING
    found = [label_grammar.requirement(key, "=", [value]) for key, value in selector.matchLabels.items()]
    for expression in selector.matchExpressions:
        if expression.operator not in OPERATORS:
            raise SelectorError(f'"{expression.operator}" is not a valid label selector operator')
        found.append(label_grammar.requirement(expression.key, OPERATORS[expression.operator], list(expression.values)))
    return _sorted(found)


def from_labels(labels: Mapping[str, str]) -> Selector:
    """Selects what has all these labels; no labels select everything."""
    return _sorted(Requirement(key, "=", (value,)) for key, value in labels.items())


def parse_fields(text: str) -> list[tuple[str, str, str]]:
    """(path, `=` or `!=`, value) of each term. Raises SelectorError with upstream's message."""
    return list(_fields(text))


@remembered(1024, longest=512)
def _fields(text: str) -> tuple[tuple[str, str, str], ...]:
    return tuple(_field_term(term, text) for term in _split_terms(text) if term)


def _sorted(requirements: Iterable[Requirement]) -> Selector:
    return Selector(tuple(sorted(requirements, key=lambda found: found.key)))


def _split_terms(text: str) -> list[str]:
    """At commas that no backslash escapes."""
    terms, start, index = [], 0, 0
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == ",":
            terms.append(text[start:index])
            start = index + 1
        index += 1
    return [*terms, text[start:]]


def _field_term(term: str, text: str) -> tuple[str, str, str]:
    index = 0
    while index < len(term):
        for operator in ("!=", "==", "="):
            if term.startswith(operator, index):
                value = _unescape(term[index + len(operator) :])
                return term[:index], "!=" if operator == "!=" else "=", value
        index += 2 if term[index] == "\\" else 1
    raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")


def _unescape(value: str) -> str:
    if not any(char in value for char in "\\,="):
        return value
    plain, index = [], 0
    while index < len(value):
        char = value[index]
        if char == "\\":
            index += 1
            char = value[index : index + 1]
            if char not in ("\\", ",", "=") or not char:
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{char}")
        elif char in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {char}")
        plain.append(char)
        index += 1
    return "".join(plain)
