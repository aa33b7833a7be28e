"""NodeRestriction: an agent writes its own Node, its own pods, leases and tokens, and nothing of another node.

In: writes of users system:node:NAME of the group system:nodes. Everybody else passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader, UserInfo
from bareboat.models import core_v1
from bareboat.models.status import Forbidden
from bareboat_admission_builtin.node_pods import check_mirror_pod
from bareboat_admission_builtin.node_tokens import token_fault

GROUP, PREFIX = "system:nodes", "system:node:"
MIRROR = "kubernetes.io/config.mirror"
LEASES = "kube-node-lease"
#: Labels of kubernetes.io that agents may set.
OWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
OWN_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
RESTRICTED_DOMAIN = "node-restriction.kubernetes.io"
_CHECKED = frozenset(
    {
        ("", "pods"),
        ("", "nodes"),
        ("", "serviceaccounts"),
        ("coordination.k8s.io", "leases"),
        ("storage.k8s.io", "csinodes"),
        ("resource.k8s.io", "resourceslices"),
    }
)


class NodeRestriction(AdmissionPlugin):
    name = "NodeRestriction"

    def __init__(self, reader: Reader, host: AdmissionHost) -> None:
        self._reader = reader
        self._host = host
        self._checks: dict[str, Callable[[AdmissionRequest, str], None]] = {
            "pods": self._pods,
            "nodes": _nodes,
            "leases": _leases,
            "csinodes": _csi_nodes,
            "resourceslices": _slices,
        }

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation != "CONNECT" and (group, resource) in _CHECKED and (resource != "serviceaccounts" or subresource == "token")

    async def validate(self, request: AdmissionRequest) -> None:
        if GROUP not in request.user.groups or not request.user.name.startswith(PREFIX):
            return
        node = node_of(request.user)
        if not node:
            raise refused(request, f'could not determine node from user "{request.user.name}"')
        if request.resource == "serviceaccounts":
            fault = await token_fault(request, node, self._reader, self._host)
            if fault:
                raise refused(request, fault)
            return
        self._checks[request.resource](request, node)

    def _pods(self, request: AdmissionRequest, node: str) -> None:
        if request.subresource == "status":
            _of_node(request, request.old, node, "update pod status for pods")
            if request.object.metadata.labels != request.old.metadata.labels:
                raise refused(request, f'node "{node}" cannot update labels through pod status')
        elif request.subresource == "eviction":
            pod = self._reader.get(core_v1.Pod, request.name, request.namespace)
            _of_node(request, pod, node, "evict pods")
        elif request.subresource:
            raise refused(request, f"unexpected pod subresource \"{request.subresource}\", only 'status' and 'eviction' are allowed")
        elif request.operation == "CREATE":
            check_mirror_pod(request, node, refused)
        elif request.operation == "DELETE":
            _of_node(request, request.old, node, "delete pods")
        else:
            raise refused(request, f'unexpected operation "{request.operation}", node "{node}" can only create and delete mirror pods')


def node_of(user: UserInfo) -> str:
    return user.name.removeprefix(PREFIX)


def refused(request: AdmissionRequest, because: str) -> Forbidden:
    return Forbidden.of(request.resource, request.name, group=request.group, because=because)


def _of_node(request: AdmissionRequest, pod: Any, node: str, what: str) -> None:
    if pod is None or pod.spec.nodeName != node:
        raise refused(request, f'node "{node}" can only {what} with spec.nodeName set to itself')


def _nodes(request: AdmissionRequest, node: str) -> None:
    if request.name != node:
        raise refused(request, f'node "{node}" is not allowed to modify node "{request.name}"')
    new, old = request.object, request.old
    if request.operation == "CREATE":
        denied = _denied_labels({}, new.metadata.labels)
        if denied:
            raise refused(request, f'node "{node}" is not allowed to set the following labels: {", ".join(denied)}')
        if new.metadata.ownerReferences:
            raise refused(request, f'node "{node}" is not allowed to set ownerReferences')
    elif request.operation == "UPDATE":
        if new.spec.taints != old.spec.taints:
            raise refused(request, f'node "{node}" is not allowed to modify taints')
        denied = _denied_labels(old.metadata.labels, new.metadata.labels)
        if denied:
            raise refused(request, f'node "{node}" is not allowed to modify labels: {", ".join(denied)}')
        if new.metadata.ownerReferences != old.metadata.ownerReferences:
            raise refused(request, f'node "{node}" is not allowed to modify ownerReferences')


def _denied_labels(old: dict[str, str], new: dict[str, str]) -> list[str]:
    changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    return sorted(key for key in changed if not _own_label(key))


def _own_label(key: str) -> bool:
    if key in OWN_LABELS:
        return True
    domain = key.partition("/")[0] if "/" in key else ""
    if _within(domain, RESTRICTED_DOMAIN):
        return False
    if any(_within(domain, own) for own in OWN_DOMAINS):
        return True
    return not (_within(domain, "kubernetes.io") or _within(domain, "k8s.io"))


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")


def _leases(request: AdmissionRequest, node: str) -> None:
    if request.namespace != LEASES:
        raise refused(request, f'can only access leases in the "{LEASES}" system namespace')
    if request.name != node:
        raise refused(request, "can only access node lease with the same name as the requesting node")


def _csi_nodes(request: AdmissionRequest, node: str) -> None:
    if request.name != node:
        raise refused(request, "can only access CSINode with the same name as the requesting node")


def _slices(request: AdmissionRequest, node: str) -> None:
    """The name of the node of a slice cannot change, so that a look at what there was is enough for the other verbs."""
    obj = request.object if request.operation == "CREATE" else request.old
    if (obj.spec.nodeName or "") != node:
        verb = "delete" if request.operation == "DELETE" else "create" if request.operation == "CREATE" else "update"
        raise refused(request, f"can only {verb} ResourceSlice with the same NodeName as the requesting node")
