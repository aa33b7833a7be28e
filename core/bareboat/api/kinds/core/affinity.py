"""Where pods may run: node selectors, affinities, spreading over topologies."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import duplicate, each, forbidden, invalid, named, one_of, required
from bareboat.api.kinds.selectors import validate_selector
from bareboat.models.names import dns1123_label, dns1123_subdomain, label_value, qualified_name
from bareboat.models.status import Cause

_REQUIRED, _PREFERRED = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"


def validate_affinity(affinity: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    node = affinity.nodeAffinity
    if node is not None:
        if node.requiredDuringSchedulingIgnoredDuringExecution is not None:
            causes += validate_node_selector(node.requiredDuringSchedulingIgnoredDuringExecution, f"{at}.nodeAffinity.{_REQUIRED}")
        for i, term in enumerate(node.preferredDuringSchedulingIgnoredDuringExecution):
            where = f"{at}.nodeAffinity.{_PREFERRED}[{i}]"
            causes += _weight(term.weight, where) + _node_term(term.preference, f"{where}.preference", lax_values=True)
    for name in ("podAffinity", "podAntiAffinity"):
        part = getattr(affinity, name)
        if part is not None:
            causes += _pod_terms(part, f"{at}.{name}")
    return causes


def _weight(weight: int, at: str) -> list[Cause]:
    return [] if 1 <= weight <= 100 else [invalid(f"{at}.weight", weight, "must be in the range 1-100")]


def validate_node_selector(selector: Any, at: str) -> list[Cause]:
    terms = selector.nodeSelectorTerms
    if not terms:
        return [required(f"{at}.nodeSelectorTerms", "must have at least one node selector term")]
    return [cause for i, term in enumerate(terms) for cause in _node_term(term, f"{at}.nodeSelectorTerms[{i}]")]


def _node_term(term: Any, at: str, *, lax_values: bool = False) -> list[Cause]:
    causes: list[Cause] = []
    for i, requirement in enumerate(term.matchExpressions):
        causes += _node_requirement(requirement, f"{at}.matchExpressions[{i}]", lax_values=lax_values)
    for i, requirement in enumerate(term.matchFields):
        causes += _node_field(requirement, f"{at}.matchFields[{i}]")
    return causes


def _node_requirement(requirement: Any, at: str, *, lax_values: bool) -> list[Cause]:
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
    causes += each(f"{at}.key", requirement.key, qualified_name(requirement.key))
    for i, value in enumerate(() if lax_values else values):
        causes += each(f"{at}.values[{i}]", value, label_value(value))
    return causes


def _node_field(requirement: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if requirement.operator not in ("In", "NotIn"):
        causes.append(invalid(f"{at}.operator", requirement.operator, "not a valid selector operator"))
    elif len(requirement.values) != 1:
        message = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        causes.append(required(f"{at}.values", message))
    if requirement.key != "metadata.name":
        return [*causes, invalid(f"{at}.key", requirement.key, "not a valid field selector key")]
    for i, value in enumerate(requirement.values):
        causes += each(f"{at}.values[{i}]", value, dns1123_subdomain(value))
    return causes


def _pod_terms(part: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for i, term in enumerate(part.requiredDuringSchedulingIgnoredDuringExecution):
        causes += _pod_term(term, f"{at}.{_REQUIRED}[{i}]")
    for i, weighted in enumerate(part.preferredDuringSchedulingIgnoredDuringExecution):
        where = f"{at}.{_PREFERRED}[{i}]"
        causes += _weight(weighted.weight, where) + _pod_term(weighted.podAffinityTerm, f"{where}.podAffinityTerm")
    return causes


def _pod_term(term: Any, at: str) -> list[Cause]:
    causes = validate_selector(term.labelSelector, f"{at}.labelSelector")
    causes += validate_selector(term.namespaceSelector, f"{at}.namespaceSelector")
    for name in term.namespaces:
        causes += each(f"{at}.namespace", name, dns1123_label(name))
    causes += _label_keys(term.matchLabelKeys, term.labelSelector, f"{at}.matchLabelKeys")
    causes += _label_keys(term.mismatchLabelKeys, term.labelSelector, f"{at}.mismatchLabelKeys")
    for i, key in enumerate(term.matchLabelKeys):
        if key in term.mismatchLabelKeys:
            causes.append(invalid(f"{at}.matchLabelKeys[{i}]", key, "exists in both matchLabelKeys and mismatchLabelKeys"))
    if not term.topologyKey:
        causes.append(required(f"{at}.topologyKey", "can not be empty"))
    return causes + each(f"{at}.topologyKey", term.topologyKey, qualified_name(term.topologyKey))


def _label_keys(keys: list[str], selector: Any, at: str) -> list[Cause]:
    if not keys:
        return []
    if selector is None:
        return [forbidden(at, "must not be specified when labelSelector is not set")]
    return [cause for i, key in enumerate(keys) for cause in each(f"{at}[{i}]", key, qualified_name(key))]


def validate_spreading(constraints: list[Any], at: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for i, constraint in enumerate(constraints):
        where = f"{at}[{i}]"
        causes += _spread(constraint, where)
        pair = (constraint.topologyKey, constraint.whenUnsatisfiable)
        if pair in seen:
            shown = "{" + f"{pair[0]}, {pair[1]}" + "}"
            causes.append(duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", shown))
        seen.add(pair)
        causes += validate_selector(constraint.labelSelector, f"{where}.labelSelector")
        causes += _spread_keys(constraint, f"{where}.matchLabelKeys")
    return causes


def _spread(constraint: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if constraint.maxSkew <= 0:
        causes.append(invalid(f"{at}.maxSkew", constraint.maxSkew, "must be greater than zero"))
    causes += named(f"{at}.topologyKey", constraint.topologyKey, qualified_name, "can not be empty")
    causes += one_of(f"{at}.whenUnsatisfiable", constraint.whenUnsatisfiable, ("DoNotSchedule", "ScheduleAnyway"))
    if constraint.minDomains is not None:
        if constraint.minDomains <= 0:
            causes.append(invalid(f"{at}.minDomains", constraint.minDomains, "must be greater than zero"))
        if constraint.whenUnsatisfiable != "DoNotSchedule":
            message = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {constraint.whenUnsatisfiable}"
            causes.append(invalid(f"{at}.minDomains", constraint.minDomains, message))
    for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        policy = getattr(constraint, name)
        if policy is not None:
            causes += one_of(f"{at}.{name}", policy, ("Honor", "Ignore"))
    return causes


def _merged(expression: Any) -> bool:
    """As ``label_keys`` writes it into the selector of a pod."""
    return bool(expression.operator == "In" and len(expression.values) == 1)


def _spread_keys(constraint: Any, at: str) -> list[Cause]:
    causes = _label_keys(constraint.matchLabelKeys, constraint.labelSelector, at)
    selector = constraint.labelSelector
    for i, key in enumerate(constraint.matchLabelKeys if selector is not None else ()):
        if key in selector.matchLabels or any(e.key == key and not _merged(e) for e in selector.matchExpressions):
            causes.append(invalid(f"{at}[{i}]", key, "exists in both matchLabelKeys and labelSelector"))
    return causes
