"""How many pods a budget's pods should be, from the scale of what controls them, and how many of them have to be healthy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from bareboat.models import apps_v1, core_v1, policy_v1
from bareboat.models.meta import controller_of
from bareboat.models.scheme import Scheme
from bareboat.reconcile.facts import Metadata, Owner
from bareboat.reconcile.informer import Informer, InformerFactory


class _Spec(msgspec.Struct):
    replicas: int | None = None


class _Scaled(msgspec.Struct):
    metadata: Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


class Expected(NamedTuple):
    """``unmanaged`` are pods that nothing controls: they cannot be counted."""

    pods: int
    healthy: int
    unmanaged: list[str]


class NoScale(Exception):
    """What controls a pod has no scale that could be read."""


class Scales:
    """Reads the replica counts of workloads from informers, and of any other kind through its scale subresource."""

    def __init__(self, client: Any, informers: InformerFactory) -> None:
        kinds = {"ReplicaSet": apps_v1.ReplicaSet, "Deployment": apps_v1.Deployment, "StatefulSet": apps_v1.StatefulSet}
        self.informers: dict[tuple[str, str], Informer[Any]] = {("apps", kind): informers.of(cls) for kind, cls in kinds.items()}
        self.informers["", "ReplicationController"] = informers.of(core_v1.ReplicationController)
        self._client = client

    async def total(self, pods: Iterable[core_v1.Pod]) -> tuple[int, list[str]]:
        scales: dict[str, int] = {}
        unmanaged: list[str] = []
        known: set[str] = set()
        for pod in pods:
            owner = controller_of(pod.metadata)
            if owner is None:
                unmanaged.append(pod.metadata.name)
            elif owner.uid not in known:
                known.add(owner.uid)
                uid, replicas = await self._of(owner, pod.metadata.namespace)
                scales[uid] = replicas
        return sum(scales.values()), unmanaged

    async def _of(self, owner: Any, namespace: str) -> tuple[str, int]:
        group = owner.apiVersion.rpartition("/")[0]
        informer = self.informers.get((group, owner.kind))
        if informer is None:
            return owner.uid, await self._by_subresource(owner, namespace)
        data = informer.raw(f"{namespace}/{owner.name}")
        found = None if data is None else msgspec.json.decode(data, type=_Scaled)
        if found is None or found.metadata.uid != owner.uid:
            raise NoScale(f'found no controllers for pod of {owner.kind} "{owner.name}"')
        parent: Owner | None = next((o for o in found.metadata.ownerReferences if o.controller), None)
        if owner.kind == "ReplicaSet" and parent is not None and parent.kind == "Deployment":
            deployment = self.informers["apps", "Deployment"].raw(f"{namespace}/{parent.name}")
            if deployment is not None:
                above = msgspec.json.decode(deployment, type=_Scaled)
                if above.metadata.uid == parent.uid:
                    return parent.uid, above.spec.replicas or 0
        return owner.uid, 1 if found.spec.replicas is None else found.spec.replicas

    async def _by_subresource(self, owner: Any, namespace: str) -> int:
        scheme: Scheme = self._client.scheme
        resource = scheme.by_kind(owner.apiVersion, owner.kind)
        if resource is None:
            raise NoScale(f"{owner.kind} {owner.name} of {owner.apiVersion} is not known here")
        path = f"{resource.path_prefix}/namespaces/{namespace}/{resource.plural}/{owner.name}/scale"
        answer = await self._client.transport.request("GET", path)
        if answer.status != 200:
            raise NoScale(f"{resource.plural}.{resource.group} does not implement the scale subresource")
        return msgspec.json.decode(answer.body, type=_Scaled).spec.replicas or 0


async def expected(budget: policy_v1.PodDisruptionBudget, pods: list[core_v1.Pod], scales: Scales) -> Expected:
    """Raises NoScale."""
    spec = budget.spec
    if spec.maxUnavailable is not None:
        total, unmanaged = await scales.total(pods)
        return Expected(total, max(0, total - _resolve(spec.maxUnavailable, total)), unmanaged)
    if isinstance(spec.minAvailable, str):
        total, unmanaged = await scales.total(pods)
        return Expected(total, _resolve(spec.minAvailable, total), unmanaged)
    return Expected(len(pods), 0 if spec.minAvailable is None else spec.minAvailable, [])


def _resolve(value: int | str, total: int) -> int:
    """Percentages are rounded up."""
    return math.ceil(int(value.rstrip("%")) * total / 100) if isinstance(value, str) else value
