"""Classes by default for claims and ingresses, and claims that grow only where their class lets them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import networking_v1, storage_v1
from bareboat.models.quantity import Quantity
from bareboat.models.status import Forbidden

_STORAGE = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_INGRESS = ("ingressclass.kubernetes.io/is-default-class",)
_CLASS_OF_CLAIM = "volume.beta.kubernetes.io/storage-class"
_CLASS_OF_INGRESS = "kubernetes.io/ingress.class"


def newest_default(classes: Iterable[Any], annotations: tuple[str, ...]) -> str:
    """The youngest of the classes that are marked as default, by name where they are of one age; "" if none is."""
    marked = [c for c in classes if any(c.metadata.annotations.get(a) == "true" for a in annotations)]
    marked.sort(key=lambda c: c.metadata.name)
    marked.sort(key=lambda c: c.metadata.creationTimestamp or "", reverse=True)
    return marked[0].metadata.name if marked else ""


class DefaultStorageClass(AdmissionPlugin):
    name = "DefaultStorageClass"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "CREATE" and not group and resource == "persistentvolumeclaims" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        claim = request.object
        if claim.spec.storageClassName is not None or _CLASS_OF_CLAIM in claim.metadata.annotations:
            return
        name = newest_default(self._reader.list(storage_v1.StorageClass), _STORAGE)
        if name:
            claim.spec.storageClassName = name


class DefaultIngressClass(AdmissionPlugin):
    name = "DefaultIngressClass"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "CREATE" and group == "networking.k8s.io" and resource == "ingresses" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        ingress = request.object
        if ingress.spec.ingressClassName is not None or _CLASS_OF_INGRESS in ingress.metadata.annotations:
            return
        name = newest_default(self._reader.list(networking_v1.IngressClass), _INGRESS)
        if name:
            ingress.spec.ingressClassName = name


class PersistentVolumeClaimResize(AdmissionPlugin):
    name = "PersistentVolumeClaimResize"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "UPDATE" and not group and resource == "persistentvolumeclaims" and not subresource

    async def validate(self, request: AdmissionRequest) -> None:
        wanted, had = (Quantity.parse(o.spec.resources.requests.get("storage", "0")) for o in (request.object, request.old))
        if wanted <= had:
            return
        if request.old.status.phase != "Bound":
            raise Forbidden.of(request.resource, request.name, because="Only bound persistent volume claims can be expanded")
        old = request.old
        name = old.metadata.annotations.get(_CLASS_OF_CLAIM, old.spec.storageClassName or "")
        found = self._reader.get(storage_v1.StorageClass, name) if name else None
        if found is None or not found.allowVolumeExpansion:
            because = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
            raise Forbidden.of(request.resource, request.name, because=because)
