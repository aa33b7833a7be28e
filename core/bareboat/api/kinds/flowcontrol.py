"""FlowSchema and PriorityLevelConfiguration."""

from __future__ import annotations

import math
from typing import Any

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import duplicate, each, forbidden, in_range, invalid, one_of, required, unsupported
from bareboat.api.strategy import StatusAlone, Strategy
from bareboat.models import flowcontrol_v1 as v1
from bareboat.models.names import dns1123_label, dns1123_subdomain
from bareboat.models.status import Cause

_VERBS = ("*", "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_KINDS = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}
_LAST_PRECEDENCE, _DEFAULT_PRECEDENCE = 10000, 1000
_MOST_QUEUES, _HASH_BITS = 10_000_000, 60
_ONE_NAMESPACE = "each member of this list must be '*' or a DNS-1123 label; "


class ConditionStatus(StatusAlone):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes: list[Cause] = []
        seen: set[str] = set()
        for i, condition in enumerate(new.status.conditions):
            field = f"status.conditions[{i}].type"
            if condition.type in seen:
                causes.append(duplicate(field, condition.type))
            seen.add(condition.type)
            if not condition.type:
                causes.append(required(field, "must not be empty"))
        return causes


class FlowSchemaStrategy(KindStrategy):
    subresources = {"status": ConditionStatus()}

    def default(self, obj: Any) -> None:
        obj.spec.matchingPrecedence = obj.spec.matchingPrecedence or _DEFAULT_PRECEDENCE

    def validate_create(self, obj: Any) -> list[Cause]:
        spec, field = obj.spec, "spec.matchingPrecedence"
        causes: list[Cause] = []
        order = spec.matchingPrecedence
        if order <= 0:
            causes.append(invalid(field, order, "must be a positive value"))
        if order > _LAST_PRECEDENCE:
            causes.append(invalid(field, order, f"must not be greater than {_LAST_PRECEDENCE}"))
        if order == 1 and obj.metadata.name != "exempt":
            causes.append(invalid(field, order, "only the schema named 'exempt' may have matchingPrecedence 1"))
        method = spec.distinguisherMethod
        if method is not None and method.type not in ("ByNamespace", "ByUser"):
            causes.append(unsupported("spec.distinguisherMethod.type", method, ("ByNamespace", "ByUser")))
        name, where = spec.priorityLevelConfiguration.name, "spec.priorityLevelConfiguration.name"
        causes += each(where, name, dns1123_subdomain(name)) if name else [required(where, "must reference a priority level")]
        for i, rule in enumerate(spec.rules):
            causes += _rule(rule, f"spec.rules[{i}]")
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def _rule(rule: Any, at: str) -> list[Cause]:
    causes = [cause for i, subject in enumerate(rule.subjects) for cause in _subject(subject, f"{at}.subjects[{i}]")]
    if not rule.subjects:
        causes.append(required(f"{at}.subjects", "subjects must contain at least one value"))
    if not rule.resourceRules and not rule.nonResourceRules:
        causes.append(required(at, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for i, resource in enumerate(rule.resourceRules):
        causes += _resource_rule(resource, f"{at}.resourceRules[{i}]")
    for i, other in enumerate(rule.nonResourceRules):
        causes += _url_rule(other, f"{at}.nonResourceRules[{i}]")
    return causes


def _subject(subject: Any, at: str) -> list[Cause]:
    own = _KINDS.get(subject.kind)
    if own is None:
        return [unsupported(f"{at}.kind", subject.kind, _KINDS)]
    causes = _named_subject(getattr(subject, own), own, subject.kind, f"{at}.{own}")
    for kind, name in _KINDS.items():
        if name != own and getattr(subject, name) is not None:
            causes.append(forbidden(f"{at}.{name}", f"{name} is forbidden when subject kind is not '{kind}'"))
    return causes


def _named_subject(who: Any, name: str, kind: str, at: str) -> list[Cause]:
    if who is None:
        return [required(at, f"{name} is required when subject kind is '{kind}'")]
    causes = [] if who.name else [required(f"{at}.name")]
    if kind != "ServiceAccount":
        return causes
    if who.name and who.name != "*":
        causes += each(f"{at}.name", who.name, dns1123_subdomain(who.name))
    if not who.namespace:
        return [*causes, required(f"{at}.namespace", "must specify namespace for service account")]
    return causes + each(f"{at}.namespace", who.namespace, dns1123_label(who.namespace))


def _verbs(verbs: list[str], field: str) -> list[Cause]:
    if not verbs:
        return [required(field, "verbs must contain at least one value")]
    if "*" in verbs:
        return [invalid(field, verbs, "if '*' is present, must not specify other verbs")] if len(verbs) > 1 else []
    return [] if set(verbs) <= set(_VERBS) else [unsupported(field, verbs, _VERBS[1:])]


def _alone(values: list[str], field: str, because: str, others: str) -> list[Cause]:
    if not values:
        return [required(field, because)]
    return [invalid(field, values, f"if '*' is present, must not specify other {others}")] if len(values) > 1 and "*" in values else []


def _resource_rule(rule: Any, at: str) -> list[Cause]:
    causes = _verbs(rule.verbs, f"{at}.verbs")
    causes += _alone(rule.apiGroups, f"{at}.apiGroups", "resource rules must supply at least one api group", "api groups")
    causes += _alone(rule.resources, f"{at}.resources", "resource rules must supply at least one resource", "resources")
    spaces, field = rule.namespaces, f"{at}.namespaces"
    if not spaces and not rule.clusterScope:
        return [*causes, required(field, "resource rules that are not cluster scoped must supply at least one namespace")]
    if "*" in spaces:
        return causes + _alone(spaces, field, "", "namespaces")
    for i, space in enumerate(spaces):
        causes += [invalid(f"{field}[{i}]", space, _ONE_NAMESPACE + fault) for fault in dns1123_label(space)]
    return causes


def _url_rule(rule: Any, at: str) -> list[Cause]:
    causes = _verbs(rule.verbs, f"{at}.verbs")
    urls, field = rule.nonResourceURLs, f"{at}.nonResourceURLs"
    if not urls or "*" in urls:
        return causes + _alone(urls, field, "nonResourceURLs must contain at least one value", "non-resource URLs")
    faults = ((i, url, _url_fault(url)) for i, url in enumerate(urls))
    return causes + [invalid(f"{field}[{i}]", url, fault) for i, url, fault in faults if fault]


def _url_fault(path: str) -> str:
    if not path:
        return "must not be empty"
    if path == "/":
        return ""
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    stars = path.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars == 1 and not path.endswith("/*")) else ""


class PriorityLevelStrategy(KindStrategy):
    subresources = {"status": ConditionStatus()}

    def default(self, obj: Any) -> None:
        spec = obj.spec
        if spec.type == "Exempt":
            spec.exempt = spec.exempt or v1.ExemptPriorityLevelConfiguration()
            spec.exempt.nominalConcurrencyShares = spec.exempt.nominalConcurrencyShares or 0
            spec.exempt.lendablePercent = spec.exempt.lendablePercent or 0
        if spec.limited is not None:
            limited = spec.limited
            limited.nominalConcurrencyShares = 30 if limited.nominalConcurrencyShares is None else limited.nominalConcurrencyShares
            limited.lendablePercent = limited.lendablePercent or 0
            queuing = limited.limitResponse.queuing
            if queuing is not None:
                queuing.handSize = queuing.handSize or 8
                queuing.queues = queuing.queues or 64
                queuing.queueLengthLimit = queuing.queueLengthLimit or 50

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes: list[Cause] = []
        if (obj.metadata.name == "exempt") != (spec.type == "Exempt"):
            causes.append(invalid("spec.type", spec.type, "type must be 'Exempt' if and only if name is 'exempt'"))
        if spec.type == "Exempt":
            if spec.limited is not None:
                causes.append(forbidden("spec.limited", "must be nil if the type is not Limited"))
            return causes + (_shares(spec.exempt, "spec.exempt") if spec.exempt is not None else [])
        if spec.type != "Limited":
            return causes + one_of("spec.type", spec.type, ("Exempt", "Limited"))
        if spec.exempt is not None:
            causes.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
        if spec.limited is None:
            return [*causes, required("spec.limited", "must not be empty when type is Limited")]
        return causes + _limited(spec.limited, "spec.limited")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def _shares(level: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if level.nominalConcurrencyShares is not None and level.nominalConcurrencyShares < 0:
        message = "must be a non-negative integer"
        causes.append(invalid(f"{at}.nominalConcurrencyShares", level.nominalConcurrencyShares, message))
    if level.lendablePercent is not None:
        causes += in_range(f"{at}.lendablePercent", level.lendablePercent, 0, 100)
    return causes


def _limited(limited: Any, at: str) -> list[Cause]:
    causes = _shares(limited, at)
    borrowing = limited.borrowingLimitPercent
    if borrowing is not None and borrowing < 0:
        causes.append(invalid(f"{at}.borrowingLimitPercent", borrowing, "if specified, must be a non-negative integer"))
    response, where = limited.limitResponse, f"{at}.limitResponse"
    if response.type == "Reject":
        if response.queuing is not None:
            causes.append(forbidden(f"{where}.queuing", "must be nil if limited.limitResponse.type is not Limited"))
    elif response.type == "Queue":
        if response.queuing is None:
            causes.append(required(f"{where}.queuing", "must not be empty if limited.limitResponse.type is Limited"))
        else:
            causes += _queuing(response.queuing, f"{where}.queuing")
    else:
        causes.append(unsupported(f"{where}.type", response.type, ("Queue", "Reject")))
    return causes


def _queuing(queuing: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    queues, hand = queuing.queues, queuing.handSize
    if queuing.queueLengthLimit <= 0:
        causes.append(invalid(f"{at}.queueLengthLimit", queuing.queueLengthLimit, "must be positive"))
    if queues <= 0:
        causes.append(invalid(f"{at}.queues", queues, "must be positive"))
    elif queues > _MOST_QUEUES:
        causes.append(invalid(f"{at}.queues", queues, f"must not be greater than {_MOST_QUEUES}"))
    if hand <= 0:
        causes.append(invalid(f"{at}.handSize", hand, "must be positive"))
    elif hand > queues:
        causes.append(invalid(f"{at}.handSize", hand, f"should not be greater than queues ({queues})"))
    else:
        bits = sum(math.log2(queues - i) for i in range(hand)) if hand <= _HASH_BITS else hand
        if math.ceil(bits) > _HASH_BITS:
            message = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {_HASH_BITS}"
            causes.append(invalid(f"{at}.handSize", hand, message))
    return causes


STRATEGIES: dict[str, type[Strategy]] = {
    "flowcontrol.apiserver.k8s.io/flowschemas": FlowSchemaStrategy,
    "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations": PriorityLevelStrategy,
}
