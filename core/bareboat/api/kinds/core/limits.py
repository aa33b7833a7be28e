"""LimitRange and ResourceQuota: what a namespace may use."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import duplicate, each, forbidden, immutable, invalid, required
from bareboat.api.kinds.core.resources import HUGE, STANDARD, container_resource_name, is_extended, quantity, resource_name
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models.names import qualified_name
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")
_PARTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_POD_ONLY = frozenset(("cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory", "pods"))
_SCOPES = {
    "Terminating": _POD_ONLY,
    "NotTerminating": _POD_ONLY,
    "NotBestEffort": _POD_ONLY,
    "BestEffort": frozenset(("pods",)),
    "PriorityClass": _POD_ONLY | {"requests.ephemeral-storage", "limits.ephemeral-storage", "ephemeral-storage"},
    "CrossNamespacePodAffinity": _POD_ONLY,
    "VolumeAttributesClass": frozenset(("persistentvolumeclaims", "requests.storage", "storage")),
}
_PRESENCE = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_ONLY_EXISTS = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


class LimitRangeStrategy(PlainStrategy):
    allow_create_on_update = True

    def default(self, obj: Any) -> None:
        """Containers: a limit is the default of the request, the maximum that of the limit, the minimum the last resort."""
        for item in obj.spec.limits:
            if item.type != "Container":
                continue
            for name, value in item.max.items():
                item.default.setdefault(name, value)
            for name, value in item.default.items():
                item.defaultRequest.setdefault(name, value)
            for name, value in item.min.items():
                item.defaultRequest.setdefault(name, value)

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        if not obj.metadata.name and not obj.metadata.generateName:
            obj.metadata.name = obj.metadata.uid

    def validate_create(self, obj: Any) -> list[Cause]:
        causes: list[Cause] = []
        types: set[str] = set()
        for i, item in enumerate(obj.spec.limits):
            at = f"spec.limits[{i}]"
            causes += _limit_type(item.type, f"{at}.type")
            if item.type in types:
                causes.append(duplicate(f"{at}.type", item.type))
            types.add(item.type)
            causes += _limit(item, at)
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def _limit_type(name: str, field: str) -> list[Cause]:
    causes = each(field, name, qualified_name(name))
    if not causes and "/" not in name and name not in _LIMIT_TYPES:
        causes.append(invalid(field, name, "must be a standard limit type or fully qualified"))
    return causes


def _limit(item: Any, at: str) -> list[Cause]:
    check = container_resource_name if item.type in ("Pod", "Container") else resource_name
    causes: list[Cause] = []
    for part in _PARTS:
        held = getattr(item, part)
        if item.type == "Pod" and part in ("default", "defaultRequest"):
            causes += [forbidden(f"{at}.{part}", "may not be specified when `type` is 'Pod'")] if held else []
            continue
        for name in held:
            causes += check(f"{at}.{part}[{name}]", name)
    if item.type == "PersistentVolumeClaim" and "storage" not in item.min and "storage" not in item.max:
        causes.append(required(f"{at}.limits", "either minimum or maximum storage value is required, but neither was provided"))
    names = dict.fromkeys(name for part in _PARTS for name in getattr(item, part))
    return causes + [cause for name in names for cause in _ordered(item, name, at)]


def _ordered(item: Any, name: str, at: str) -> list[Cause]:
    """min ≤ default request ≤ default limit ≤ max, and a ratio that they allow."""
    amounts = {part: Quantity.parse(getattr(item, part)[name]) for part in _PARTS if name in getattr(item, part)}
    if item.type == "Pod":
        amounts = {part: value for part, value in amounts.items() if not part.startswith("default")}
    causes: list[Cause] = []
    for low, high, field, words in _ORDER:
        if low in amounts and high in amounts and amounts[low] > amounts[high]:
            value = amounts[low if field in ("min", low) else high]
            causes.append(invalid(f"{at}.{field}[{name}]", str(value), words.format(amounts[low], amounts[high])))
    ratio = amounts.get("maxLimitRequestRatio")
    field = f"{at}.maxLimitRequestRatio[{name}]"
    if ratio is not None and ratio < Quantity.parse("1"):
        causes.append(invalid(field, str(ratio), f"ratio {ratio} is less than 1"))
    if ratio is not None and "min" in amounts and "max" in amounts and amounts["min"]:
        limit = amounts["max"].nanos / amounts["min"].nanos
        if ratio.nanos / 10**9 > limit:
            causes.append(invalid(field, str(ratio), f"ratio {ratio} is greater than max/min = {limit:f}"))
    firm = is_extended(name) or name.startswith(HUGE)
    if firm and "default" in amounts and "defaultRequest" in amounts and amounts["default"] != amounts["defaultRequest"]:
        message = f"default value {amounts['default']} must equal to defaultRequest value {amounts['defaultRequest']} in {name}"
        causes.append(invalid(f"{at}.defaultRequest[{name}]", str(amounts["defaultRequest"]), message))
    return causes


_ORDER = (
    ("min", "max", "min", "min value {} is greater than max value {}"),
    ("min", "defaultRequest", "defaultRequest", "min value {} is greater than default request value {}"),
    ("defaultRequest", "max", "defaultRequest", "default request value {} is greater than max value {}"),
    ("defaultRequest", "default", "defaultRequest", "default request value {} is greater than default limit value {}"),
    ("min", "default", "default", "min value {} is greater than default value {}"),
    ("default", "max", "default", "default value {} is greater than max value {}"),
)


def _quota_amounts(amounts: dict[str, str], at: str) -> list[Cause]:
    causes: list[Cause] = []
    for name, value in amounts.items():
        field = f"{at}[{name}]"
        causes += resource_name(field, name)
        if "/" not in name and name not in STANDARD and not name.startswith((HUGE, f"requests.{HUGE}")):
            causes.append(invalid(field, name, "must be a standard resource for quota"))
        causes += quantity(field, name, value)
    return causes


class QuotaStatus(SubresourceStrategy):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return _quota_amounts(new.status.hard, "status.hard") + _quota_amounts(new.status.used, "status.used")


class ResourceQuotaStrategy(KindStrategy):
    has_generation = False
    subresources = {"status": QuotaStatus()}

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = _quota_amounts(spec.hard, "spec.hard") + _scopes(spec)
        return causes + (_scope_selector(spec, "spec.scopeSelector.matchExpressions") if spec.scopeSelector is not None else [])

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("spec.scopes", sorted(new.spec.scopes), sorted(old.spec.scopes))


def _misapplied(scope: str, spec: Any) -> list[str]:
    allowed = _SCOPES.get(scope)
    return [name for name in spec.hard if allowed is not None and name in STANDARD and name not in allowed]


def _scopes(spec: Any) -> list[Cause]:
    field = "spec.scopes"
    causes: list[Cause] = []
    for scope in spec.scopes:
        if scope not in _SCOPES:
            causes.append(invalid(field, spec.scopes, "unsupported scope"))
        causes += [invalid(field, spec.scopes, "unsupported scope applied to resource") for _ in _misapplied(scope, spec)]
    return causes + _conflicts(set(spec.scopes), spec)


def _conflicts(scopes: set[str], spec: Any) -> list[Cause]:
    return [invalid("spec.scopes", spec.scopes, "conflicting scopes") for pair in _OPPOSITES if pair <= scopes]


def _scope_selector(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for requirement in spec.scopeSelector.matchExpressions:
        scope, operator, values = requirement.scopeName, requirement.operator, requirement.values
        if scope not in _SCOPES:
            causes.append(invalid(f"{at}.scopeName", scope, "unsupported scope"))
        causes += [invalid(at, spec.scopeSelector, "unsupported scope applied to resource") for _ in _misapplied(scope, spec)]
        if scope in _PRESENCE and operator != "Exists":
            causes.append(invalid(f"{at}.operator", operator, _ONLY_EXISTS))
        if operator in ("In", "NotIn"):
            because = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            causes += [] if values else [required(f"{at}.values", because)]
        elif operator in ("Exists", "DoesNotExist"):
            because = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            causes += [invalid(f"{at}.values", values, because)] if values else []
        else:
            causes.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
    return causes + _conflicts({r.scopeName for r in spec.scopeSelector.matchExpressions}, spec)


STRATEGIES: dict[str, type[Strategy]] = {"core/limitranges": LimitRangeStrategy, "core/resourcequotas": ResourceQuotaStrategy}
