"""The scheduler's loop: informers feed columns and queue; one pod at a time is decided, assumed, and bound.

A decision is assumed at once (its room is taken) and bound concurrently, so that the next decision does not wait for the
write. If the binding fails the room is given back and the pod waits again; if the pod's update comes in, the informer's
state replaces the assumption. Nothing here knows HTTP, storage or processes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client.client import Client
from bareboat.contracts.scheduling import SchedulingPolicy
from bareboat.models import core_v1, meta_v1
from bareboat.models.meta import get_condition
from bareboat.models.status import ApiError, Conflict, NotFound
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory
from bareboat.scheduler.columns import Columns, PlacedPod
from bareboat.scheduler.placement import Placement
from bareboat.scheduler.queue import SchedulingQueue
from bareboat.scheduler.requests import PodUse, pod_use

log = logging.getLogger("bareboat.scheduler")

#: Bindings under way at once.
MAX_BINDINGS = 64
#: Decisions made before other tasks get their turn.
BATCH = 16


class Scheduler:
    """Schedules pods whose ``spec.schedulerName`` is ``name``."""

    def __init__(
        self,
        client: Client,
        informers: InformerFactory,
        policies: Sequence[tuple[SchedulingPolicy, int]],
        *,
        clock: Clock,
        ids: Ids,
        events: EventRecorder,
        name: str = "default-scheduler",
    ) -> None:
        self.name = name
        self._client = client
        self._clock = clock
        self._events = events
        self._columns = Columns()
        self._placement = Placement(self._columns, policies, ids)
        self._queue = SchedulingQueue(clock)
        self._binding = asyncio.Semaphore(MAX_BINDINGS)
        self._pods = informers.of(core_v1.Pod)
        self._nodes = informers.of(core_v1.Node)
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    async def run(self) -> None:
        """Until cancelled."""
        await self._nodes.synced()
        await self._pods.synced()
        async with asyncio.TaskGroup() as bindings:
            while True:
                for _ in range(BATCH):
                    key = await self._queue.pop()
                    await self._schedule(key, bindings)
                await asyncio.sleep(0)

    async def _schedule(self, key: str, bindings: asyncio.TaskGroup) -> None:
        pod = self._pods.get(key)
        if pod is None or not self._wants(pod):
            return
        use = pod_use(pod)
        decision = self._placement.decide(pod, use)
        if not decision.node:
            self._queue.refuse(key, pod.spec.priority or 0)
            bindings.create_task(self._tell_unschedulable(pod, decision.message), name=f"unschedulable-{key}")
            return
        self._assume(key, pod, decision.node, use)
        await self._binding.acquire()
        bindings.create_task(self._bind(key, pod, decision.node), name=f"bind-{key}")

    def _assume(self, key: str, pod: core_v1.Pod, node: str, use: PodUse) -> None:
        pod.spec.nodeName = node
        self._columns.put_pod(PlacedPod(key, pod, use))

    async def _bind(self, key: str, pod: core_v1.Pod, node: str) -> None:
        meta = pod.metadata
        binding = core_v1.Binding(
            metadata=meta_v1.ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid),
            target=core_v1.ObjectReference(kind="Node", name=node),
        )
        path = f"/api/v1/namespaces/{meta.namespace}/pods/{meta.name}/binding"
        try:
            await self._client.post(path, binding)
        except (NotFound, Conflict):
            self._columns.remove_pod(key)  # gone or bound by another: the informer tells which
        except ApiError as error:
            log.warning("binding %s to %s failed: %s", key, node, error)
            self._columns.remove_pod(key)
            self._queue.refuse(key, pod.spec.priority or 0)
            self._queue.wake()
        else:
            self._events.event(pod, "Normal", "Scheduled", f"Successfully assigned {key} to {node}")
        finally:
            self._binding.release()

    async def _tell_unschedulable(self, pod: core_v1.Pod, message: str) -> None:
        self._events.event(pod, "Warning", "FailedScheduling", message)
        known = get_condition(pod.status.conditions, "PodScheduled")
        if known is not None and known.status == "False" and known.message == message:
            return
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        if known is None or known.status != "False":
            condition["lastTransitionTime"] = self._clock.timestamp()
        try:
            await self._client.patch(
                core_v1.Pod,
                pod.metadata.name,
                {"status": {"conditions": [condition]}},
                pod.metadata.namespace,
                type="strategic",
                subresource="status",
            )
        except NotFound:
            return
        except ApiError as error:
            log.warning("condition of %s/%s not written: %s", pod.metadata.namespace, pod.metadata.name, error)

    def _wants(self, pod: core_v1.Pod) -> bool:
        spec = pod.spec
        return not spec.nodeName and spec.schedulerName == self.name and not pod.metadata.deletionTimestamp and not spec.schedulingGates

    def _pod_changed(self, key: str, old: bytes | None, new: bytes | None) -> None:
        del old
        pod = self._pods.get(key) if new is not None else None
        if pod is None:
            self._queue.remove(key)
            if self._columns.remove_pod(key):
                self._queue.wake()
        elif pod.spec.nodeName:
            self._queue.remove(key)
            if pod.status.phase in ("Succeeded", "Failed"):
                if self._columns.remove_pod(key):
                    self._queue.wake()
            else:
                self._columns.put_pod(PlacedPod(key, pod, pod_use(pod)))
        elif self._wants(pod) and key not in self._columns.placed():
            self._enqueue(key, pod)

    def _enqueue(self, key: str, pod: core_v1.Pod) -> None:
        if not self._queue.holds(key):  # a refused pod's own status update must not bring it back at once
            self._queue.add(key, pod.spec.priority or 0)

    def _node_changed(self, key: str, old: bytes | None, new: bytes | None) -> None:
        del old
        node = self._nodes.get(key) if new is not None else None
        if node is None:
            self._columns.remove_node(key.lstrip("/"))
        else:
            self._columns.put_node(node)
        self._queue.wake()
