"""NamespaceAutoProvision (off by default): a namespace that something is created in is created first."""

from __future__ import annotations

from bareboat.contracts.admission import FIRST, AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1, meta_v1
from bareboat.models.status import AlreadyExists


class NamespaceAutoProvision(AdmissionPlugin):
    """It comes before the kernel's own look at the namespace."""

    name = "NamespaceAutoProvision"
    stage = FIRST

    def __init__(self, reader: Reader, host: AdmissionHost) -> None:
        self._reader = reader
        self._host = host

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        del group
        return operation == "CREATE" and resource != "namespaces" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        if not request.namespace or request.dry_run or self._reader.get(core_v1.Namespace, request.namespace) is not None:
            return
        try:
            await self._host.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=request.namespace)))
        except AlreadyExists:
            return
