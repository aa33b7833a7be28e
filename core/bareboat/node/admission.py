"""Whether a node takes a pod that was bound to it: the last word after the scheduler, as upstream's kubelet has it.

What comes in: a pod of which nothing runs yet, and what the node is and has left. What goes out: the reason and message with which it is
turned away (phase Failed), or None.
"""

from __future__ import annotations

import re
from pathlib import Path

from bareboat.models import core_v1
from bareboat.models.host_ports import host_ports
from bareboat.models.node_fit import matches_node, tolerated
from bareboat.node.allocations import Allocations, requests_of

MEMORY_TAINT = "node.kubernetes.io/memory-pressure"
APP_ARMOR = Path("/sys/kernel/security/apparmor")
#: What the node may have been told later than the scheduler: these are to be asked once more with what the node is now.
OF_NODE = ("NodeAffinity", "TaintToleration")
#: What a pod may set without harm to others: each has a namespace of its own in the kernel.
SAFE_SYSCTLS = re.compile(
    r"kernel\.shm_rmid_forced|net\.ipv4\.(ip_local_port_range|tcp_syncookies|ping_group_range|ip_unprivileged_port_start"
    r"|ip_local_reserved_ports|tcp_keepalive_(time|intvl|probes)|tcp_fin_timeout|tcp_rmem|tcp_wmem)"
)


def refusal(pod: core_v1.Pod, node: core_v1.Node, allocations: Allocations) -> tuple[str, str] | None:
    """(reason, message)."""
    of_itself = _sysctls(pod) or _app_armor(pod)
    return of_itself or _room(pod, allocations) or _affinity(pod, node) or _ports(pod, allocations) or _taints(pod, node)


def under_pressure(pod: core_v1.Pod) -> tuple[str, str] | None:
    """When memory is short a pod that asks for none is not taken."""
    tolerates = any(t.key == MEMORY_TAINT or (t.operator == "Exists" and not t.key) for t in pod.spec.tolerations)
    if tolerates or pod.status.qosClass != "BestEffort":
        return None
    return "Evicted", "The node was low on resource: [MemoryPressure]. "


def _sysctls(pod: core_v1.Pod) -> tuple[str, str] | None:
    security = pod.spec.securityContext
    for sysctl in security.sysctls if security is not None else ():
        name = sysctl.name.replace("/", ".")
        if not SAFE_SYSCTLS.fullmatch(name):
            return "SysctlForbidden", f'forbidden sysctl: "{sysctl.name}" not allowlisted'
        if (pod.spec.hostNetwork and name.startswith("net.")) or (pod.spec.hostIPC and name.startswith("kernel.shm")):
            where = "network" if name.startswith("net.") else "ipc"
            return "SysctlForbidden", f'forbidden sysctl: "{sysctl.name}" not allowed with host {where} enabled'
    return None


def _app_armor(pod: core_v1.Pod) -> tuple[str, str] | None:
    """A profile that nobody would enforce is no protection."""
    containers = [*pod.spec.initContainers, *pod.spec.containers]
    securities = [pod.spec.securityContext, *(container.securityContext for container in containers)]
    profiles = [s.appArmorProfile for s in securities if s is not None and s.appArmorProfile is not None]
    if all(profile.type == "Unconfined" for profile in profiles) or APP_ARMOR.exists():
        return None
    return "AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"


def _room(pod: core_v1.Pod, allocations: Allocations) -> tuple[str, str] | None:
    uid = pod.metadata.uid
    if allocations.is_full(uid):
        return "OutOfpods", "Node didn't have enough resource: pods"
    short = allocations.shortage(uid, requests_of(pod))
    if short is None:
        return None
    amounts = f"requested: {short.requested}, used: {short.used}, capacity: {short.capacity}"
    return f"OutOf{short.resource}", f"Node didn't have enough resource: {short.resource}, {amounts}"


def _affinity(pod: core_v1.Pod, node: core_v1.Node) -> tuple[str, str] | None:
    if matches_node(pod.spec.nodeSelector, pod.spec.affinity.nodeAffinity if pod.spec.affinity else None, node):
        return None
    return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"


def _ports(pod: core_v1.Pod, allocations: Allocations) -> tuple[str, str] | None:
    if not allocations.taken(pod.metadata.uid, host_ports(pod)):
        return None
    return "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"


def _taints(pod: core_v1.Pod, node: core_v1.Node) -> tuple[str, str] | None:
    """Whoever is bound past the scheduler is held to NoExecute as well."""
    if all(tolerated(taint, pod.spec.tolerations) for taint in node.spec.taints if taint.effect == "NoExecute"):
        return None
    return "TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
