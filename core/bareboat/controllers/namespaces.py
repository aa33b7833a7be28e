"""Namespace: a terminating one is emptied, pods first, and let go; what hinders it is told in its conditions."""

from __future__ import annotations

from collections import Counter

import msgspec

from bareboat.models import core_v1
from bareboat.models.codec import encode
from bareboat.models.meta import set_condition
from bareboat.models.scheme import Resource
from bareboat.models.status import ApiError, MethodNotAllowed, NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

_CLEAR = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


class _Held(msgspec.Struct):
    finalizers: list[str] = []


class _Left(msgspec.Struct):
    """What is read of an object that is still there."""

    metadata: _Held


_left = msgspec.json.Decoder(_Left).decode


class _Remains:
    """Of a namespace's content: how many objects of which kind, by which finalizers they are held, and what failed."""

    def __init__(self) -> None:
        self.objects: Counter[str] = Counter()
        self.finalizers: Counter[str] = Counter()
        self.failures: list[str] = []

    def add(self, resource: Resource, objects: list[bytes]) -> None:
        self.objects[f"{resource.plural}.{resource.group}"] += len(objects)
        for data in objects:
            self.finalizers.update(_left(data).metadata.finalizers)

    def conditions(self) -> dict[str, tuple[str, str, str]]:
        """Type → status, reason and message."""
        found = {kind: ("False", *told) for kind, told in _CLEAR.items()}
        if self.objects:
            shown = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(self.objects.items()))
            found["NamespaceContentRemaining"] = ("True", "SomeResourcesRemain", f"Some resources are remaining: {shown}")
        if self.finalizers:
            shown = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(self.finalizers.items()))
            message = f"Some content in the namespace has finalizers remaining: {shown}"
            found["NamespaceFinalizersRemaining"] = ("True", "SomeFinalizersRemain", message)
        if self.failures:
            message = "Failed to delete all resource types: " + "; ".join(self.failures)
            found["NamespaceDeletionContentFailure"] = ("True", "ContentDeletionFailed", message)
        return found


class NamespaceController(Controller):
    name = "namespace-controller"

    def setup(self, informers: InformerFactory) -> None:
        self._namespaces = self.watch(informers.of(core_v1.Namespace))

    async def reconcile(self, key: str) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or not namespace.metadata.deletionTimestamp or "kubernetes" not in namespace.spec.finalizers:
            return None
        remains = _Remains()
        for resource in self._ordered():
            left = await self._empty(resource, namespace.metadata.name, remains.failures)
            if left:
                remains.add(resource, left)
            if left and resource.plural == "pods":
                break  # pods go first, while what they use is still there
        namespace = await self._tell(namespace, remains)
        if remains.objects or remains.failures:
            return 0.5 if not remains.failures else 3.0
        namespace.spec.finalizers = [f for f in namespace.spec.finalizers if f != "kubernetes"]
        path = f"/api/v1/namespaces/{namespace.metadata.name}/finalize"
        answer = await self.client.transport.request("PUT", path, body=encode(namespace))
        if answer.status >= 400 and answer.status != 404:
            return 1.0
        return None

    def _ordered(self) -> list[Resource]:
        """Every kind that lives in namespaces and can be deleted; pods first, one version of each."""
        seen: set[tuple[str, str]] = set()
        found = []
        for resource in self.client.scheme.resources():
            identity = (resource.group, resource.plural)
            if resource.namespaced and "deletecollection" in resource.verbs and identity not in seen and resource.group != "events.k8s.io":
                seen.add(identity)
                found.append(resource)
        return sorted(found, key=lambda r: r.plural != "pods")

    async def _empty(self, resource: Resource, namespace: str, failures: list[str]) -> list[bytes]:
        """Delete all; those that are still there."""
        found: list[tuple[str, str, bytes]] = []
        try:
            found, _ = await self.client.list_raw(resource, namespace)
            if not found:
                return []
            path = f"{resource.path_prefix}/namespaces/{namespace}/{resource.plural}"
            await self.client.transport.request("DELETE", path, query={"propagationPolicy": "Background"})
            found, _ = await self.client.list_raw(resource, namespace)
        except (NotFound, MethodNotAllowed):
            return []
        except ApiError as error:
            failures.append(f"{resource.group_resource}: {error}")
        return [data for _, _, data in found]

    async def _tell(self, namespace: core_v1.Namespace, remains: _Remains) -> core_v1.Namespace:
        conditions = namespace.status.conditions
        now = self.clock.timestamp()
        changed = [
            kind
            for kind, (status, reason, message) in remains.conditions().items()
            if set_condition(conditions, kind, status, reason, message, now, cls=core_v1.NamespaceCondition)
        ]
        return await self.client.update(namespace, subresource="status") if changed else namespace
