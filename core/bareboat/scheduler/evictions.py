"""Making room: mark the victims as disrupted, delete them gracefully, and tell less important pods that waited for the same room.

What comes in: the preemptor and the ``Outcome`` of the search. What goes out: writes to the API and events. A victim that is going
already is left alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.models import core_v1
from bareboat.models.status import ApiError, Conflict, NotFound
from bareboat.reconcile.events import EventRecorder
from bareboat.scheduler.placed import PREEMPTED, PlacedPod
from bareboat.scheduler.preemption import Outcome

log = logging.getLogger("bareboat.scheduler")


class Evictions:
    def __init__(self, client: Client, events: EventRecorder, clock: Clock) -> None:
        self._client = client
        self._events = events
        self._clock = clock

    async def make_room(self, preemptor: core_v1.Pod, outcome: Outcome, behind: list[PlacedPod]) -> bool:
        """False if a victim could not be evicted. ``behind`` are nominated for the node and must look elsewhere."""
        going = [victim for victim in outcome.victims if not victim.terminating]
        done = await asyncio.gather(*(self._evict(preemptor, victim) for victim in going))
        await asyncio.gather(*(self.nominate(pod.namespace, pod.name, "") for pod in behind))
        return all(done)

    async def _evict(self, preemptor: core_v1.Pod, victim: PlacedPod) -> bool:
        try:
            await self._mark(preemptor, victim)
            await self._client.delete(core_v1.Pod, victim.name, victim.namespace, uid=victim.uid)
        except (NotFound, Conflict):
            return True  # gone, and at most one of the same name is there
        except ApiError as error:
            log.warning("evicting %s for %s/%s failed: %s", victim.key, preemptor.metadata.namespace, preemptor.metadata.name, error)
            return False
        about = core_v1.ObjectReference(kind="Pod", apiVersion="v1", namespace=victim.namespace, name=victim.name, uid=victim.uid)
        self._events.event(about, "Normal", "Preempted", f"Preempted by pod {preemptor.metadata.uid} on node {victim.node}")
        return True

    async def _mark(self, preemptor: core_v1.Pod, victim: PlacedPod) -> None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": PREEMPTED,
            "message": f"{preemptor.spec.schedulerName}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": self._clock.timestamp(),
        }
        await self._status(victim.namespace, victim.name, {"conditions": [condition]}, uid=victim.uid)

    async def nominate(self, namespace: str, name: str, node: str, condition: dict[str, Any] | None = None) -> None:
        """Write the nomination ("" takes it back) and perhaps a condition in the same step."""
        status: dict[str, Any] = {"nominatedNodeName": node or None}
        if condition:
            status["conditions"] = [condition]
        try:
            await self._status(namespace, name, status)
        except NotFound:
            return
        except ApiError as error:
            log.warning("status of %s/%s not written: %s", namespace, name, error)

    async def _status(self, namespace: str, name: str, status: dict[str, Any], uid: str = "") -> None:
        patch: dict[str, Any] = {"status": status}
        if uid:
            patch["metadata"] = {"uid": uid}
        await self._client.patch(core_v1.Pod, name, patch, namespace, type="strategic", subresource="status")
