"""Label selectors inside objects: their own rules, and the templates that must match them."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import each, forbidden, invalid, required
from bareboat.api.kinds.metadata import validate_labels
from bareboat.models.names import label_value, qualified_name
from bareboat.models.selectors import Selector, SelectorError, from_label_selector
from bareboat.models.status import Cause

_ONE_OR_MORE, _NONE = ("In", "NotIn"), ("Exists", "DoesNotExist")


def validate_selector(selector: Any, at: str, *, lax_values: bool = False) -> list[Cause]:
    """A label selector's own rules; none for a selector that is absent."""
    if selector is None:
        return []
    causes = validate_labels(selector.matchLabels, f"{at}.matchLabels") if selector.matchLabels else []
    for i, requirement in enumerate(selector.matchExpressions):
        causes += _requirement(requirement, f"{at}.matchExpressions[{i}]", lax_values=lax_values)
    return causes


def _requirement(requirement: Any, at: str, *, lax_values: bool) -> list[Cause]:
    causes: list[Cause] = []
    if requirement.operator in _ONE_OR_MORE and not requirement.values:
        causes.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif requirement.operator in _NONE and requirement.values:
        causes.append(forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    elif requirement.operator not in _ONE_OR_MORE and requirement.operator not in _NONE:
        causes.append(invalid(f"{at}.operator", requirement.operator, "not a valid selector operator"))
    causes += each(f"{at}.key", requirement.key, qualified_name(requirement.key))
    if not lax_values:
        for j, value in enumerate(requirement.values):
            causes += each(f"{at}.values[{j}]", value, label_value(value))
    return causes


def is_empty(selector: Any) -> bool:
    """Present, and without any requirement."""
    return selector is not None and not selector.matchLabels and not selector.matchExpressions


def usable(selector: Any) -> Selector | None:
    """None if nothing can be made of it; a selector that is absent matches nothing."""
    try:
        return from_label_selector(selector)
    except SelectorError:
        return None
