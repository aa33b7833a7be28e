"""What the kernel lends admission plugins (contracts.admission.AdmissionHost): who may do what, versions of objects, status writes.

In: requests and objects as the chain has them (the stored version). Out: trees as clients see them, and objects from such trees.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api.conversion import convert_object
from bareboat.api.kinds.registry import strategy_for
from bareboat.api.managed.atoms import of_type
from bareboat.api.managed.merging import merge
from bareboat.api.patch.jsonpatch import apply_json_patch
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client.webhooks import WebhookCaller
from bareboat.contracts.admission import AdmissionRequest
from bareboat.contracts.auth import Attributes, Decision, Reader, UserInfo
from bareboat.models.codec import from_tree, to_tree
from bareboat.models.custom import CustomObject
from bareboat.models.scheme import Resource, Scheme
from bareboat.models.selectors import Selector
from bareboat.models.status import BadRequest

if TYPE_CHECKING:
    from bareboat.api.decisions import Authority
    from bareboat.api.service import Service

Tree = dict[str, Any]
KERNEL = UserInfo(name="system:apiserver", groups=("system:masters", "system:authenticated"))


class Host:
    """Made before the service that it writes through; ``attach`` brings the two together."""

    def __init__(self, scheme: Scheme, authority: Authority, reader: Reader, clock: Clock, ids: Ids) -> None:
        self.clock = clock
        self.ids = ids
        self._caller = WebhookCaller(reader, ids)
        self._scheme = scheme
        self._authority = authority
        self._client: Any = None
        self._service: Any = None

    def attach(self, service: Service) -> None:
        from bareboat.api.inprocess import InProcessTransport
        from bareboat.client.client import Client

        self._service = service
        service.custom.converter.caller = self._caller
        self._client = Client(InProcessTransport(service, KERNEL, "kube-apiserver"), self._scheme)

    async def close(self) -> None:
        await self._caller.close()

    async def authorize(self, attributes: Attributes) -> Decision:
        return await self._authority.authorize(attributes)

    async def create(self, obj: Any) -> None:
        """See contracts.admission.AdmissionHost.create."""
        await self._client.create(obj)

    async def update_status(self, obj: Any) -> None:
        """See contracts.admission.AdmissionHost.update_status."""
        await self._client.update(obj, subresource="status")

    async def call(self, client: dict[str, Any], review: bytes, timeout: float) -> bytes:
        """See contracts.admission.AdmissionHost.call."""
        return await self._caller.post(client, review, timeout)

    async def tree(self, request: AdmissionRequest, obj: Any, version: str = "") -> Tree:
        """See contracts.admission.AdmissionHost.tree."""
        tree = to_tree(obj)
        wanted = self._resource(request, version)
        if wanted is None or (wanted.custom and not isinstance(obj, CustomObject)):
            return tree
        if wanted.custom:
            found: list[Tree] = await self._service.custom.converter.convert(self._definition(wanted), [deepcopy(tree)], wanted.api_version)
            return found[0]
        stored = self._scheme.storage(wanted.group, wanted.plural)
        return tree if stored is wanted or tree.get("kind") != stored.kind else to_tree(convert_object(tree, stored, wanted))

    async def object(self, request: AdmissionRequest, tree: Tree, version: str = "") -> Any:
        """See contracts.admission.AdmissionHost.object."""
        before = request.object if request.object is not None else request.old
        wanted = self._resource(request, version)
        if wanted is not None and wanted.custom and isinstance(before, CustomObject):
            own = self._resource(request, "") or wanted
            [tree] = await self._service.custom.converter.convert(self._definition(wanted), [tree], own.api_version)
            return self._service.custom.kind(own).applied(tree)
        stored = None if wanted is None or wanted.custom else self._scheme.storage(wanted.group, wanted.plural)
        if stored is None or wanted is None or type(before) is not stored.type:
            return from_tree(type(before), tree)  # a Binding, an Eviction: no stored kind, no defaults
        obj = from_tree(type(before), tree) if stored is wanted else convert_object(tree, wanted, stored)
        strategy_for(stored).default(obj)
        return obj

    def patched(self, tree: Tree, operations: list[Any]) -> Tree:
        """See contracts.admission.AdmissionHost.patched."""
        return apply_json_patch(deepcopy(tree), operations)

    def merged(self, request: AdmissionRequest, tree: Tree, configuration: Tree) -> Tree:
        """See contracts.admission.AdmissionHost.merged."""
        wanted = self._resource(request, "")
        if wanted is None:
            raise BadRequest(f"{request.resource} cannot be applied to")
        atom = self._service.custom.kind(wanted).version.atom if wanted.custom else of_type(wanted.type_key)
        result: Tree = merge(deepcopy(tree), configuration, atom)
        return result

    async def objects(self, api_version: str, kind: str, namespace: str, name: str, selector: Selector | None) -> list[Tree]:
        """See contracts.admission.AdmissionHost.objects."""
        resource = self._scheme.by_kind(api_version, kind)
        if resource is None:
            raise ValueError(f'no matches for kind "{kind}" in version "{api_version}"')
        stored = resource if resource.custom else self._scheme.storage(resource.group, resource.plural)
        prefix = f"{stored.key}/{namespace if resource.namespaced else ''}/"
        one = self._service.log.get(prefix + name) if name else None
        entries = [one] if one is not None else [] if name else list(self._service.log.scan(prefix))
        if resource.custom:
            entries = await self._service.custom.kind(resource).seen(entries)
        found: list[Tree] = [msgspec.json.decode(entry.data) for entry in entries]
        return [tree for tree in found if selector is None or selector.matches(tree["metadata"].get("labels") or {})]

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

    def _resource(self, request: AdmissionRequest, version: str) -> Resource | None:
        group, _, short = version.rpartition("/") if "/" in version else (request.group, "", version)
        return self._scheme.resource(group, short or request.version, request.resource)

    def _definition(self, resource: Resource) -> Any:
        return self._service.custom.kind(resource).version.definition
