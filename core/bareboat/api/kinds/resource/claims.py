"""ResourceClaim, ResourceClaimTemplate and DeviceClass."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import each, forbidden, immutable, invalid, named, required, unsupported
from bareboat.api.kinds.core.affinity import validate_node_selector
from bareboat.api.kinds.core.resources import is_extended
from bareboat.api.kinds.metadata import validate_annotations, validate_labels
from bareboat.api.kinds.resource.names import attribute, driver, label, limited, opaque, pool, selector, toleration
from bareboat.api.strategy import StatusAlone, Strategy, WriteContext
from bareboat.models.names import dns1123_label, dns1123_subdomain
from bareboat.models.status import Cause

_REQUESTS, _ALTERNATIVES, _MANY, _CONSUMERS = 32, 8, 32, 256
_EITHER = "exactly one of `exactly` or `firstAvailable` is required"
_REFERENCE = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_MODES = ("All", "ExactCount")


def default_claim(spec: Any) -> None:
    for request in spec.devices.requests:
        for exact in filter(None, (request.exactly, *request.firstAvailable)):
            exact.allocationMode = exact.allocationMode or "ExactCount"
            if exact.allocationMode == "ExactCount":
                exact.count = exact.count or 1
            for item in exact.tolerations:
                item.operator = item.operator or "Equal"


def validate_claim(spec: Any, at: str) -> list[Cause]:
    devices, where = spec.devices, f"{at}.devices"
    names = request_names(devices)
    causes = limited(devices.requests, _REQUESTS, f"{where}.requests", _request, lambda request: request.name)
    causes += limited(devices.constraints, _MANY, f"{where}.constraints", lambda item, field: _constraint(item, field, names))
    return causes + limited(devices.config, _MANY, f"{where}.config", lambda item, field: _config(item, field, names))


def request_names(devices: Any) -> set[str]:
    """Of requests and, behind a slash, of their alternatives."""
    names = {request.name for request in devices.requests}
    return names | {f"{request.name}/{sub.name}" for request in devices.requests for sub in request.firstAvailable}


def _request(request: Any, at: str) -> list[Cause]:
    causes = each(f"{at}.name", request.name, dns1123_label(request.name))
    if request.exactly is None and not request.firstAvailable:
        return [*causes, required(at, _EITHER)]
    if request.exactly is not None and request.firstAvailable:
        return [*causes, invalid(at, None, f"{_EITHER}, but multiple fields are set")]
    if request.exactly is not None:
        return causes + _exact(request.exactly, f"{at}.exactly")
    return causes + limited(request.firstAvailable, _ALTERNATIVES, f"{at}.firstAvailable", _alternative, lambda sub: sub.name)


def _alternative(request: Any, at: str) -> list[Cause]:
    return each(f"{at}.name", request.name, dns1123_label(request.name)) + _exact(request, at)


def _exact(request: Any, at: str) -> list[Cause]:
    causes = named(f"{at}.deviceClassName", request.deviceClassName, dns1123_subdomain)
    causes += limited(request.selectors, _MANY, f"{at}.selectors", selector)
    mode, count = request.allocationMode, request.count
    if mode == "All" and count:
        causes.append(invalid(f"{at}.count", count, "must not be specified when allocationMode is 'All'"))
    elif mode == "ExactCount" and count <= 0:
        causes.append(invalid(f"{at}.count", count, "must be greater than zero"))
    elif mode not in _MODES:
        causes.append(unsupported(f"{at}.allocationMode", mode, _MODES))
    return causes + [c for i, item in enumerate(request.tolerations) for c in toleration(item, f"{at}.tolerations[{i}]")]


def _reference(name: str, field: str, names: set[str]) -> list[Cause]:
    if name.count("/") > 1:
        return [invalid(field, name, _REFERENCE)]
    causes = [cause for part in name.split("/") for cause in label(field, part)]
    return causes + ([] if name in names else [invalid(field, name, _REFERENCE)])


def _references(requests: list[str], at: str, names: set[str]) -> list[Cause]:
    return limited(requests, _REQUESTS, at, lambda name, field: _reference(name, field, names), lambda name: name)


def _constraint(constraint: Any, at: str, names: set[str]) -> list[Cause]:
    causes = _references(constraint.requests, f"{at}.requests", names)
    for name in ("matchAttribute", "distinctAttribute"):
        value = getattr(constraint, name)
        if value is not None:
            return causes + attribute(f"{at}.{name}", value, full=True)
    because = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    return [*causes, required(at, because)]


def _config(config: Any, at: str, names: set[str]) -> list[Cause]:
    return _references(config.requests, f"{at}.requests", names) + opaque(config, at)


class ClaimStatus(StatusAlone):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        status, was = new.status, old.status
        field = "status.reservedFor"
        causes = limited(status.reservedFor, _CONSUMERS, field, _consumer, lambda consumer: consumer.uid)
        if status.reservedFor and status.allocation is None:
            causes.append(forbidden(field, "may not be specified when `allocated` is not set"))
        elif old.metadata.deletionTimestamp and any(consumer not in was.reservedFor for consumer in status.reservedFor):
            message = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
            causes.append(forbidden(field, message))
        if status.allocation is None:
            return causes
        if was.allocation is not None:
            return causes + immutable("status.allocation", status.allocation, was.allocation)
        return causes + _allocation(status.allocation, request_names(new.spec.devices), "status.allocation")


def _consumer(consumer: Any, at: str) -> list[Cause]:
    return [required(f"{at}.{name}") for name in ("resource", "name", "uid") if not getattr(consumer, name)]


def _allocation(allocation: Any, names: set[str], at: str) -> list[Cause]:
    causes: list[Cause] = []
    for i, result in enumerate(allocation.devices.results):
        where = f"{at}.devices.results[{i}]"
        causes += _reference(result.request, f"{where}.request", names) + driver(f"{where}.driver", result.driver)
        causes += pool(f"{where}.pool", result.pool) + label(f"{where}.device", result.device)
    for i, config in enumerate(allocation.devices.config):
        where = f"{at}.devices.config[{i}]"
        if config.source not in ("FromClaim", "FromClass"):
            field = f"{where}.source"
            causes.append(unsupported(field, config.source, ("FromClaim", "FromClass")) if config.source else required(field))
        causes += _config(config, where, names)
    if allocation.nodeSelector is not None:
        causes += validate_node_selector(allocation.nodeSelector, f"{at}.nodeSelector")
    return causes


class ClaimStrategy(PlainStrategy):
    subresources = {"status": ClaimStatus()}

    def default(self, obj: Any) -> None:
        default_claim(obj.spec)

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        self.reset_status(obj)

    def validate_create(self, obj: Any) -> list[Cause]:
        return validate_claim(obj.spec, "spec")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return immutable("spec", new.spec, old.spec)


class ClaimTemplateStrategy(PlainStrategy):
    def default(self, obj: Any) -> None:
        default_claim(obj.spec.spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        meta, at = obj.spec.metadata, "spec.metadata"
        causes = validate_annotations(meta.annotations, f"{at}.annotations") + validate_labels(meta.labels, f"{at}.labels")
        empty = type(meta)()
        held = [n for n in meta.__struct_fields__ if n not in ("labels", "annotations") and getattr(meta, n) != getattr(empty, n)]
        return causes + [forbidden(f"{at}.{name}", "cannot be set") for name in held] + validate_claim(obj.spec.spec, "spec.spec")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return immutable("spec", new.spec, old.spec)


class DeviceClassStrategy(PlainStrategy):
    """Its generation counts the changes of its spec, from one."""

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        obj.metadata.generation = 1

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        new.metadata.generation = old.metadata.generation + (new.spec != old.spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = limited(spec.selectors, _MANY, "spec.selectors", selector) + limited(spec.config, _MANY, "spec.config", opaque)
        name = spec.extendedResourceName
        if name is not None and not is_extended(name):
            causes.append(invalid("spec.extendedResourceName", name, "must be a valid extended resource name"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def node_name(field: str, name: str) -> list[Cause]:
    return each(field, name, dns1123_subdomain(name))


def counter_name(field: str, name: str) -> list[Cause]:
    return each(field, name, dns1123_label(name)) if name else [required(field)]


STRATEGIES: dict[str, type[Strategy]] = {
    "resource.k8s.io/resourceclaims": ClaimStrategy,
    "resource.k8s.io/resourceclaimtemplates": ClaimTemplateStrategy,
    "resource.k8s.io/deviceclasses": DeviceClassStrategy,
}
