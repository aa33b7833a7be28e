"""HorizontalPodAutoscaler, in its stored form (v2)."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import forbidden, invalid, named, non_negative, one_of, required, unsupported
from bareboat.api.kinds.names import path_segment
from bareboat.api.kinds.selectors import validate_selector
from bareboat.api.strategy import Strategy, SubresourceStrategy
from bareboat.models import autoscaling_v2 as v2
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_SOURCES = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}
_LONGEST_WINDOW, _LONGEST_PERIOD = 3600, 1800
_BOTH = "may not set both a target raw value and a target utilization"
_NEITHER = "must set either a target raw value or a target utilization"


def _rules(given: Any, policies: list[Any], window: int | None) -> Any:
    """What the client left out, filled in."""
    rules = given or v2.HPAScalingRules()
    if rules.stabilizationWindowSeconds is None:
        rules.stabilizationWindowSeconds = window
    rules.selectPolicy = "Max" if rules.selectPolicy is None else rules.selectPolicy
    rules.policies = rules.policies or policies
    return rules


class AutoscalerStatus(SubresourceStrategy):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = non_negative("status.currentReplicas", new.status.currentReplicas)
        return causes + non_negative("status.desiredReplicas", new.status.desiredReplicas)


class AutoscalerStrategy(PlainStrategy):
    subresources = {"status": AutoscalerStatus()}

    def default(self, obj: Any) -> None:
        spec = obj.spec
        if spec.minReplicas is None:
            spec.minReplicas = 1
        if not spec.metrics:
            target = v2.MetricTarget(type="Utilization", averageUtilization=80)
            spec.metrics = [v2.MetricSpec(type="Resource", resource=v2.ResourceMetricSource(name="cpu", target=target))]
        if spec.behavior is not None:
            all_of_it = v2.HPAScalingPolicy(type="Percent", value=100, periodSeconds=15)
            four = v2.HPAScalingPolicy(type="Pods", value=4, periodSeconds=15)
            spec.behavior.scaleUp = _rules(spec.behavior.scaleUp, [four, all_of_it], 0)
            spec.behavior.scaleDown = _rules(spec.behavior.scaleDown, [all_of_it], None)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        low, high = spec.minReplicas, spec.maxReplicas
        causes: list[Cause] = []
        if low is not None and low < 1:
            causes.append(invalid("spec.minReplicas", low, "must be greater than or equal to 1"))
        if high == 0:
            causes.append(required("spec.maxReplicas", "must be set and greater than 0"))
        elif high < 1:
            causes.append(invalid("spec.maxReplicas", high, "must be greater than or equal to 1"))
        if low is not None and high < low:
            causes.append(invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"))
        causes += _reference(spec.scaleTargetRef, "spec.scaleTargetRef") + _api_version(
            spec.scaleTargetRef, "spec.scaleTargetRef.apiVersion"
        )
        for i, metric in enumerate(spec.metrics):
            causes += _metric(metric, f"spec.metrics[{i}]")
        if spec.behavior is not None:
            for name in ("scaleUp", "scaleDown"):
                rules = getattr(spec.behavior, name)
                causes += _behavior(rules, f"spec.behavior.{name}") if rules is not None else []
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def _reference(reference: Any, at: str) -> list[Cause]:
    return [cause for name in ("kind", "name") for cause in named(f"{at}.{name}", getattr(reference, name), path_segment)]


def _api_version(reference: Any, field: str) -> list[Cause]:
    """Only what the core group can scale may do without a group."""
    version = reference.apiVersion
    if version.count("/") > 1:
        return [invalid(field, version, f"unexpected GroupVersion string: {version}")]
    if "/" in version or (version == "v1" and reference.kind == "ReplicationController"):
        return []
    return [invalid(field, version, "apiVersion must specify API group")]


def _metric(metric: Any, at: str) -> list[Cause]:
    kind = metric.type
    causes: list[Cause] = []
    if not kind:
        causes.append(required(f"{at}.type", "must specify a metric source type"))
    if kind not in _SOURCES:
        causes.append(unsupported(f"{at}.type", kind, _SOURCES))
    present = [name for name in _SOURCES.values() if getattr(metric, name) is not None]
    if present:
        causes += _CHECKS[present[0]](getattr(metric, present[0]), f"{at}.{present[0]}")
    expected = _SOURCES.get(kind, "")
    if not expected:  # upstream says so twice
        causes.append(unsupported(f"{at}.type", kind, _SOURCES))
    elif expected not in present:
        causes.append(required(f"{at}.{expected}", "must populate information for the given metric source"))
    if len(present) != 1:
        causes += [forbidden(f"{at}.{name}", "must populate the given metric source only") for name in present if name != expected]
    return causes


def _identifier(metric: Any, at: str) -> list[Cause]:
    causes = named(f"{at}.name", metric.name, path_segment, "must specify a metric name")
    return causes + validate_selector(metric.selector, f"{at}.selector")


def _target(target: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if not target.type:
        causes.append(required(f"{at}.type", "must specify a metric target type"))
    if target.type not in ("Utilization", "Value", "AverageValue"):
        causes.append(invalid(f"{at}.type", target.type, "must be either Utilization, Value, or AverageValue"))
    for name in ("value", "averageValue"):
        value = getattr(target, name)
        if value is not None and Quantity.parse(value).nanos <= 0:
            causes.append(invalid(f"{at}.{name}", value, "must be positive"))
    if target.averageUtilization is not None and target.averageUtilization < 1:
        causes.append(invalid(f"{at}.averageUtilization", target.averageUtilization, "must be greater than 0"))
    return causes


def _object(source: Any, at: str) -> list[Cause]:
    causes = _reference(source.describedObject, f"{at}.describedObject") + _identifier(source.metric, f"{at}.metric")
    causes += _target(source.target, f"{at}.target")
    if source.target.value is None and source.target.averageValue is None:
        because = "must set either a target value for metric or a per-pod target"
        causes.append(required(f"{at}.target.averageValue", because))
    return causes


def _external(source: Any, at: str) -> list[Cause]:
    causes = _identifier(source.metric, f"{at}.metric") + _target(source.target, f"{at}.target")
    value, average = source.target.value, source.target.averageValue
    if value is None and average is None:
        causes.append(required(f"{at}.target.averageValue", "must set either a target value for metric or a per-pod target"))
    if value is not None and average is not None:
        causes.append(forbidden(f"{at}.target.value", "may not set both a target value for metric and a per-pod target"))
    return causes


def _pods(source: Any, at: str) -> list[Cause]:
    causes = _identifier(source.metric, f"{at}.metric") + _target(source.target, f"{at}.target")
    average = source.target.averageValue
    if average is None or Quantity.parse(average).nanos <= 0:
        causes.append(required(f"{at}.target.averageValue", "must specify a positive target averageValue"))
    return causes


def _resource(source: Any, at: str) -> list[Cause]:
    causes = [] if source.name else [required(f"{at}.name", "must specify a resource name")]
    causes += _target(source.target, f"{at}.target")
    utilization, average = source.target.averageUtilization, source.target.averageValue
    if utilization is None and average is None:
        causes.append(required(f"{at}.target.averageUtilization", _NEITHER))
    if utilization is not None and average is not None:
        causes.append(forbidden(f"{at}.target.averageValue", _BOTH))
    return causes


def _container(source: Any, at: str) -> list[Cause]:
    causes = [] if source.container else [required(f"{at}.container", "must specify a container")]
    return causes + _resource(source, at)


_CHECKS = {"object": _object, "pods": _pods, "resource": _resource, "containerResource": _container, "external": _external}


def _behavior(rules: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    window, field = rules.stabilizationWindowSeconds, f"{at}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        causes.append(invalid(field, window, "must be greater than or equal to zero"))
    elif window is not None and window > _LONGEST_WINDOW:
        causes.append(invalid(field, window, f"must be less than or equal to {_LONGEST_WINDOW}"))
    if rules.selectPolicy is not None:
        causes += one_of(f"{at}.selectPolicy", rules.selectPolicy, ("Disabled", "Max", "Min"))
    if rules.tolerance is not None and Quantity.parse(rules.tolerance).nanos < 0:
        causes.append(invalid(f"{at}.tolerance", rules.tolerance, "must be greater than or equal to 0"))
    if not rules.policies:
        causes.append(required(f"{at}.policies", "must specify at least one Policy"))
    for i, policy in enumerate(rules.policies):
        causes += _policy(policy, f"{at}.policies[{i}]")
    return causes


def _policy(policy: Any, at: str) -> list[Cause]:
    causes = one_of(f"{at}.type", policy.type, ("Percent", "Pods"))
    if policy.value <= 0:
        causes.append(invalid(f"{at}.value", policy.value, "must be greater than zero"))
    if policy.periodSeconds <= 0:
        causes.append(invalid(f"{at}.periodSeconds", policy.periodSeconds, "must be greater than zero"))
    elif policy.periodSeconds > _LONGEST_PERIOD:
        message = f"must be less than or equal to {_LONGEST_PERIOD}"
        causes.append(invalid(f"{at}.periodSeconds", policy.periodSeconds, message))
    return causes


STRATEGIES: dict[str, type[Strategy]] = {"autoscaling/horizontalpodautoscalers": AutoscalerStrategy}
