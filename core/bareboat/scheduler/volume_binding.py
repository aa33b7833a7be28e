"""Binding the claims that waited for a node, before the pod itself is bound: reserve or ask for volumes, then wait for them.

What comes in: the ``Plan`` of a decision. What goes out: writes to volumes and claims; ``NotBound`` if it cannot be or takes too long.
"""

from __future__ import annotations

import asyncio

from bareboat.client.client import Client
from bareboat.models import core_v1
from bareboat.models.codec import copy
from bareboat.scheduler.storage import SELECTED_NODE, Storage
from bareboat.scheduler.volumes import Plan

BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
#: Seconds until the pod looks for a node again.
PATIENCE = 600.0


class NotBound(Exception):
    """The claims of a pod are not bound; the message says which and why."""


class VolumeBinding:
    def __init__(self, client: Client, storage: Storage) -> None:
        self._client = client
        self._storage = storage
        self._told: set[asyncio.Event] = set()
        storage.listeners.append(self._changed)

    def _changed(self) -> None:
        """Something about volumes is new: those who wait look again."""
        for event in self._told:
            event.set()

    def promise(self, plan: Plan) -> None:
        """No other claim gets these volumes from now on."""
        for key, volume in plan.claims.items():
            if volume is not None:
                self._storage.promised[volume.metadata.name] = key

    def release(self, plan: Plan) -> None:
        for volume in plan.claims.values():
            if volume is not None:
                self._storage.promised.pop(volume.metadata.name, None)

    async def bind(self, plan: Plan) -> None:
        """Until all of the plan's claims are bound."""
        for key, volume in plan.claims.items():
            claim = self._storage.claim(key)
            if claim is None:
                raise NotBound(f'persistentvolumeclaim "{key}" is gone')
            if volume is not None:
                await self._reserve(volume, claim)
            elif claim.metadata.annotations.get(SELECTED_NODE) != plan.node:
                change = {"metadata": {"annotations": {SELECTED_NODE: plan.node}, "uid": claim.metadata.uid}}
                await self._client.patch(core_v1.PersistentVolumeClaim, claim.metadata.name, change, claim.metadata.namespace)
        await self._wait(plan)

    async def _reserve(self, volume: core_v1.PersistentVolume, claim: core_v1.PersistentVolumeClaim) -> None:
        if volume.spec.claimRef is not None and volume.spec.claimRef.uid == claim.metadata.uid:
            return
        wanted, meta = copy(volume), claim.metadata
        reference = core_v1.ObjectReference(
            kind="PersistentVolumeClaim", apiVersion="v1", namespace=meta.namespace, name=meta.name, uid=meta.uid
        )
        wanted.spec.claimRef = reference
        wanted.metadata.annotations = {**wanted.metadata.annotations, BY_CONTROLLER: "yes"}
        await self._client.update(wanted)

    async def _wait(self, plan: Plan) -> None:
        event = asyncio.Event()
        self._told.add(event)
        try:
            async with asyncio.timeout(PATIENCE):
                seen: set[str] = set()
                while not all(self._is_bound(key, plan.node, seen) for key in plan.claims):
                    event.clear()
                    await event.wait()
        except TimeoutError as error:
            raise NotBound("binding volumes: context deadline exceeded") from error
        finally:
            self._told.discard(event)

    def _is_bound(self, key: str, node: str, seen: set[str]) -> bool:
        """A provisioner that gives up takes the chosen node away again."""
        claim = self._storage.claim(key)
        if claim is None:
            raise NotBound(f'persistentvolumeclaim "{key}" is gone')
        if self._storage.is_bound(claim):
            return True
        chosen = claim.metadata.annotations.get(SELECTED_NODE)
        if chosen == node:
            seen.add(key)
        elif key in seen:
            raise NotBound(f'provisioning failed for PVC "{claim.metadata.name}"')
        return False
