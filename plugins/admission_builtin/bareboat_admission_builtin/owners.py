"""OwnerReferencesPermissionEnforcement: who sets an owner must be allowed to delete; who lets it block, to set the owner's finalizers.

Off by default, as upstream.
"""

from __future__ import annotations

from typing import Any

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Attributes, Decision
from bareboat.models.status import Forbidden


class OwnerReferencesPermissionEnforcement(AdmissionPlugin):
    name = "OwnerReferencesPermissionEnforcement"

    def __init__(self, host: AdmissionHost) -> None:
        self._host = host

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        del group
        return operation in ("CREATE", "UPDATE") and (resource, subresource) != ("pods", "status")

    async def validate(self, request: AdmissionRequest) -> None:
        new, old = _owners(request.object), _owners(request.old)
        if new == old:
            return
        decision = await self._may_delete(request)
        if decision.verdict != "Allow":
            raise _refused(request, f"cannot set an ownerRef on a resource you can't delete: {decision.reason}, <nil>")
        for owner in _newly_blocking(new, old):
            decision = await self._may_finalize(request, owner)
            if decision.verdict != "Allow":
                what = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"
                raise _refused(request, f"{what}: {decision.reason}, <nil>")

    async def _may_delete(self, request: AdmissionRequest) -> Decision:
        name = request.name if request.operation == "UPDATE" else ""
        asked = Attributes(
            user=request.user,
            verb="delete",
            group=request.group,
            version=request.version,
            resource=request.resource,
            subresource=request.subresource,
            namespace=request.namespace,
            name=name,
        )
        return await self._host.authorize(asked)

    async def _may_finalize(self, request: AdmissionRequest, owner: Any) -> Decision:
        found = self._host.resource(owner.apiVersion, owner.kind)
        if found is None:
            return Decision("NoOpinion", f'no matches for kind "{owner.kind}" in version "{owner.apiVersion}"')
        resource, namespaced = found
        group, _, version = owner.apiVersion.rpartition("/")
        asked = Attributes(
            user=request.user,
            verb="update",
            group=group,
            version=version,
            resource=resource,
            subresource="finalizers",
            namespace=request.namespace if namespaced else "",
            name=owner.name,
        )
        return await self._host.authorize(asked)


def _owners(obj: Any) -> list[Any]:
    metadata = getattr(obj, "metadata", None)
    return list(metadata.ownerReferences) if metadata is not None else []


def _newly_blocking(new: list[Any], old: list[Any]) -> list[Any]:
    blocking = {owner.uid for owner in old if owner.blockOwnerDeletion}
    return [owner for owner in new if owner.blockOwnerDeletion and owner.uid not in blocking]


def _refused(request: AdmissionRequest, because: str) -> Forbidden:
    return Forbidden.of(request.resource, request.name, group=request.group, because=because)
