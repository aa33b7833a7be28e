"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, so that one can go back to them.

A revision holds a patch that puts its template back. A template that was there before gets its old revision with a new number, never
a second one. Oldest ones beyond the owner's limit go, unless a pod still runs by them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from bareboat.base.ids import ALPHABET
from bareboat.client.client import Client
from bareboat.controllers.pods import owner_uid
from bareboat.models import apps_v1, core_v1, meta_v1
from bareboat.models.codec import from_tree, to_tree
from bareboat.models.meta import controller_of, owner_reference
from bareboat.models.selectors import from_label_selector
from bareboat.models.status import AlreadyExists, NotFound
from bareboat.reconcile.informer import InformerFactory

#: On pods: the revision that they run by.
POD_REVISION = "controller-revision-hash"


def patch_of(template: Any) -> dict[str, Any]:
    """What a revision stores: applied to an object, it replaces the template. Its names are sorted: clients compare its bytes with those of
    the patch that they make themselves."""
    patch = {"spec": {"template": {**to_tree(template), "$patch": "replace"}}}
    return cast(dict[str, Any], msgspec.json.decode(msgspec.json.encode(patch, order="sorted")))


def template_of(revision: apps_v1.ControllerRevision) -> core_v1.PodTemplateSpec:
    tree = dict(revision.data["spec"]["template"])
    tree.pop("$patch", None)
    return from_tree(core_v1.PodTemplateSpec, tree)


def hash_of(data: dict[str, Any], collisions: int | None) -> str:
    """FNV-1 of the sorted JSON, in letters that form no words."""
    text = msgspec.json.encode(data, order="sorted")
    if collisions is not None:
        text += str(collisions).encode()
    value = 2166136261
    for byte in text:
        value = (value * 16777619 & 0xFFFFFFFF) ^ byte
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(value))


def _orphan(revision: Any) -> Iterable[str]:
    return () if controller_of(revision.metadata) is not None else (revision.metadata.namespace,)


class Revisions:
    """The revisions of one kind of owner. ``label`` is where a revision keeps its hash."""

    def __init__(self, client: Client, informers: InformerFactory, cls: type[Any], label: str) -> None:
        self.informer = informers.of(apps_v1.ControllerRevision)
        self.informer.add_index("owner", owner_uid)
        self.informer.add_index("orphan", _orphan)
        self._client = client
        self._resource = client.scheme.by_type(cls)
        self._label = label

    async def of(self, owner: Any) -> list[apps_v1.ControllerRevision]:
        """Oldest first; orphans that the owner's selector matches are adopted."""
        found = [r for k in self.informer.by_index("owner", owner.metadata.uid) if (r := self.informer.get(k)) is not None]
        if not owner.metadata.deletionTimestamp:
            found += await self._adopt(owner)
        return sorted(found, key=lambda r: (r.revision, r.metadata.creationTimestamp or "", r.metadata.name))

    async def _adopt(self, owner: Any) -> list[apps_v1.ControllerRevision]:
        selector, found = from_label_selector(owner.spec.selector), []
        for key in self.informer.by_index("orphan", owner.metadata.namespace):
            revision = self.informer.get(key)
            if revision is None or revision.metadata.deletionTimestamp or not selector.matches(revision.metadata.labels):
                continue
            references = [*revision.metadata.ownerReferences, owner_reference(owner, self._resource)]
            found.append(await self._patch(revision, {"metadata": {"ownerReferences": msgspec.to_builtins(references)}}))
        return found

    async def _patch(self, revision: apps_v1.ControllerRevision, change: dict[str, Any]) -> apps_v1.ControllerRevision:
        meta = revision.metadata
        return await self._client.patch(apps_v1.ControllerRevision, meta.name, change, meta.namespace)

    async def newest(
        self, owner: Any, known: list[apps_v1.ControllerRevision], collisions: int | None
    ) -> tuple[apps_v1.ControllerRevision, int | None]:
        """The revision of the owner's present template, made or renumbered if need be, and the count of name collisions."""
        data = patch_of(owner.spec.template)
        number = known[-1].revision + 1 if known else 1
        equal = [r for r in known if r.data == data]
        if equal and equal[-1].metadata.name == known[-1].metadata.name:
            return equal[-1], collisions
        if equal:
            return await self._patch(equal[-1], {"revision": number}), collisions
        while True:
            try:
                return await self._client.create(self._make(owner, data, number, collisions)), collisions
            except AlreadyExists:
                name = f"{owner.metadata.name[:223]}-{hash_of(data, collisions)}"
                found = await self._client.get(apps_v1.ControllerRevision, name, owner.metadata.namespace)
                if found.data == data and owner.metadata.uid in owner_uid(found):
                    return found, collisions
                if found.data == data and controller_of(found.metadata) is None:
                    raise  # an orphan that the informer does not show yet
                collisions = (collisions or 0) + 1

    def _make(self, owner: Any, data: dict[str, Any], number: int, collisions: int | None) -> apps_v1.ControllerRevision:
        digest = hash_of(data, collisions)
        meta = meta_v1.ObjectMeta(
            name=f"{owner.metadata.name[:223]}-{digest}",
            namespace=owner.metadata.namespace,
            labels={**owner.spec.template.metadata.labels, self._label: digest},
            annotations=dict(owner.metadata.annotations),
            ownerReferences=[owner_reference(owner, self._resource)],
        )
        return apps_v1.ControllerRevision(metadata=meta, data=data, revision=number)

    async def truncate(self, owner: Any, known: list[apps_v1.ControllerRevision], live: set[str]) -> None:
        """``live`` are names that must stay."""
        limit = owner.spec.revisionHistoryLimit
        old = [r for r in known if r.metadata.name not in live]
        for revision in old[: max(0, len(old) - (10 if limit is None else limit))]:
            try:
                await self._client.delete(apps_v1.ControllerRevision, revision.metadata.name, revision.metadata.namespace)
            except NotFound:
                continue
