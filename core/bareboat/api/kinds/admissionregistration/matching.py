"""What webhooks and policies match: rules with operations, resources, selectors, conditions."""

from __future__ import annotations

from typing import Any

from bareboat.admission.policies.variables import program
from bareboat.api.kinds.causes import duplicate, each, invalid, one_of, required, too_many, unique, unsupported
from bareboat.api.kinds.expressions.rules import expression
from bareboat.api.kinds.names import path_segment
from bareboat.api.kinds.selectors import validate_selector
from bareboat.cel.limits import ExpressionError
from bareboat.models import meta_v1
from bareboat.models.names import qualified_name
from bareboat.models.status import Cause

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
FAILURE_POLICIES, MATCH_POLICIES = ("Fail", "Ignore"), ("Equivalent", "Exact")
_MOST_CONDITIONS = 64
VARIABLES = ("object", "oldObject", "request", "authorizer", "namespaceObject")


def default_rules(rules: list[Any]) -> None:
    for rule in rules:
        rule.scope = "*" if rule.scope is None else rule.scope


def default_match(match: Any) -> None:
    match.matchPolicy = "Equivalent" if match.matchPolicy is None else match.matchPolicy
    match.namespaceSelector = match.namespaceSelector or meta_v1.LabelSelector()
    match.objectSelector = match.objectSelector or meta_v1.LabelSelector()
    default_rules([*match.resourceRules, *match.excludeResourceRules])


def _alone(values: list[str], field: str, others: str) -> list[Cause]:
    return [invalid(field, values, f"if '*' is present, must not specify other {others}")] if len(values) > 1 and "*" in values else []


def validate_rule(rule: Any, at: str) -> list[Cause]:
    causes = _alone(rule.operations, f"{at}.operations", "operations")
    if not rule.operations:
        causes.append(required(f"{at}.operations"))
    for i, operation in enumerate(rule.operations):
        causes += one_of(f"{at}.operations[{i}]", operation, _OPERATIONS)
    for name, words in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = getattr(rule, name)
        causes += [] if values else [required(f"{at}.{name}")]
        causes += _alone(values, f"{at}.{name}", words)
    causes += [required(f"{at}.apiVersions[{i}]") for i, version in enumerate(rule.apiVersions) if not version]
    causes += _resources(rule.resources, f"{at}.resources")
    if rule.scope is not None and rule.scope not in _SCOPES:
        causes.append(unsupported(f"{at}.scope", rule.scope, _SCOPES))
    return causes


def _resources(resources: list[str], field: str) -> list[Cause]:
    causes = [] if resources else [required(field)]
    wild_subs: set[str] = set()
    wild_parents: set[str] = set()
    for i, resource in enumerate(resources):
        if not resource:
            causes.append(required(f"{field}[{i}]"))
            continue
        parent, slash, sub = resource.partition("/")
        if not slash:
            continue
        if parent in wild_subs:
            causes.append(invalid(f"{field}[{i}]", resource, f"if '{parent}/*' is present, must not specify {resource}"))
        if sub in wild_parents:
            causes.append(invalid(f"{field}[{i}]", resource, f"if '*/{sub}' is present, must not specify {resource}"))
        if sub == "*":
            wild_subs.add(parent)
        if parent == "*":
            wild_parents.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        causes.append(invalid(field, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and any(r != "*" and "/" not in r for r in resources):
        message = "if '*' is present, must not specify other resources without subresources"
        causes.append(invalid(field, resources, message))
    return causes


def validate_match(match: Any, at: str) -> list[Cause]:
    causes = one_of(f"{at}.matchPolicy", match.matchPolicy, MATCH_POLICIES)
    for name in ("namespaceSelector", "objectSelector"):
        causes += validate_selector(getattr(match, name), f"{at}.{name}")
    for part in ("resourceRules", "excludeResourceRules"):
        for i, rule in enumerate(getattr(match, part)):
            where = f"{at}.{part}[{i}]"
            for j, name in enumerate(rule.resourceNames):
                causes += each(f"{where}.resourceNames[{j}]", name, path_segment(name))
                if name in rule.resourceNames[:j]:
                    causes.append(duplicate(f"{where}.resourceNames[{j}]", name))
            causes += validate_rule(rule, where)
    return causes


def checked(field: str, text: str, variables: tuple[str, ...], kind: str = "bool") -> list[Cause]:
    """What is wrong with an expression, to the functions that do not exist and operands that do not fit."""
    causes = expression(field, text, variables, kind)
    if causes:
        return causes
    try:
        program(text)
    except ExpressionError as error:
        return [invalid(field, text, f"compilation failed: {error}")]
    return []


def validate_conditions(conditions: list[Any], at: str, *, params: bool = False) -> list[Cause]:
    causes = [too_many(at, len(conditions), _MOST_CONDITIONS)] if len(conditions) > _MOST_CONDITIONS else []
    names: set[str] = set()
    variables = (*VARIABLES, "params") if params else VARIABLES
    for i, condition in enumerate(conditions):
        where = f"{at}[{i}]"
        text = condition.expression.strip()
        causes += checked(f"{where}.expression", text, variables) if text else [required(f"{where}.expression")]
        name = condition.name
        causes += each(f"{where}.name", name, qualified_name(name)) if name else [required(f"{where}.name")]
        causes += unique(f"{where}.name", name, names) if name else []
    return causes
