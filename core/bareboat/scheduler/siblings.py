"""What selects the siblings of a pod: its services and its owner. For the default topology spread.

What comes in: services, replica sets, replication controllers and stateful sets as they change. What goes out: one selector per pod.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bareboat.models import apps_v1, core_v1, meta_v1
from bareboat.models.selectors import NOTHING, Requirement, Selector, from_label_selector
from bareboat.reconcile.informer import Informer, InformerFactory


class Siblings:
    def __init__(self, informers: InformerFactory) -> None:
        self._services: dict[str, dict[str, dict[str, str]]] = {}
        self._owners: dict[tuple[str, str], tuple[Requirement, ...]] = {}
        self._informers = [
            self._follow(informers.of(core_v1.Service), self._service),
            self._follow(informers.of(core_v1.ReplicationController), self._owner("ReplicationController")),
            self._follow(informers.of(apps_v1.ReplicaSet), self._owner("ReplicaSet")),
            self._follow(informers.of(apps_v1.StatefulSet), self._owner("StatefulSet")),
        ]

    async def synced(self) -> None:
        for informer in self._informers:
            await informer.synced()

    def selector_of(self, pod: core_v1.Pod) -> Selector:
        """Everything that its services and its owner ask of it; nothing if it has neither."""
        labels, namespace = pod.metadata.labels, pod.metadata.namespace
        found: set[Requirement] = set()
        for wanted in self._services.get(namespace, {}).values():
            if wanted.items() <= labels.items():
                found |= {Requirement(key, "=", (value,)) for key, value in wanted.items()}
        owner = next((o for o in pod.metadata.ownerReferences if o.controller), None)
        if owner is not None:
            found |= set(self._owners.get((owner.kind, f"{namespace}/{owner.name}"), ()))
        return Selector(tuple(sorted(found, key=str))) if found else NOTHING

    def _follow(self, informer: Informer[Any], told: Callable[[str, Any], None]) -> Informer[Any]:
        informer.on_change(lambda key, _old, new: told(key, informer.get(key) if new is not None else None))
        return informer

    def _service(self, key: str, service: core_v1.Service | None) -> None:
        namespace = key.partition("/")[0]
        self._services.get(namespace, {}).pop(key, None)
        if service is not None and service.spec.selector:
            self._services.setdefault(namespace, {})[key] = dict(service.spec.selector)

    def _owner(self, kind: str) -> Callable[[str, Any], None]:
        def told(key: str, owner: Any) -> None:
            self._owners.pop((kind, key), None)
            selector = owner.spec.selector if owner is not None else None
            if selector:
                labels = selector if isinstance(selector, meta_v1.LabelSelector) else meta_v1.LabelSelector(matchLabels=dict(selector))
                self._owners[kind, key] = from_label_selector(labels).requirements

        return told
