"""ValidatingAdmissionPolicy, MutatingAdmissionPolicy and their bindings."""

from __future__ import annotations

import re
from typing import Any

from bareboat.api.kinds.admissionregistration.matching import (
    FAILURE_POLICIES,
    VARIABLES,
    checked,
    default_match,
    validate_conditions,
    validate_match,
)
from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import choice, duplicate, each, forbidden, invalid, named, one_of, required, unique
from bareboat.api.kinds.names import path_segment
from bareboat.api.kinds.selectors import validate_selector
from bareboat.api.strategy import StatusAlone, Strategy
from bareboat.models.names import dns1035_label, dns1123_subdomain, qualified_name
from bareboat.models.status import Cause

_IDENTIFIER = re.compile("[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_ACTIONS = ("Audit", "Deny", "Warn")
_MOST_ANNOTATIONS, _LONGEST_VALUE = 20, 5 * 1024


def _default_policy(spec: Any) -> None:
    spec.failurePolicy = "Fail" if spec.failurePolicy is None else spec.failurePolicy
    if spec.matchConstraints is not None:
        default_match(spec.matchConstraints)


def _common(spec: Any) -> list[Cause]:
    """What both kinds of policy share."""
    causes = choice("spec.failurePolicy", spec.failurePolicy, FAILURE_POLICIES)
    if spec.paramKind is not None:
        causes += _param_kind(spec.paramKind, "spec.paramKind")
    match = spec.matchConstraints
    if match is None:
        causes.append(required("spec.matchConstraints"))
    else:
        causes += validate_match(match, "spec.matchConstraints")
        if not match.resourceRules:
            causes.append(required("spec.matchConstraints.resourceRules"))
    causes += validate_conditions(spec.matchConditions, "spec.matchConditions", params=spec.paramKind is not None)
    for i, variable in enumerate(spec.variables):
        causes += _variable(variable, f"spec.variables[{i}]", _variables(spec))
    return causes


def _variables(spec: Any) -> tuple[str, ...]:
    names = (*VARIABLES, "params") if spec.paramKind is not None else VARIABLES
    return (*names, "variables") if spec.variables else names


def _param_kind(kind: Any, at: str) -> list[Cause]:
    version, field = kind.apiVersion, f"{at}.apiVersion"
    causes: list[Cause] = []
    if not version:
        causes.append(required(field))
    elif version.count("/") > 1:
        causes.append(invalid(field, version, f"unexpected GroupVersion string: {version}"))
    else:
        group, _, short = version.rpartition("/")
        faults = dns1123_subdomain(group) if group else []
        causes += [invalid(field, group, ",".join(faults))] if faults else []
        if not short:
            causes.append(invalid(field, version, "version must be specified"))
        elif dns1035_label(short):
            causes.append(invalid(field, short, ",".join(dns1035_label(short))))
    if not kind.kind:
        causes.append(required(f"{at}.kind"))
    elif dns1035_label(kind.kind.lower()):
        message = "may have mixed case, but should otherwise match: " + ",".join(dns1035_label(kind.kind.lower()))
        causes.append(invalid(f"{at}.kind", kind.kind, message))
    return causes


def _variable(variable: Any, at: str, known: tuple[str, ...]) -> list[Cause]:
    causes: list[Cause] = []
    if not variable.name.strip():
        causes.append(required(f"{at}.name", "name is not specified"))
    elif not _IDENTIFIER.fullmatch(variable.name):
        causes.append(invalid(f"{at}.name", variable.name, "name is not a valid CEL identifier"))
    if not variable.expression.strip():
        return [*causes, required(f"{at}.expression", "expression is not specified")]
    return causes + checked(f"{at}.expression", variable.expression, known, "")


class ValidatingPolicyStrategy(KindStrategy):
    subresources = {"status": StatusAlone()}
    allow_unconditional_update = False

    def default(self, obj: Any) -> None:
        _default_policy(obj.spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = _common(spec)
        if not spec.validations and not spec.auditAnnotations:
            because = "validations or auditAnnotations must contain at least one item"
            return causes + [required(f"spec.{name}", because) for name in ("validations", "auditAnnotations")]
        for i, validation in enumerate(spec.validations):
            causes += _validation(validation, f"spec.validations[{i}]", _variables(spec))
        return causes + _annotations(obj.metadata.name, spec, "spec.auditAnnotations")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def _validation(validation: Any, at: str, known: tuple[str, ...]) -> list[Cause]:
    causes: list[Cause] = []
    if not validation.expression.strip():
        causes.append(required(f"{at}.expression", "expression is not specified"))
    else:
        causes += checked(f"{at}.expression", validation.expression, known)
    told = validation.messageExpression
    if told and not told.strip():
        causes.append(invalid(f"{at}.messageExpression", told, "must be non-empty if specified"))
    elif told:
        causes += checked(f"{at}.messageExpression", told, tuple(n for n in known if n != "authorizer"), "string")
    message = validation.message
    if message and not message.strip():
        causes.append(invalid(f"{at}.message", message, "message must be non-empty if specified"))
    elif "\n" in message.strip() or "\r" in message.strip():
        causes.append(invalid(f"{at}.message", message, "message must not contain line breaks"))
    if validation.reason is not None:
        causes += one_of(f"{at}.reason", validation.reason, _REASONS)
    return causes


def _annotations(name: str, spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    listed = spec.auditAnnotations
    if len(listed) > _MOST_ANNOTATIONS:
        causes.append(invalid(at, listed, f"must not have more than {_MOST_ANNOTATIONS} auditAnnotations"))
    keys: set[str] = set()
    for i, annotation in enumerate(listed):
        where, value = f"{at}[{i}]", annotation.valueExpression.strip()
        if name:
            causes += each(f"{where}.key", f"{name}/{annotation.key}", qualified_name(f"{name}/{annotation.key}"))
        else:
            causes.append(invalid(f"{where}.key", annotation.key, "requires metadata.name be non-empty"))
        if not value:
            causes.append(required(f"{where}.valueExpression", "valueExpression is not specified"))
        elif len(value.encode()) > _LONGEST_VALUE:
            causes.append(required(f"{where}.valueExpression", f"must not exceed {_LONGEST_VALUE} bytes in length"))
        else:
            causes += checked(f"{where}.valueExpression", value, _variables(spec), "")
        causes += unique(f"{where}.key", annotation.key, keys)
    return causes


class MutatingPolicyStrategy(KindStrategy):
    allow_unconditional_update = False

    def default(self, obj: Any) -> None:
        _default_policy(obj.spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = _common(spec)
        if not spec.mutations:
            causes.append(required("spec.mutations", "mutations must contain at least one item"))
        for i, mutation in enumerate(spec.mutations):
            causes += _mutation(mutation, f"spec.mutations[{i}]", _variables(spec))
        return causes + choice("spec.reinvocationPolicy", spec.reinvocationPolicy, ("IfNeeded", "Never"))

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def _mutation(mutation: Any, at: str, known: tuple[str, ...]) -> list[Cause]:
    causes = choice(f"{at}.patchType", mutation.patchType, _PATCHES)
    own = _PATCHES.get(mutation.patchType, "")
    for kind, name in _PATCHES.items():
        patch = getattr(mutation, name)
        if name == own and patch is None:
            causes.append(required(f"{at}.{name}", f"must be specified when patchType is {kind}"))
        elif name == own and not patch.expression.strip():
            causes.append(required(f"{at}.{name}.expression", "expression is not specified"))
        elif name == own:
            causes += checked(f"{at}.{name}.expression", patch.expression, (*known, "JSONPatch"), "")
        elif patch is not None and own:
            causes.append(invalid(f"{at}.{name}", patch, f"must not be specified when patchType is not {kind}"))
    return causes


class BindingStrategy(KindStrategy):
    """Of both kinds; only those of validating policies have actions."""

    allow_unconditional_update = False

    def default(self, obj: Any) -> None:
        if obj.spec.matchResources is not None:
            default_match(obj.spec.matchResources)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = named("spec.policyName", spec.policyName, dns1123_subdomain)
        if spec.paramRef is not None:
            causes += _param_reference(spec.paramRef, "spec.paramRef")
        if spec.matchResources is not None:
            causes += validate_match(spec.matchResources, "spec.matchResouces")  # as upstream spells it
        actions = getattr(spec, "validationActions", None)
        return causes + (_actions(actions, "spec.validationActions") if actions is not None else [])

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def _param_reference(reference: Any, at: str) -> list[Cause]:
    name, selector = reference.name, reference.selector
    both = "name and selector are mutually exclusive"
    causes = each(f"{at}.name", name, path_segment(name)) if name else []
    causes += validate_selector(selector, f"{at}.selector")
    if name and selector is not None:
        causes += [forbidden(f"{at}.name", both), forbidden(f"{at}.selector", both)]
    elif not name and selector is None:
        causes.append(required(at, "one of name or selector must be specified"))
    return causes + choice(f"{at}.parameterNotFoundAction", reference.parameterNotFoundAction, ("Allow", "Deny"))


def _actions(actions: list[str], field: str) -> list[Cause]:
    if not actions:
        return [required(field, "at least one validation action is required")]
    causes: list[Cause] = []
    for i, action in enumerate(actions):
        causes += one_of(f"{field}[{i}]", action, _ACTIONS)
        if action in actions[:i]:
            causes.append(duplicate(f"{field}[{i}]", action))
    if {"Deny", "Warn"} <= set(actions):
        message = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response "
            "and headers serves no purpose)"
        )
        causes.append(invalid(field, actions, message))
    return causes


_PREFIX = "admissionregistration.k8s.io"
STRATEGIES: dict[str, type[Strategy]] = {
    f"{_PREFIX}/validatingadmissionpolicies": ValidatingPolicyStrategy,
    f"{_PREFIX}/validatingadmissionpolicybindings": BindingStrategy,
    f"{_PREFIX}/mutatingadmissionpolicies": MutatingPolicyStrategy,
    f"{_PREFIX}/mutatingadmissionpolicybindings": BindingStrategy,
}
