"""Finalizers that keep a claim while a pod uses it and a volume while a claim is bound to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from bareboat.models import core_v1
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import Informer, InformerFactory


def claims_of(pod: Any) -> Iterable[str]:
    """Index: the claims that a scheduled pod uses, its own ephemeral ones included."""
    if not pod.spec.nodeName:
        return
    for volume in pod.spec.volumes:
        if volume.persistentVolumeClaim is not None:
            yield f"{pod.metadata.namespace}/{volume.persistentVolumeClaim.claimName}"
        elif volume.ephemeral is not None:
            yield f"{pod.metadata.namespace}/{pod.metadata.name}-{volume.name}"


class _Protection(Controller):
    finalizer: ClassVar[str]
    _objects: Informer[Any]

    def in_use(self, key: str, obj: Any) -> bool:
        raise NotImplementedError

    async def reconcile(self, key: str) -> float | None:
        obj = self._objects.get(key)
        if obj is None:
            return None
        finalizers = obj.metadata.finalizers
        if not obj.metadata.deletionTimestamp:
            if self.finalizer in finalizers:
                return None
            obj.metadata.finalizers = [*finalizers, self.finalizer]
        elif self.finalizer in finalizers and not self.in_use(key, obj):
            obj.metadata.finalizers = [f for f in finalizers if f != self.finalizer]
        else:
            return None
        await self.client.update(obj)
        return None


class ClaimProtectionController(_Protection):
    name = "pvc-protection-controller"
    finalizer = "kubernetes.io/pvc-protection"

    def setup(self, informers: InformerFactory) -> None:
        self._objects = self.watch(informers.of(core_v1.PersistentVolumeClaim))
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index("claim", claims_of, PodFacts)
        self.watch(self._pods, lambda _key, pod: claims_of(pod), PodFacts)

    def in_use(self, key: str, obj: Any) -> bool:
        return bool(self._pods.by_index("claim", key))


class VolumeProtectionController(_Protection):
    name = "pv-protection-controller"
    finalizer = "kubernetes.io/pv-protection"

    def setup(self, informers: InformerFactory) -> None:
        self._objects = self.watch(informers.of(core_v1.PersistentVolume))

    def in_use(self, key: str, obj: Any) -> bool:
        return bool(obj.status.phase == "Bound")
