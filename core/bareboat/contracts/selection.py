"""Selectors as authorizers see them: requirements with the operators of a SubjectAccessReview. Text that is no selector selects all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.base.memo import remembered
from bareboat.contracts.auth import Required
from bareboat.models.selectors import SelectorError, parse_fields, parse_labels

_OF_LABELS = {"=": "In", "==": "In", "in": "In", "!=": "NotIn", "notin": "NotIn", "exists": "Exists", "!": "DoesNotExist"}
_OF_FIELDS = {"=": "In", "!=": "NotIn"}
_KNOWN = frozenset(_OF_LABELS.values())


@remembered(1024, longest=512)
def field_requirements(text: str) -> tuple[Required, ...]:
    try:
        return tuple(Required(path, _OF_FIELDS[operator], (value,)) for path, operator, value in parse_fields(text))
    except SelectorError:
        return ()


@remembered(1024, longest=512)
def label_requirements(text: str) -> tuple[Required, ...]:
    """Requirements with an operator that reviews do not know (``gt``, ``lt``) are left out: less is known, never more."""
    try:
        found = parse_labels(text).requirements
    except SelectorError:
        return ()
    return tuple(Required(r.key, _OF_LABELS[r.operator], tuple(r.values)) for r in found if r.operator in _OF_LABELS)


def reviewed(selector: Any, *, labels: bool) -> tuple[Required, ...]:
    """Of the ``fieldSelector`` or ``labelSelector`` of a review."""
    if selector is None:
        return ()
    if selector.rawSelector:
        return label_requirements(selector.rawSelector) if labels else field_requirements(selector.rawSelector)
    return tuple(_required(selector.requirements))


def _required(requirements: Iterable[Any]) -> Iterable[Required]:
    for requirement in requirements:
        if requirement.operator in _KNOWN:
            yield Required(requirement.key, requirement.operator, tuple(requirement.values))
