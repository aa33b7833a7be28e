"""The node authorizer: an agent may touch what belongs to its node, and nothing else (after upstream's Node authorizer).

Secrets, ConfigMaps, claims and service account tokens only of pods that are bound to the node; its own Node, its own Lease,
its own pods' status. Reads that every agent needs (services, endpoint slices, nodes, runtime classes) are allowed.
"""

from __future__ import annotations

from typing import Any

from bareboat.contracts.auth import ALLOW, Attributes, Authorizer, Decision, Reader
from bareboat.models import core_v1

NODES, PREFIX = "system:nodes", "system:node:"
_READ = frozenset({"get", "list", "watch"})
_COMMON_READS = frozenset(
    {
        ("", "services"),
        ("", "nodes"),
        ("", "endpoints"),
        ("discovery.k8s.io", "endpointslices"),
        ("node.k8s.io", "runtimeclasses"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "volumeattachments"),
        ("", "persistentvolumes"),
    }
)
_REFERENCED = frozenset({"secrets", "configmaps", "persistentvolumeclaims"})
_OWN_NODE = frozenset({"create", "get", "update", "patch", "delete"})


class NodeAuthorizer(Authorizer):
    """See contracts.auth.Authorizer. No opinion on anybody who is no node."""

    name = "node"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._pods: dict[str, set[tuple[str, str]]] = {}
        self._where: dict[tuple[str, str], str] = {}
        reader.subscribe(core_v1.Pod, self._pod)

    async def authorize(self, attributes: Attributes) -> Decision:
        user = attributes.user
        if NODES not in user.groups or not user.name.startswith(PREFIX):
            return Decision("NoOpinion")
        if self._allowed(user.name.removeprefix(PREFIX), attributes):
            return ALLOW
        return Decision("NoOpinion", "node may only touch what is related to it")

    def _allowed(self, node: str, asked: Attributes) -> bool:
        if not asked.resource:
            return asked.verb == "get"
        where = (asked.group, asked.resource)
        if where in _COMMON_READS and asked.verb in _READ and not asked.subresource:
            return True
        if where == ("", "nodes"):
            return asked.verb in _OWN_NODE and (asked.name == node or (asked.verb == "create" and not asked.name))
        if where == ("", "events") or where == ("events.k8s.io", "events"):
            return asked.verb in ("create", "patch", "update")
        if where == ("coordination.k8s.io", "leases"):
            return asked.namespace == "kube-node-lease" and (asked.name == node or asked.verb == "create")
        if where == ("certificates.k8s.io", "certificatesigningrequests"):
            return asked.verb in ("create", *_READ) and not asked.subresource
        if where == ("storage.k8s.io", "csinodes"):
            return asked.name == node or asked.verb == "create"
        if where == ("", "persistentvolumeclaims") and asked.subresource == "status" and asked.verb in ("patch", "update"):
            return self._refers(node, asked)
        if where == ("", "pods"):
            return self._own_pod(node, asked)
        if where == ("", "serviceaccounts"):
            return asked.subresource == "token" and asked.verb == "create" and self._uses_account(node, asked.namespace, asked.name)
        if where[0] == "" and where[1] in _REFERENCED:
            return asked.verb in _READ and bool(asked.name) and self._refers(node, asked)
        if where == ("bareboat.dev", "plugins"):
            return asked.name.startswith(f"{node}.") or asked.verb in ("create", "list", "watch")
        return where[0] in ("authentication.k8s.io", "authorization.k8s.io") and asked.verb == "create"

    def _own_pod(self, node: str, asked: Attributes) -> bool:
        if asked.verb in ("list", "watch"):
            return True  # the agent asks for its own by field selector; others hold no secrets
        if (asked.namespace, asked.name) not in self._pods.get(node, ()):
            return False
        return asked.verb in ("get", "delete") or (asked.subresource == "status" and asked.verb in ("patch", "update"))

    def _uses_account(self, node: str, namespace: str, account: str) -> bool:
        return any((pod.spec.serviceAccountName or "default") == account for pod in self._pods_in(node, namespace))

    def _refers(self, node: str, asked: Attributes) -> bool:
        return any(asked.name in references(pod, asked.resource) for pod in self._pods_in(node, asked.namespace))

    def _pods_in(self, node: str, namespace: str) -> list[core_v1.Pod]:
        keys = [name for space, name in self._pods.get(node, ()) if space == namespace]
        return [pod for name in keys if (pod := self._reader.get(core_v1.Pod, name, namespace)) is not None]

    def _pod(self, namespace: str, name: str) -> None:
        pod = self._reader.get(core_v1.Pod, name, namespace)
        node = pod.spec.nodeName if pod is not None else ""
        before = self._where.pop((namespace, name), "")
        if before:
            self._pods[before].discard((namespace, name))
        if node:
            self._where[namespace, name] = node
            self._pods.setdefault(node, set()).add((namespace, name))


def references(pod: core_v1.Pod, resource: str) -> set[str]:
    """Names of the secrets, configmaps or persistentvolumeclaims that a pod uses."""
    found: set[str] = set()
    for volume in pod.spec.volumes:
        found |= _of_volume(volume, resource)
        if resource == "persistentvolumeclaims" and volume.ephemeral is not None:
            found.add(f"{pod.metadata.name}-{volume.name}")
    if resource == "secrets":
        found |= {s.name for s in pod.spec.imagePullSecrets}
    containers: list[Any] = [*pod.spec.containers, *pod.spec.initContainers, *pod.spec.ephemeralContainers]
    for container in containers:
        for source in container.envFrom:
            reference = source.secretRef if resource == "secrets" else source.configMapRef if resource == "configmaps" else None
            found |= {reference.name} if reference is not None else set()
        for env in container.env:
            value = env.valueFrom
            key = None if value is None else value.secretKeyRef if resource == "secrets" else value.configMapKeyRef
            if key is not None and resource != "persistentvolumeclaims":
                found.add(key.name)
    return found


def _of_volume(volume: core_v1.Volume, resource: str) -> set[str]:
    found: set[str] = set()
    if resource == "secrets" and volume.secret is not None:
        found.add(volume.secret.secretName)
    if resource == "configmaps" and volume.configMap is not None:
        found.add(volume.configMap.name)
    if resource == "persistentvolumeclaims" and volume.persistentVolumeClaim is not None:
        found.add(volume.persistentVolumeClaim.claimName)
    if resource == "secrets" and volume.csi is not None and volume.csi.nodePublishSecretRef is not None:
        found.add(volume.csi.nodePublishSecretRef.name)
    for projection in volume.projected.sources if volume.projected is not None else ():
        if resource == "secrets" and projection.secret is not None:
            found.add(projection.secret.name)
        if resource == "configmaps" and projection.configMap is not None:
            found.add(projection.configMap.name)
    return found
