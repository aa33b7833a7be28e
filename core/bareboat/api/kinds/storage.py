"""storage.k8s.io: classes, drivers, what drivers say of nodes, attachments, capacities."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import IMMUTABLE, duplicate, each, forbidden, immutable, invalid, non_negative, one_of, required, too_long
from bareboat.api.kinds.core.persistent_volumes import validate_volume_spec
from bareboat.api.kinds.core.volume_sources import csi_driver_name
from bareboat.api.kinds.selectors import validate_selector
from bareboat.api.strategy import StatusAlone, Strategy, WriteContext
from bareboat.models.names import dns1123_subdomain, qualified_name
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_PARAMETERS, _PARAMETER_BYTES = 512, 256 * 1024
_NODE_ID_LIMIT = 192


def _parameters(parameters: dict[str, str], *, needed: bool = False) -> list[Cause]:
    if len(parameters) > _PARAMETERS:
        return [too_long("parameters", _PARAMETERS)]
    if needed and not parameters:
        return [required("parameters")]
    causes = [invalid("parameters", "", "field can not be empty.")] if "" in parameters else []
    size = sum(len(k.encode()) + len(v.encode()) for k, v in parameters.items())
    return causes + ([too_long("parameters", _PARAMETER_BYTES)] if size > _PARAMETER_BYTES else [])


class StorageClassStrategy(PlainStrategy):
    def default(self, obj: Any) -> None:
        obj.reclaimPolicy = "Delete" if obj.reclaimPolicy is None else obj.reclaimPolicy
        obj.volumeBindingMode = "Immediate" if obj.volumeBindingMode is None else obj.volumeBindingMode

    def validate_create(self, obj: Any) -> list[Cause]:
        name = obj.provisioner
        causes = each("provisioner", name, qualified_name(name.lower())) if name else [required("provisioner")]
        causes += _parameters(obj.parameters)
        if obj.reclaimPolicy:
            causes += one_of("reclaimPolicy", obj.reclaimPolicy, ("Delete", "Retain"))
        causes += one_of("volumeBindingMode", obj.volumeBindingMode, ("Immediate", "WaitForFirstConsumer"))
        return causes + _topologies(obj.allowedTopologies)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = immutable("parameters", new.parameters, old.parameters)
        fields = ("provisioner", "reclaimPolicy")
        causes += [forbidden(f, f"updates to {f} are forbidden.") for f in fields if getattr(new, f) != getattr(old, f)]
        return causes + immutable("volumeBindingMode", new.volumeBindingMode, old.volumeBindingMode) + _topologies(new.allowedTopologies)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return []


def _topologies(terms: list[Any]) -> list[Cause]:
    causes: list[Cause] = []
    for i, term in enumerate(terms):
        at = f"allowedTopologies[{i}]"
        keys: set[str] = set()
        for j, requirement in enumerate(term.matchLabelExpressions):
            where = f"{at}.matchLabelExpressions[{j}]"
            if not requirement.values:
                causes.append(required(f"{where}.values"))
            causes += [duplicate(f"{where}.values[{k}]", v) for k, v in enumerate(requirement.values) if v in requirement.values[:k]]
            causes += each(f"{where}.key", requirement.key, qualified_name(requirement.key))
            if requirement.key in keys:
                causes.append(duplicate(f"{where}.key", requirement.key))
            keys.add(requirement.key)
        if any(_same_topology(term, other) for other in terms[:i]):
            causes.append(duplicate(f"{at}.matchLabelExpressions", ""))
    return causes


def _same_topology(a: Any, b: Any) -> bool:
    first, second = ({e.key: set(e.values) for e in term.matchLabelExpressions} for term in (a, b))
    return first == second


class AttributesClassStrategy(PlainStrategy):
    def validate_create(self, obj: Any) -> list[Cause]:
        return csi_driver_name("driverName", obj.driverName) + _parameters(obj.parameters, needed=True)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        fields = ("driverName", "parameters")
        return [forbidden(f, f"updates to {f} are forbidden.") for f in fields if getattr(new, f) != getattr(old, f)]


class CSIDriverStrategy(PlainStrategy):
    allow_unconditional_update = False
    _counted = ("tokenRequests", "requiresRepublish", "seLinuxMount", "nodeAllocatableUpdatePeriodSeconds")

    def default(self, obj: Any) -> None:
        spec = obj.spec
        spec.attachRequired = True if spec.attachRequired is None else spec.attachRequired
        spec.podInfoOnMount = bool(spec.podInfoOnMount)
        spec.storageCapacity = bool(spec.storageCapacity)
        spec.fsGroupPolicy = "ReadWriteOnceWithFSType" if spec.fsGroupPolicy is None else spec.fsGroupPolicy
        spec.volumeLifecycleModes = spec.volumeLifecycleModes or ["Persistent"]
        spec.requiresRepublish = bool(spec.requiresRepublish)
        spec.seLinuxMount = bool(spec.seLinuxMount)

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        if any(getattr(new.spec, f) != getattr(old.spec, f) for f in self._counted):
            new.metadata.generation = old.metadata.generation + 1

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = csi_driver_name("metadata.name", obj.metadata.name) if len(obj.metadata.name) > 63 else []
        causes += one_of("spec.fsGroupPolicy", spec.fsGroupPolicy, ("File", "None", "ReadWriteOnceWithFSType"))
        for mode in spec.volumeLifecycleModes:
            causes += one_of("spec.volumeLifecycleModes", mode, ("Ephemeral", "Persistent"))
        period = spec.nodeAllocatableUpdatePeriodSeconds
        if period is not None and period < 10:
            causes.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, "must be greater than or equal to 10 seconds"))
        return causes + _tokens(spec.tokenRequests)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = self.validate_create(new)
        for field in ("attachRequired", "volumeLifecycleModes"):
            causes += immutable(f"spec.{field}", getattr(new.spec, field), getattr(old.spec, field))
        return causes


def _tokens(requests: list[Any]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for i, request in enumerate(requests):
        at = f"spec.tokenRequests[{i}]"
        if request.audience in seen:
            causes.append(duplicate(f"{at}.audience", request.audience))
        seen.add(request.audience)
        seconds = request.expirationSeconds
        if seconds is not None and seconds < 600:
            causes.append(invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
        elif seconds is not None and seconds > 1 << 32:
            causes.append(invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    return causes


class CSINodeStrategy(PlainStrategy):
    allow_unconditional_update = False

    def validate_create(self, obj: Any) -> list[Cause]:
        causes: list[Cause] = []
        names: set[str] = set()
        for i, driver in enumerate(obj.spec.drivers):
            causes += _node_driver(driver, f"spec.drivers[{i}]", names)
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        """Drivers come and go; what one said it stays with."""
        causes = self.validate_create(new)
        before = {driver.name: driver for driver in old.spec.drivers}
        changed = [d for d in new.spec.drivers if d.name in before and _said(d) != _said(before[d.name])]
        return causes + [invalid("spec.drivers", driver, IMMUTABLE) for driver in changed]


def _said(driver: Any) -> tuple[Any, ...]:
    return driver.name, driver.nodeID, sorted(driver.topologyKeys)


def _node_driver(driver: Any, at: str, names: set[str]) -> list[Cause]:
    causes = csi_driver_name(f"{at}.name", driver.name)
    if not driver.nodeID:
        causes.append(required(f"{at}.nodeID"))
    elif len(driver.nodeID.encode()) > _NODE_ID_LIMIT:
        causes.append(invalid(f"{at}.nodeID", driver.nodeID, f"must be {_NODE_ID_LIMIT} characters or less"))
    if driver.allocatable is not None:
        causes += non_negative(f"{at}.allocatable.count", driver.allocatable.count)
    if driver.name in names:
        causes.append(duplicate(f"{at}.name", driver.name))
    names.add(driver.name)
    for i, key in enumerate(driver.topologyKeys):
        if key in driver.topologyKeys[:i]:
            causes.append(duplicate(at, key))
        causes += each(at, key, qualified_name(key))
    return causes


class VolumeAttachmentStrategy(KindStrategy):
    subresources = {"status": StatusAlone()}
    allow_unconditional_update = False
    has_generation = False

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = csi_driver_name("spec.attacher", spec.attacher) + _attached(spec.source, "spec.source")
        return causes + each("spec.nodeName", spec.nodeName, dns1123_subdomain(spec.nodeName))

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("spec", new.spec, old.spec)


def _attached(source: Any, at: str) -> list[Cause]:
    name, inline = source.persistentVolumeName, source.inlineVolumeSpec
    one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if name is None and inline is None:
        return [required(at, one)]
    if name is not None and inline is not None:
        return [forbidden(at, one)]
    if inline is not None:
        return validate_volume_spec(inline, f"{at}.inlineVolumeSpec", inline=True)
    field = f"{at}.persistentVolumeName"
    missing = [] if name else [required(field, "must specify non empty persistentVolumeName")]
    return missing + each(field, name, dns1123_subdomain(name))


class StorageCapacityStrategy(PlainStrategy):
    allow_unconditional_update = False

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = each("storageClassName", obj.storageClassName, dns1123_subdomain(obj.storageClassName))
        for name in ("capacity", "maximumVolumeSize"):
            value = getattr(obj, name)
            if value is not None and Quantity.parse(value).nanos < 0:
                causes.append(invalid(name, value, "must be greater than or equal to 0"))
        return causes + validate_selector(obj.nodeTopology, "nodeTopology")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = self.validate_create(new) + immutable("nodeTopology", new.nodeTopology, old.nodeTopology)
        return causes + immutable("storageClassName", new.storageClassName, old.storageClassName)


STRATEGIES: dict[str, type[Strategy]] = {
    "storage.k8s.io/storageclasses": StorageClassStrategy,
    "storage.k8s.io/volumeattributesclasses": AttributesClassStrategy,
    "storage.k8s.io/csidrivers": CSIDriverStrategy,
    "storage.k8s.io/csinodes": CSINodeStrategy,
    "storage.k8s.io/csistoragecapacities": StorageCapacityStrategy,
    "storage.k8s.io/volumeattachments": VolumeAttachmentStrategy,
}
