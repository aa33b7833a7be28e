"""NamespaceLifecycle: nothing is created where there is no namespace, or in one that is going; some namespaces stay."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.status import Forbidden, NotFound

#: Namespaces that are remembered.
MOST = 1024
PROTECTED = frozenset({"default", "kube-system", "kube-public"})
#: Access reviews ask about namespaces that need not exist.
_REVIEWS = frozenset({"localsubjectaccessreviews"})


class _Metadata(msgspec.Struct):
    deletionTimestamp: str | None = None


class _Namespace(msgspec.Struct):
    metadata: _Metadata


class NamespaceLifecycle(AdmissionPlugin):
    name = "NamespaceLifecycle"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        #: namespaces that were not going, with whether they are as they were
        self._staying: dict[str, Callable[[], bool]] = {}

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        del group
        if resource == "namespaces":
            return operation == "DELETE"
        return operation == "CREATE" and resource not in _REVIEWS

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.resource == "namespaces" or not request.namespace:
            return
        unchanged = self._staying.get(request.namespace)
        if unchanged is not None and unchanged():
            return
        as_it_is = self._reader.mark(core_v1.Namespace, request.namespace)
        namespace = self._reader.view(core_v1.Namespace, _Namespace, request.namespace)
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
        if not namespace.metadata.deletionTimestamp:
            if len(self._staying) >= MOST:
                self._staying.clear()
            self._staying[request.namespace] = as_it_is

    async def validate(self, request: AdmissionRequest) -> None:
        if request.resource == "namespaces" and request.operation == "DELETE" and request.name in PROTECTED:
            raise Forbidden.of("namespaces", request.name, because="this namespace may not be deleted")
