"""Node and Namespace."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import choice, duplicate, each, forbidden, invalid
from bareboat.api.kinds.core.addresses import cidr, family
from bareboat.api.kinds.core.pod_spec import EFFECTS
from bareboat.api.kinds.core.resources import quantity
from bareboat.api.kinds.metadata import validate_finalizer
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models.names import dns1123_label, label_value, qualified_name
from bareboat.models.quantity import canonical
from bareboat.models.status import Cause

NAME_LABEL = "kubernetes.io/metadata.name"


class Finalize(SubresourceStrategy):
    """``namespaces/finalize``: spec.finalizers, and metadata."""

    part = "spec"
    reset_fields = ("status",)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        finalizers = enumerate(new.spec.finalizers)
        return [cause for i, finalizer in finalizers for cause in validate_finalizer(finalizer, f"spec.finalizers[{i}]")]


class NamespaceStatus(SubresourceStrategy):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        going = bool(old.metadata.deletionTimestamp)
        wanted = "Terminating" if going else "Active"
        if new.status.phase == wanted:
            return []
        message = f"may only be '{wanted}' if `deletionTimestamp` is {'not ' if going else ''}empty"
        return [invalid("status.Phase", new.status.phase, message)]


class NamespaceStrategy(PlainStrategy):
    subresources = {"status": NamespaceStatus(), "finalize": Finalize()}
    selectable = {"status.phase": lambda ns: ns.status.phase}

    def validate_name(self, name: str) -> list[str]:
        return dns1123_label(name)

    def default(self, obj: Any) -> None:
        if obj.metadata.name:
            obj.metadata.labels = {**obj.metadata.labels, NAME_LABEL: obj.metadata.name}

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        self.default(obj)  # a generated name is known only now
        self.reset_status(obj)
        obj.status.phase = "Active"
        if "kubernetes" not in obj.spec.finalizers:
            obj.spec.finalizers = [*obj.spec.finalizers, "kubernetes"]

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        new.status = old.status
        new.spec.finalizers = old.spec.finalizers

    def validate_create(self, obj: Any) -> list[Cause]:
        return [cause for finalizer in obj.spec.finalizers for cause in validate_finalizer(finalizer, "spec.finalizers")]


class NodeStrategy(PlainStrategy):
    selectable = {"spec.unschedulable": lambda node: "true" if node.spec.unschedulable else "false"}

    def default(self, obj: Any) -> None:
        status, spec = obj.status, obj.spec
        if status.capacity and not status.allocatable:
            status.allocatable = {k: canonical(v) for k, v in status.capacity.items()}
        if spec.podCIDR and not spec.podCIDRs:
            spec.podCIDRs = [spec.podCIDR]
        elif spec.podCIDRs:
            spec.podCIDR = spec.podCIDRs[0] if not spec.podCIDR or spec.podCIDR == spec.podCIDRs[0] else spec.podCIDR

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        """A node may register with its status."""
        for taint in obj.spec.taints:
            if taint.effect == "NoExecute" and taint.timeAdded is None:
                taint.timeAdded = ctx.now

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        new.status = old.status
        self.prepare_create(new, ctx)

    def validate_create(self, obj: Any) -> list[Cause]:
        return _taints(obj.spec.taints) + _amounts(obj.status) + _pod_networks(obj.spec.podCIDRs)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        spec, was = new.spec, old.spec
        causes = _amounts(new.status)
        if was.podCIDRs and spec.podCIDRs != was.podCIDRs:
            causes.append(forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
        if was.providerID and spec.providerID != was.providerID:
            causes.append(forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid'))
        if spec.externalID != was.externalID:
            causes.append(forbidden("spec.externalID", "may not be updated"))
        return causes + _taints(spec.taints)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        texts = []
        if obj.spec.configSource is not None:
            texts.append("spec.configSource: the spec.configSource field is deprecated; it has no effect")
        if obj.spec.externalID:
            texts.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
        return texts


def _taints(taints: list[Any]) -> list[Cause]:
    """Upstream says that they are metadata."""
    causes: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        at = f"metadata.taints[{i}]"
        causes += each(f"{at}.key", taint.key, qualified_name(taint.key))
        faults = label_value(taint.value)
        causes += [invalid(f"{at}.value", taint.value, ";".join(faults))] if faults else []
        causes += choice(f"{at}.effect", taint.effect, EFFECTS)
        if (taint.key, taint.effect) in seen:
            causes.append(duplicate(at, taint))
        seen.add((taint.key, taint.effect))
    return causes


def _amounts(status: Any) -> list[Cause]:
    causes: list[Cause] = []
    for part in ("capacity", "allocatable"):
        for name, value in getattr(status, part).items():
            causes += quantity(f"status.{part}.{name}", name, value)
    return causes


def _pod_networks(networks: list[str]) -> list[Cause]:
    field = "spec.podCIDRs"
    causes = [cause for i, text in enumerate(networks) for cause in cidr(f"{field}[{i}]", text)]
    if len(networks) < 2:
        return causes
    if len(networks) > 2 or family(networks[0]) == family(networks[1]):
        causes.append(invalid(field, networks, "may specify no more than one CIDR for each IP family"))
    return causes + [duplicate(f"{field}[{i}]", text) for i, text in enumerate(networks) if text in networks[:i]]


STRATEGIES: dict[str, type[Strategy]] = {"core/namespaces": NamespaceStrategy, "core/nodes": NodeStrategy}
