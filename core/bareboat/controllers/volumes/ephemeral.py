"""Claims of a pod's own: made from the volume's template, owned by the pod, named after both."""

from __future__ import annotations

from collections.abc import Iterable

from bareboat.models import core_v1, meta_v1
from bareboat.models.codec import copy
from bareboat.models.meta import is_controlled_by, key, owner_reference
from bareboat.models.status import AlreadyExists, ApiError
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory


class EphemeralVolumeController(Controller):
    name = "ephemeral-volume-controller"

    def setup(self, informers: InformerFactory) -> None:
        self._pods = informers.of(core_v1.Pod)
        self._claims = informers.of(core_v1.PersistentVolumeClaim)
        self._needs += [self._pods, self._claims]
        self._pods.on_change(self._changed)
        self.watch(self._claims, self._owner)

    def _changed(self, key: str, _old: bytes | None, new: bytes | None) -> None:
        if new is not None and b'"ephemeral":{' in new:
            self.queue.add(key)

    def _owner(self, _key: str, claim: core_v1.PersistentVolumeClaim) -> Iterable[str]:
        return [f"{claim.metadata.namespace}/{o.name}" for o in claim.metadata.ownerReferences if o.controller and o.kind == "Pod"]

    async def reconcile(self, key: str) -> float | None:
        pod = self._pods.get(key)
        if pod is None or pod.metadata.deletionTimestamp:
            return None
        for volume in pod.spec.volumes:
            if volume.ephemeral is not None and volume.ephemeral.volumeClaimTemplate is not None:
                await self._ensure(pod, volume.name, volume.ephemeral.volumeClaimTemplate)
        return None

    async def _ensure(self, pod: core_v1.Pod, volume: str, template: core_v1.PersistentVolumeClaimTemplate) -> None:
        name = f"{pod.metadata.name}-{volume}"
        found = self._claims.get(f"{pod.metadata.namespace}/{name}")
        if found is not None:
            if not is_controlled_by(found, pod):
                message = f'PVC "{key(found)}" was not created for pod "{key(pod)}" (pod is not owner)'
                self.events.event(pod, "Warning", "FailedBinding", f"ephemeral volume {volume}: {message}")
            return
        meta = meta_v1.ObjectMeta(
            name=name,
            namespace=pod.metadata.namespace,
            labels=dict(template.metadata.labels),
            annotations=dict(template.metadata.annotations),
            ownerReferences=[owner_reference(pod, self.client.scheme.by_type(core_v1.Pod))],
        )
        try:
            await self.client.create(core_v1.PersistentVolumeClaim(metadata=meta, spec=copy(template.spec)))
        except AlreadyExists:
            return
        except ApiError as error:
            self.events.event(pod, "Warning", "FailedBinding", f"ephemeral volume {volume}: create PVC {name}: {error}")
            raise
