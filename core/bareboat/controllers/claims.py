"""Which pods belong to whom: adopt orphans that the selector matches, release own pods that it no longer matches.

In: a pod informer and an owner. Out: the pods of the owner. What changed is told as ``PodFacts``: so a change of one pod does not
cost every controller a whole decode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from bareboat.client.client import Client
from bareboat.controllers.labelled import labelled_pods, matching
from bareboat.controllers.pods import owner_uid
from bareboat.models import core_v1
from bareboat.models.codec import decode
from bareboat.models.meta import controller_of, owner_reference
from bareboat.models.scheme import Resource
from bareboat.models.selectors import Selector
from bareboat.models.status import NotFound
from bareboat.reconcile.expectations import Expectations
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import Informer, InformerFactory

#: Pods decoded at a stretch: about a millisecond.
PORTION = 64
#: Orphans of a namespace up to which each is looked at.
FEW = 500


def _orphan(pod: Any) -> Iterable[str]:
    """Index: the namespace of a pod that nobody controls."""
    return () if controller_of(pod.metadata) is not None else (pod.metadata.namespace,)


class PodClaims:
    """The pods of one kind of owner. ``finalizer`` is put on adopted pods and taken from released ones.

    Who needs little of a pod gives a ``view`` of it, with metadata: decoding that costs a quarter of the whole.
    """

    def __init__(
        self,
        client: Client,
        informers: InformerFactory,
        owners: Informer[Any],
        selector: Callable[[Any], Selector],
        *,
        finalizer: str = "",
        candidate: Callable[[core_v1.Pod], bool] | None = None,
        view: type[Any] = core_v1.Pod,
    ) -> None:
        self.pods = labelled_pods(informers)
        self.pods.add_index("owner", owner_uid, PodFacts)
        self.pods.add_index("orphan", _orphan, PodFacts)
        self.resource: Resource = client.scheme.by_type(owners.cls)
        self._client = client
        self._owners = owners
        self._selector = selector
        self._finalizer = finalizer
        self._candidate = candidate or (lambda _pod: True)
        self._view = view
        self._selectors: dict[str, dict[str, Selector | None]] = {}
        owners.on_change(self._note_owner)

    def expect(self, expectations: Expectations) -> None:
        """Tell ``expectations`` of every pod that comes or goes."""

        kind = self.resource.kind

        def observe(_key: str, old: PodFacts | None, new: PodFacts | None) -> None:
            pod = new if new is not None else old
            assert pod is not None
            owner = pod.owner
            if owner is None or owner.kind != kind:
                return
            target = f"{pod.metadata.namespace}/{owner.name}"
            if old is None:
                expectations.created(target)
            elif new is None or pod.metadata.deletionTimestamp:
                expectations.deleted(target, pod.metadata.uid)

        self.pods.on_view(observe, PodFacts)

    def owners_of(self, _key: str, pod: PodFacts) -> Iterable[str]:
        """Mapper for ``Controller.watch``: the controller, or for an orphan whoever could want it."""
        owner, meta = pod.owner, pod.metadata
        if owner is not None:
            return [f"{meta.namespace}/{owner.name}"] if owner.kind == self.resource.kind else []
        if meta.deletionTimestamp or not meta.labels:
            return []
        owners = self._selectors.get(meta.namespace, {})
        return [name for name in owners if self._selects(name).matches(meta.labels)]

    def _note_owner(self, name: str, _old: bytes | None, new: bytes | None) -> None:
        owners = self._selectors.setdefault(name.partition("/")[0], {})
        if new is None:
            owners.pop(name, None)
        else:
            owners[name] = None

    def _selects(self, name: str) -> Selector:
        """The owner's selector, read when it is first asked for after a change."""
        owners = self._selectors[name.partition("/")[0]]
        found = owners[name]
        if found is None:
            found = owners[name] = self._selector(self._owners.get(name))
        return found

    async def of(self, owner: Any) -> list[core_v1.Pod]:
        """Those that name the owner as their controller, matching or not."""
        return await self._present(self.pods.by_index("owner", owner.metadata.uid))

    async def claim(self, owner: Any) -> list[core_v1.Pod]:
        selector = self._selector(owner)
        claimed = []
        for pod in await self.of(owner):
            if selector.matches(pod.metadata.labels) or owner.metadata.deletionTimestamp:
                claimed.append(pod)
            else:
                await self._release(pod, owner)
        if owner.metadata.deletionTimestamp or selector.empty:
            return claimed
        orphans = await self._present(self._orphans(owner.metadata.namespace, selector), selector)
        wanted = [p for p in orphans if self._adoptable(p, selector)]
        if wanted and await self._still_there(owner):
            claimed += [p for pod in wanted if (p := await self._adopt(pod, owner)) is not None]
        return claimed

    def _orphans(self, namespace: str, selector: Selector) -> list[str]:
        """Of many only those that match."""
        found = self.pods.indexed("orphan", namespace)
        return sorted(found) if len(found) <= FEW else [key for key in matching(self.pods, namespace, selector) if key in found]

    async def _present(self, keys: list[str], selector: Selector | None = None) -> list[core_v1.Pod]:
        """Decoded in portions, so that many pods do not hold up everybody else."""
        found: list[core_v1.Pod] = []
        for number, name in enumerate(keys, 1):
            data = self.pods.raw(name)
            if data is not None and (selector is None or selector.matches(msgspec.json.decode(data, type=PodFacts).metadata.labels)):
                found.append(self._decoded(data))
            if number % PORTION == 0:
                await asyncio.sleep(0)
        return found

    def _decoded(self, data: bytes) -> Any:
        return decode(core_v1.Pod, data) if self._view is core_v1.Pod else msgspec.json.decode(data, type=self._view)

    def _adoptable(self, pod: core_v1.Pod, selector: Selector) -> bool:
        return not pod.metadata.deletionTimestamp and selector.matches(pod.metadata.labels) and self._candidate(pod)

    async def _still_there(self, owner: Any) -> bool:
        """Adopting for an owner that is gone would keep a pod from its next one."""
        try:
            found: Any = await self._client.get(type(owner), owner.metadata.name, owner.metadata.namespace)
        except NotFound:
            return False
        return found.metadata.uid == owner.metadata.uid and not found.metadata.deletionTimestamp

    async def _adopt(self, pod: core_v1.Pod, owner: Any) -> core_v1.Pod | None:
        meta = pod.metadata
        change: dict[str, Any] = {"ownerReferences": msgspec.to_builtins([*meta.ownerReferences, owner_reference(owner, self.resource)])}
        if self._finalizer and self._finalizer not in meta.finalizers:
            change["finalizers"] = [*meta.finalizers, self._finalizer]
        return await self._patch(pod, change)

    async def _release(self, pod: core_v1.Pod, owner: Any) -> None:
        meta = pod.metadata
        kept = [o for o in meta.ownerReferences if o.uid != owner.metadata.uid]
        change: dict[str, Any] = {"ownerReferences": msgspec.to_builtins(kept)}
        if self._finalizer in meta.finalizers:
            change["finalizers"] = [f for f in meta.finalizers if f != self._finalizer]
        await self._patch(pod, change)

    async def _patch(self, pod: core_v1.Pod, change: dict[str, Any]) -> core_v1.Pod | None:
        patch = {"metadata": {"uid": pod.metadata.uid, **change}}
        try:
            return await self._client.patch(core_v1.Pod, pod.metadata.name, patch, pod.metadata.namespace)
        except NotFound:
            return None
