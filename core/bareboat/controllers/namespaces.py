"""Namespace: a terminating one is emptied, pods first, and let go; what hinders it is told in its conditions."""

from __future__ import annotations

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


class NamespaceController(Controller):
    name = "namespace-controller"

    def setup(self, informers: InformerFactory) -> None:
        self._namespaces = self.watch(informers.of(core_v1.Namespace))

    async def reconcile(self, key: str) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or not namespace.metadata.deletionTimestamp or "kubernetes" not in namespace.spec.finalizers:
            return None
        remaining: dict[str, int] = {}
        failures: list[str] = []
        for resource in self._ordered():
            count = await self._empty(resource, namespace.metadata.name, failures)
            if count:
                remaining[resource.group_resource] = count
            if count and resource.plural == "pods":
                break  # pods go first, while what they use is still there
        await self._tell(namespace, remaining, failures)
        if remaining or failures:
            return 0.5 if not failures else 3.0
        namespace.spec.finalizers = [f for f in namespace.spec.finalizers if f != "kubernetes"]
        namespace.metadata.resourceVersion = ""
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

    async def _empty(self, resource: Resource, namespace: str, failures: list[str]) -> int:
        """Delete all; how many are still there."""
        found: list[tuple[str, str, bytes]] = []
        try:
            found, _ = await self.client.list_raw(resource, namespace)
            if not found:
                return 0
            await self.client.transport.request("DELETE", f"{resource.path_prefix}/namespaces/{namespace}/{resource.plural}")
            left, _ = await self.client.list_raw(resource, namespace)
        except (NotFound, MethodNotAllowed):
            return 0
        except ApiError as error:
            failures.append(f"{resource.group_resource}: {error}")
            return len(found)
        return len(left)

    async def _tell(self, namespace: core_v1.Namespace, remaining: dict[str, int], failures: list[str]) -> None:
        conditions = namespace.status.conditions
        before = encode(namespace)
        now = self.clock.timestamp()
        for kind, (reason, message) in _CLEAR.items():
            set_condition(conditions, kind, "False", reason, message, now, cls=core_v1.NamespaceCondition)
        if remaining:
            shown = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(remaining.items()))
            message = f"Some resources are remaining: {shown}"
            set_condition(
                conditions, "NamespaceContentRemaining", "True", "SomeResourcesRemain", message, now, cls=core_v1.NamespaceCondition
            )
        if failures:
            message = "Failed to delete all resource types: " + "; ".join(failures)
            set_condition(
                conditions, "NamespaceDeletionContentFailure", "True", "ContentDeletionFailed", message, now, cls=core_v1.NamespaceCondition
            )
        if encode(namespace) != before:
            namespace.metadata.resourceVersion = ""
            await self.client.update(namespace, subresource="status")
