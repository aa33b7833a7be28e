"""Rows of nodes, namespaces, events, configuration, storage and access."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bareboat.api.tables.values import NONE, UNKNOWN, UNSET, age, duration, words
from bareboat.models.meta import get_condition
from bareboat.models.quantity import BINARY_SI, DECIMAL_SI, Quantity

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_ROLE = "node-role.kubernetes.io/"


def _born(o: Any, now: datetime) -> str:
    return age(o.metadata.creationTimestamp, now)


def node(o: Any, now: datetime) -> list[Any]:
    ready = get_condition(o.status.conditions, "Ready")
    state = "Unknown" if ready is None else "Ready" if ready.status == "True" else "NotReady"
    if o.spec.unschedulable:
        state += ",SchedulingDisabled"
    roles = sorted({k.removeprefix(_ROLE) for k in o.metadata.labels if k.startswith(_ROLE) and len(k) > len(_ROLE)})
    addresses = {a.type: a.address for a in reversed(o.status.addresses)}
    info = o.status.nodeInfo
    return [
        o.metadata.name,
        state,
        words(roles),
        _born(o, now),
        info.kubeletVersion,
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.osImage or UNKNOWN,
        info.kernelVersion or UNKNOWN,
        info.containerRuntimeVersion or UNKNOWN,
    ]


def namespace(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, o.status.phase, _born(o, now)]


def event(o: Any, now: datetime) -> list[Any]:
    first = o.firstTimestamp or o.eventTime
    last = o.series.lastObservedTime if o.series is not None else o.lastTimestamp or first
    count = o.series.count if o.series is not None else o.count or 1
    about = o.involvedObject
    where = _source(o.source, o.reportingComponent, o.reportingInstance)
    seen = age(last, now)
    return _event_cells(o, about, seen, age(first, now), count, where, o.message)


def event_v1(o: Any, now: datetime) -> list[Any]:
    first = o.deprecatedFirstTimestamp or o.eventTime
    last = o.series.lastObservedTime if o.series is not None else o.deprecatedLastTimestamp or first
    count = o.series.count if o.series is not None else o.deprecatedCount or 1
    where = _source(o.deprecatedSource, o.reportingController, o.reportingInstance)
    return _event_cells(o, o.regarding, age(last, now), age(first, now), count, where, o.note)


def _source(old: Any, controller: str, instance: str) -> str:
    """Component and host of an old event, controller and instance of a new one."""
    words = (old.component, old.host) if old.component or old.host else (controller, instance)
    return ", ".join(word for word in words if word)


def _event_cells(o: Any, about: Any, last: str, first: str, count: int, where: str, text: str) -> list[Any]:
    target = f"{about.kind.lower()}/{about.name}" if about.name else about.kind.lower()
    return [last, o.type, o.reason, target, about.fieldPath, where, text.strip(), first, count, o.metadata.name]


def config_map(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, len(o.data) + len(o.binaryData), _born(o, now)]


def secret(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, o.type, len(o.data), _born(o, now)]


def quota(o: Any, now: datetime) -> list[Any]:
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(o.status.hard):
        text = f"{name}: {o.status.used.get(name, '0')}/{o.status.hard[name]}"
        (limits if name.startswith("limits") else requests).append(text)
    return [o.metadata.name, ", ".join(requests), ", ".join(limits), _born(o, now)]


def volume(o: Any, now: datetime) -> list[Any]:
    spec, claim = o.spec, o.spec.claimRef
    phase = "Terminating" if o.metadata.deletionTimestamp else o.status.phase
    return [
        o.metadata.name,
        spec.capacity.get("storage", ""),
        ",".join(_MODES.get(m, m) for m in spec.accessModes),
        spec.persistentVolumeReclaimPolicy,
        phase,
        f"{claim.namespace}/{claim.name}" if claim is not None else "",
        spec.storageClassName,
        spec.volumeAttributesClassName or UNSET,
        o.status.reason,
        _born(o, now),
        spec.volumeMode or UNSET,
    ]


def claim(o: Any, now: datetime) -> list[Any]:
    spec, status = o.spec, o.status
    phase = "Terminating" if o.metadata.deletionTimestamp else status.phase
    bound = bool(spec.volumeName)
    return [
        o.metadata.name,
        phase,
        spec.volumeName,
        status.capacity.get("storage", "") if bound else "",
        ",".join(_MODES.get(m, m) for m in status.accessModes) if bound else "",
        spec.storageClassName or "",
        spec.volumeAttributesClassName or UNSET,
        _born(o, now),
        spec.volumeMode or UNSET,
    ]


def storage_class(o: Any, now: datetime) -> list[Any]:
    default = o.metadata.annotations.get("storageclass.kubernetes.io/is-default-class") == "true"
    name = o.metadata.name + (" (default)" if default else "")
    return [name, o.provisioner, o.reclaimPolicy or "Delete", o.volumeBindingMode or UNSET, bool(o.allowVolumeExpansion), _born(o, now)]


def binding(o: Any, now: datetime) -> list[Any]:
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in o.subjects:
        name = f"{subject.namespace}/{subject.name}" if subject.kind == "ServiceAccount" else subject.name
        by_kind.setdefault(subject.kind, []).append(name)
    users, groups, accounts = (", ".join(by_kind[k]) for k in ("User", "Group", "ServiceAccount"))
    return [o.metadata.name, f"{o.roleRef.kind}/{o.roleRef.name}", _born(o, now), users, groups, accounts]


def budget(o: Any, now: datetime) -> list[Any]:
    spec = o.spec
    low = str(spec.minAvailable) if spec.minAvailable is not None else "N/A"
    high = str(spec.maxUnavailable) if spec.maxUnavailable is not None else "N/A"
    return [o.metadata.name, low, high, o.status.disruptionsAllowed, _born(o, now)]


def signing_request(o: Any, now: datetime) -> list[Any]:
    seconds = o.spec.expirationSeconds
    words_ = [c.type for c in o.status.conditions if c.type in ("Approved", "Denied", "Failed")]
    state = ",".join(words_) or "Pending"
    if o.status.certificate:
        state += ",Issued"
    lasting = duration(seconds) if seconds is not None else NONE
    return [o.metadata.name, _born(o, now), o.spec.signerName, o.spec.username, lasting, state]


def service_account(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, _born(o, now)]


def priority_class(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, o.value, bool(o.globalDefault), _born(o, now), o.preemptionPolicy or ""]


def lease(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, o.spec.holderIdentity or "", _born(o, now)]


def runtime_class(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, o.handler, _born(o, now)]


def api_service(o: Any, now: datetime) -> list[Any]:
    target = o.spec.service
    where = f"{target.namespace}/{target.name}" if target is not None else "Local"
    found = get_condition(o.status.conditions, "Available")
    state = "Unknown" if found is None else "True" if found.status == "True" else f"{found.status} ({found.reason})"
    return [o.metadata.name, where, state, _born(o, now)]


def csi_driver(o: Any, now: datetime) -> list[Any]:
    s = o.spec
    audiences = words([t.audience for t in s.tokenRequests], UNSET)
    modes = words(s.volumeLifecycleModes)
    flags = [bool(s.attachRequired), bool(s.podInfoOnMount), bool(s.storageCapacity)]
    return [o.metadata.name, *flags, audiences, bool(s.requiresRepublish), modes, _born(o, now)]


def csi_node(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, len(o.spec.drivers), _born(o, now)]


def attachment(o: Any, now: datetime) -> list[Any]:
    volume_name = o.spec.source.persistentVolumeName or ""
    return [o.metadata.name, o.spec.attacher, volume_name, o.spec.nodeName, o.status.attached, _born(o, now)]


def attributes_class(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, o.driverName, _born(o, now)]


def flow_schema(o: Any, now: datetime) -> list[Any]:
    s = o.spec
    method = s.distinguisherMethod.type if s.distinguisherMethod is not None else NONE
    dangling = get_condition(o.status.conditions, "Dangling")
    missing = "?" if dangling is None else dangling.status
    return [o.metadata.name, s.priorityLevelConfiguration.name, s.matchingPrecedence, method, _born(o, now), missing]


def priority_level(o: Any, now: datetime) -> list[Any]:
    s = o.spec
    part = s.limited if s.limited is not None else s.exempt
    shares = part.nominalConcurrencyShares if part is not None and part.nominalConcurrencyShares is not None else NONE
    queuing = s.limited.limitResponse.queuing if s.limited is not None else None
    queues = [getattr(queuing, f) if queuing is not None else NONE for f in ("queues", "handSize", "queueLengthLimit")]
    return [o.metadata.name, s.type, shares, *queues, _born(o, now)]


def policy(field: str) -> Any:
    def cells(o: Any, now: datetime) -> list[Any]:
        kind = o.spec.paramKind
        return [o.metadata.name, len(getattr(o.spec, field)), f"{kind.apiVersion}/{kind.kind}" if kind else UNSET, _born(o, now)]

    return cells


def policy_binding(o: Any, now: datetime) -> list[Any]:
    found = o.spec.paramRef
    where = UNSET
    if found is not None:
        where = f"{found.namespace}/{found.name}" if found.namespace else found.name or "*"
    return [o.metadata.name, o.spec.policyName, where, _born(o, now)]


def resource_claim(o: Any, now: datetime) -> list[Any]:
    states = ["deleted"] if o.metadata.deletionTimestamp else []
    if o.status.allocation is None:
        states = states or ["pending"]
    else:
        states += ["allocated", *(["reserved"] if o.status.reservedFor else [])]
    return [o.metadata.name, ",".join(states), _born(o, now)]


def resource_slice(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, o.spec.nodeName or "", o.spec.driver, o.spec.pool.name, _born(o, now)]


def plugin(o: Any, now: datetime) -> list[Any]:
    spec = o.spec
    place = spec.node or "(control plane)"
    return [o.metadata.name, spec.contract, place, spec.version, o.status.state, _born(o, now), spec.distribution]


def use_of_node(o: Any, now: datetime) -> list[Any]:
    del now
    return [o.metadata.name, o.usage.get("cpu", ""), o.usage.get("memory", ""), o.window]


def use_of_pod(o: Any, now: datetime) -> list[Any]:
    del now
    cpu, memory = (sum(Quantity.parse(c.usage.get(name, "0")).nanos for c in o.containers) for name in ("cpu", "memory"))
    return [o.metadata.name, str(Quantity(cpu, DECIMAL_SI)), str(Quantity(memory, BINARY_SI)), o.window]


def component(o: Any, now: datetime) -> list[Any]:
    del now
    healthy = get_condition(o.conditions, "Healthy")
    if healthy is None:
        return [o.metadata.name, "Unknown", "", ""]
    return [o.metadata.name, "Healthy" if healthy.status == "True" else "Unhealthy", healthy.message, healthy.error]


CELLS = {
    "Node": node,
    "Namespace": namespace,
    "Event": event,
    "EventV1": event_v1,
    "ConfigMap": config_map,
    "Secret": secret,
    "ResourceQuota": quota,
    "PersistentVolume": volume,
    "PersistentVolumeClaim": claim,
    "StorageClass": storage_class,
    "RoleBinding": binding,
    "ClusterRoleBinding": binding,
    "PodDisruptionBudget": budget,
    "CertificateSigningRequest": signing_request,
    "ServiceAccount": service_account,
    "PriorityClass": priority_class,
    "Lease": lease,
    "RuntimeClass": runtime_class,
    "APIService": api_service,
    "CSIDriver": csi_driver,
    "CSINode": csi_node,
    "VolumeAttachment": attachment,
    "VolumeAttributesClass": attributes_class,
    "FlowSchema": flow_schema,
    "PriorityLevelConfiguration": priority_level,
    "ValidatingAdmissionPolicy": policy("validations"),
    "MutatingAdmissionPolicy": policy("mutations"),
    "ValidatingAdmissionPolicyBinding": policy_binding,
    "MutatingAdmissionPolicyBinding": policy_binding,
    "ResourceClaim": resource_claim,
    "ResourceSlice": resource_slice,
    "ComponentStatus": component,
    "Plugin": plugin,
    "NodeMetrics": use_of_node,
    "PodMetrics": use_of_pod,
}
