"""Rules of what selects: label selectors and the terms of node selectors. In: a selector and its field. Out: causes."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import each, forbidden, invalid, required
from bareboat.api.kinds.labels import label_faults, label_key_faults, validate_labels
from bareboat.models.names import dns1123_subdomain
from bareboat.models.status import Cause

_NODE_FIELDS = ("metadata.name",)


def validate_selector(selector: Any, at: str) -> list[Cause]:
    """A label selector's own rules; none for one that is not there."""
    if selector is None:
        return []
    causes = validate_labels(selector.matchLabels, f"{at}.matchLabels")
    for i, requirement in enumerate(selector.matchExpressions):
        causes += _requirement(requirement, f"{at}.matchExpressions[{i}]")
    return causes


def _requirement(requirement: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if requirement.operator in ("In", "NotIn"):
        if not requirement.values:
            causes.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif requirement.operator in ("Exists", "DoesNotExist"):
        if requirement.values:
            causes.append(forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    else:
        causes.append(invalid(f"{at}.operator", requirement.operator, "not a valid selector operator"))
    causes += each(f"{at}.key", requirement.key, label_key_faults(requirement.key))
    for i, value in enumerate(requirement.values):
        causes += each(f"{at}.values[{i}]", value, label_faults(value))
    return causes


def selects_nothing_sound(selector: Any) -> bool:
    """Whether the selector cannot be worked with at all."""
    return bool(validate_selector(selector, ""))


def is_empty(selector: Any) -> bool:
    return selector is None or (not selector.matchLabels and not selector.matchExpressions)


def validate_node_selector(selector: Any, at: str) -> list[Cause]:
    if not selector.nodeSelectorTerms:
        return [required(f"{at}.nodeSelectorTerms", "must have at least one node selector term")]
    causes: list[Cause] = []
    for i, term in enumerate(selector.nodeSelectorTerms):
        causes += validate_node_term(term, f"{at}.nodeSelectorTerms[{i}]")
    return causes


def validate_node_term(term: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for i, requirement in enumerate(term.matchExpressions):
        causes += _node_requirement(requirement, f"{at}.matchExpressions[{i}]")
    for i, requirement in enumerate(term.matchFields):
        causes += _node_field(requirement, f"{at}.matchFields[{i}]")
    return causes


def _node_requirement(requirement: Any, at: str) -> list[Cause]:
    operator, values = requirement.operator, requirement.values
    causes: list[Cause] = []
    if operator in ("In", "NotIn"):
        if not values:
            causes.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            causes.append(forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            causes.append(required(f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        causes.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
    causes += each(f"{at}.key", requirement.key, label_key_faults(requirement.key))
    for i, value in enumerate(values):
        causes += each(f"{at}.values[{i}]", value, label_faults(value))
    return causes


def _node_field(requirement: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if requirement.operator not in ("In", "NotIn"):
        causes.append(invalid(f"{at}.operator", requirement.operator, "not a valid selector operator"))
    elif len(requirement.values) != 1:
        causes.append(required(f"{at}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
    if requirement.key not in _NODE_FIELDS:
        causes.append(invalid(f"{at}.key", requirement.key, "not a valid field selector key"))
    for i, value in enumerate(requirement.values):
        causes += each(f"{at}.values[{i}]", value, dns1123_subdomain(value))
    return causes
