"""ResourceSlice: the devices that a driver has on a node, or for several."""

from __future__ import annotations

import re
from typing import Any

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import forbidden, immutable, invalid, required, too_long, too_many
from bareboat.api.kinds.core.affinity import validate_node_selector
from bareboat.api.kinds.resource.claims import counter_name, node_name
from bareboat.api.kinds.resource.names import attribute, bindings, driver, label, limited, pool, taint
from bareboat.api.strategy import Strategy
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_DEVICES, _ADVANCED_DEVICES, _ATTRIBUTES, _TAINTS, _COUNTER_SETS, _COUNTERS = 128, 64, 32, 16, 8, 32
_LONGEST_VALUE = 64
_ONE_OF = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_ONE_FOR_DEVICE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
_NOT_FOR_DEVICE = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
)
_NUMBER = r"(0|[1-9]\d*)"
_PRE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?", re.ASCII)
_VALUES = ("int", "bool", "string", "version", "ints", "bools", "strings", "versions")


class SliceStrategy(KindStrategy):
    selectable = {"spec.nodeName": lambda s: s.spec.nodeName or "", "spec.driver": lambda s: s.spec.driver}

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = driver("spec.driver", spec.driver) + _pool(spec.pool, "spec.pool") + _nodes(spec, "spec")
        if spec.sharedCounters and spec.devices:
            causes.append(invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
        advanced = any(device.taints or device.consumesCounters for device in spec.devices)
        limit = _ADVANCED_DEVICES if advanced else _DEVICES
        causes += limited(
            spec.devices, limit, "spec.devices", lambda d, at: _device(d, at, own=bool(spec.perDeviceNodeSelection)), lambda d: d.name
        )
        return causes + limited(spec.sharedCounters, _COUNTER_SETS, "spec.sharedCounters", _counter_set, lambda c: c.name)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        spec, was = new.spec, old.spec
        causes = self.validate_create(new) + immutable("spec.pool.name", spec.pool.name, was.pool.name)
        return causes + immutable("spec.driver", spec.driver, was.driver) + immutable("spec.nodeName", spec.nodeName, was.nodeName)


def _pool(held: Any, at: str) -> list[Cause]:
    causes = pool(f"{at}.name", held.name)
    if held.resourceSliceCount <= 0:
        causes.append(invalid(f"{at}.resourceSliceCount", held.resourceSliceCount, "must be greater than zero"))
    if held.generation < 0:
        causes.append(invalid(f"{at}.generation", held.generation, "must be greater than or equal to zero"))
    return causes


def _nodes(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    chosen: list[str] = []
    if spec.nodeName == "":
        causes.append(invalid(f"{at}.nodeName", "", "must be either unset or set to a non-empty string"))
    elif spec.nodeName is not None:
        chosen.append("`nodeName`")
        causes += node_name(f"{at}.nodeName", spec.nodeName)
    if spec.nodeSelector is not None:
        chosen.append("`nodeSelector`")
        causes += validate_node_selector(spec.nodeSelector, f"{at}.nodeSelector")
        terms = spec.nodeSelector.nodeSelectorTerms
        if len(terms) != 1:
            causes.append(invalid(f"{at}.nodeSelector.nodeSelectorTerms", terms, "must have exactly one node selector term"))
    for name in ("allNodes", "perDeviceNodeSelection"):
        value = getattr(spec, name)
        if value:
            chosen.append(f"`{name}`")
        elif value is not None:
            causes.append(invalid(f"{at}.{name}", value, "must be either unset or set to true"))
    if not chosen:
        causes.append(required(at, _ONE_OF))
    elif len(chosen) > 1:
        causes.append(invalid(at, "{" + ", ".join(chosen) + "}", f"{_ONE_OF}, but multiple fields are set"))
    return causes


def _device(device: Any, at: str, *, own: bool) -> list[Cause]:
    causes = label(f"{at}.name", device.name)
    count = len(device.attributes) + len(device.capacity)
    if count > _ATTRIBUTES:
        message = f"the total number of attributes and capacities must not exceed {_ATTRIBUTES}"
        causes.append(invalid(at, count, message))
    for name, value in device.attributes.items():
        causes += attribute(f"{at}.attributes", name) + _attribute(value, f"{at}.attributes[{name}]")
    for name, capacity in device.capacity.items():
        where = f"{at}.capacity[{name}]"
        causes += attribute(f"{at}.capacity", name)
        if capacity.requestPolicy is not None and not device.allowMultipleAllocations:
            causes.append(forbidden(f"{where}.requestPolicy", "allowMultipleAllocations must be true"))
        elif capacity.requestPolicy is not None:
            causes += _policy(capacity, f"{where}.requestPolicy")
    causes += limited(device.taints, _TAINTS, f"{at}.taints", taint)
    causes += limited(device.consumesCounters, 2, f"{at}.consumesCounters", _consumption, lambda c: c.counterSet)
    return causes + _device_nodes(device, at, own=own) + bindings(device, at)


def _device_nodes(device: Any, at: str, *, own: bool) -> list[Cause]:
    chosen = [name for name in ("nodeName", "nodeSelector", "allNodes") if getattr(device, name) is not None]
    if not own:
        return [invalid(at, None, _NOT_FOR_DEVICE)] if chosen else []
    causes: list[Cause] = []
    if device.nodeName == "":
        causes.append(invalid(f"{at}.nodeName", "", "must not be empty"))
    elif device.nodeName is not None:
        causes += node_name(f"{at}.nodeName", device.nodeName)
    if device.nodeSelector is not None:
        causes += validate_node_selector(device.nodeSelector, f"{at}.nodeSelector")
    if device.allNodes is False:
        causes.append(invalid(f"{at}.allNodes", False, "must be either unset or set to true"))
    if not chosen:
        causes.append(required(at, _ONE_FOR_DEVICE))
    elif len(chosen) > 1:
        causes.append(invalid(at, "{" + ", ".join(f"`{name}`" for name in chosen) + "}", _ONE_FOR_DEVICE))
    return causes


def _attribute(value: Any, at: str) -> list[Cause]:
    held = [name for name in _VALUES if getattr(value, name) not in (None, [])]
    causes: list[Cause] = []
    for name, texts in (("string", [value.string]), ("version", [value.version]), ("strings", value.strings), ("versions", value.versions)):
        for i, text in enumerate(texts):
            field = f"{at}.{name}" if name in ("string", "version") else f"{at}.{name}[{i}]"
            causes += _text(text, field, semver=name.startswith("version")) if text is not None else []
    if not held:
        causes.append(invalid(at, "", "exactly one value must be specified"))
    elif len(held) > 1:
        causes.append(invalid(at, value, "exactly one value must be specified"))
    return causes


def _text(text: str, field: str, *, semver: bool) -> list[Cause]:
    causes: list[Cause] = []
    if semver and not _SEMVER.fullmatch(text):
        causes.append(invalid(field, text, "must be a string compatible with semver.org spec 2.0.0"))
    return causes + ([too_long(field, _LONGEST_VALUE)] if len(text.encode()) > _LONGEST_VALUE else [])


def _policy(capacity: Any, at: str) -> list[Cause]:
    """How much of a capacity may be asked for."""
    policy, whole = capacity.requestPolicy, Quantity.parse(capacity.value)
    if policy.validValues and policy.validRange is not None:
        message = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        return [forbidden(at, message)]
    if policy.validValues:
        if policy.default is None:
            return [required(f"{at}.default", "required when validValues is defined")]
        return _valid_values(policy, whole, f"{at}.validValues")
    if policy.validRange is not None:
        if policy.default is None:
            return [required(f"{at}.default", "required when validRange is defined")]
        return _valid_range(policy, whole, f"{at}.validRange")
    return []


def _valid_values(policy: Any, whole: Quantity, at: str) -> list[Cause]:
    values = [Quantity.parse(value) for value in policy.validValues]
    if len(values) > 10:
        return [too_many(at, len(values), 10)]
    causes: list[Cause] = []
    for i, value in enumerate(values):
        if i and values[i - 1] > value:
            causes.append(invalid(f"{at}[{i}]", str(value), "values must be sorted in ascending order"))
        if value > whole:
            causes.append(invalid(f"{at}[{i}]", str(value), f"option is larger than capacity value: {whole}"))
    if Quantity.parse(policy.default) not in values:
        causes.append(invalid(at, policy.default, "default value is not valid according to the requestPolicy"))
    return causes


def _valid_range(policy: Any, whole: Quantity, at: str) -> list[Cause]:
    bounds = policy.validRange
    if bounds.min is None:
        return [required(f"{at}.min", "required when validRange is defined")]
    low, start = Quantity.parse(bounds.min), Quantity.parse(policy.default)
    causes: list[Cause] = []
    if low > whole:
        causes.append(invalid(f"{at}.min", bounds.min, f"min is larger than capacity value: {whole}"))
    if start < low:
        causes.append(invalid(f"{at}.min", policy.default, f"default is less than min: {low}"))
    if bounds.max is not None:
        high = Quantity.parse(bounds.max)
        if low > high:
            causes.append(invalid(f"{at}.max", bounds.min, f"min is larger than max: {high}"))
        if high > whole:
            causes.append(invalid(f"{at}.max", bounds.max, f"max is larger than capacity value: {whole}"))
        if start > high:
            causes.append(invalid(f"{at}.max", policy.default, f"default is more than max: {high}"))
    return causes + (_step(bounds, start, whole, f"{at}.step") if bounds.step is not None else [])


def _step(bounds: Any, start: Quantity, whole: Quantity, field: str) -> list[Cause]:
    low, step = Quantity.parse(bounds.min), Quantity.parse(bounds.step)
    if step.nanos <= 0:
        return [invalid(field, bounds.step, "must be greater than zero")]
    causes: list[Cause] = []
    if low + step > whole:
        causes.append(invalid(field, bounds.step, f"one step {low + step} is larger than capacity value: {whole}"))
    for value in (start, Quantity.parse(bounds.max) if bounds.max is not None else start):
        if (value.nanos - low.nanos) % step.nanos:
            causes.append(invalid(field, str(value), f"value is not a multiple of a given step ({step}) from ({low})"))
    return causes


def _consumption(consumption: Any, at: str) -> list[Cause]:
    causes = counter_name(f"{at}.counterSet", consumption.counterSet)
    return causes + _counters(consumption.counters, f"{at}.counters")


def _counter_set(counters: Any, at: str) -> list[Cause]:
    return counter_name(f"{at}.name", counters.name) + _counters(counters.counters, f"{at}.counters")


def _counters(counters: dict[str, Any], field: str) -> list[Cause]:
    if not counters:
        return [required(field)]
    if len(counters) > _COUNTERS:
        return [too_many(field, len(counters), _COUNTERS)]
    return [cause for name in counters for cause in counter_name(field, name)]


STRATEGIES: dict[str, type[Strategy]] = {"resource.k8s.io/resourceslices": SliceStrategy}
