"""What the kernel lends admission plugins (contracts.admission.AdmissionHost): who may do what, versions of objects, status writes.

In: requests and objects as the chain has them (the stored version). Out: trees as clients see them, and objects from such trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bareboat.api.conversion import convert_object
from bareboat.api.kinds.registry import strategy_for
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.contracts.admission import AdmissionRequest
from bareboat.contracts.auth import Attributes, Decision, UserInfo
from bareboat.models.codec import from_tree, to_tree
from bareboat.models.scheme import Resource, Scheme

if TYPE_CHECKING:
    from bareboat.api.service import Authority, Service

KERNEL = UserInfo(name="system:apiserver", groups=("system:masters", "system:authenticated"))


class Host:
    """Made before the service that it writes through; ``attach`` brings the two together."""

    def __init__(self, scheme: Scheme, authority: Authority, clock: Clock, ids: Ids) -> None:
        self.clock = clock
        self.ids = ids
        self._scheme = scheme
        self._authority = authority
        self._client: Any = None

    def attach(self, service: Service) -> None:
        from bareboat.api.inprocess import InProcessTransport
        from bareboat.client.client import Client

        self._client = Client(InProcessTransport(service, KERNEL, "kube-apiserver"), self._scheme)

    async def authorize(self, attributes: Attributes) -> Decision:
        return await self._authority.authorize(attributes)

    async def update_status(self, obj: Any) -> None:
        """See contracts.admission.AdmissionHost.update_status."""
        await self._client.update(obj, subresource="status")

    def tree(self, request: AdmissionRequest, obj: Any, version: str = "") -> dict[str, Any]:
        """See contracts.admission.AdmissionHost.tree."""
        tree = to_tree(obj)
        stored, wanted = self._resources(request, version)
        if stored is None or wanted is None or stored is wanted or tree.get("kind") != stored.kind:
            return tree
        return to_tree(convert_object(tree, stored, wanted))

    def object(self, request: AdmissionRequest, tree: dict[str, Any], version: str = "") -> Any:
        """See contracts.admission.AdmissionHost.object."""
        stored, wanted = self._resources(request, version)
        before = request.object if request.object is not None else request.old
        if stored is None or wanted is None or type(before) is not stored.type:
            return from_tree(type(before), tree)  # a Binding, an Eviction: no stored kind, no defaults
        obj = from_tree(type(before), tree) if stored is wanted else convert_object(tree, wanted, stored)
        strategy_for(stored).default(obj)
        return obj

    def resource(self, api_version: str, kind: str) -> tuple[str, bool] | None:
        """See contracts.admission.AdmissionHost.resource."""
        found = self._scheme.by_kind(api_version, kind)
        return None if found is None else (found.plural, found.namespaced)

    def versions(self, group: str, resource: str) -> list[tuple[str, str]]:
        """See contracts.admission.AdmissionHost.versions."""
        own = [(r.group, r.version) for r in self._scheme.versions(group, resource)]
        stored = self._scheme.storage(group, resource) if own else None
        if stored is None:
            return own
        others = [r for r in self._scheme.resources() if r.key != f"{group}/{resource}" and r.plural == resource and r.group != group]
        return own + [(r.group, r.version) for r in others if self._scheme.storage(r.group, r.plural) is stored]

    def _resources(self, request: AdmissionRequest, version: str) -> tuple[Resource | None, Resource | None]:
        group, _, short = version.rpartition("/") if "/" in version else (request.group, "", version)
        wanted = self._scheme.resource(group, short or request.version, request.resource)
        return (None, None) if wanted is None else (self._scheme.storage(wanted.group, wanted.plural), wanted)
