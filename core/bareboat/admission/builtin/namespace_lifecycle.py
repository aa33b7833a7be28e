"""NamespaceLifecycle: nothing is created where there is no namespace, or in one that is going; some namespaces stay."""

from __future__ import annotations

import msgspec

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.status import Forbidden, NotFound

PROTECTED = frozenset({"default", "kube-system", "kube-public"})
#: Access reviews ask about namespaces that need not exist.
_REVIEWS = frozenset({"localsubjectaccessreviews"})


class _Metadata(msgspec.Struct, frozen=True):
    deletionTimestamp: str | None = None


class _Namespace(msgspec.Struct, frozen=True):
    metadata: _Metadata


class NamespaceLifecycle(AdmissionPlugin):
    name = "NamespaceLifecycle"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        del group
        if resource == "namespaces":
            return operation == "DELETE"
        return operation == "CREATE" and resource not in _REVIEWS

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.resource == "namespaces" or not request.namespace:
            return
        namespace = self._reader.view(core_v1.Namespace, _Namespace, request.namespace, keep=True)
        if namespace is None:
            raise NotFound.of("namespaces", request.namespace)
        if namespace.metadata.deletionTimestamp and request.operation == "CREATE" and not request.subresource:
            plural = f"{request.resource}.{request.group}" if request.group else request.resource
            because = f"unable to create new content in namespace {request.namespace} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {request.namespace} is being terminated",
                "field": "metadata.namespace",
            }
            details = {"name": request.name, "group": request.group, "kind": request.resource, "causes": [cause]}
            raise Forbidden(f'{plural} "{request.name}" is forbidden: {because}', details={k: v for k, v in details.items() if v})

    async def validate(self, request: AdmissionRequest) -> None:
        if request.resource == "namespaces" and request.operation == "DELETE" and request.name in PROTECTED:
            raise Forbidden.of("namespaces", request.name, because="this namespace may not be deleted")
