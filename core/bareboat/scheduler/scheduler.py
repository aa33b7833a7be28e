"""The loop: a pod is popped, placed, assumed, and bound; or refused, and perhaps room is made for it.

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
from bareboat.models import core_v1, meta_v1, policy_v1
from bareboat.models.meta import get_condition
from bareboat.models.selectors import Selector
from bareboat.models.status import ApiError, Conflict, NotFound
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import InformerFactory
from bareboat.scheduler.changes import Changes
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.evictions import Evictions
from bareboat.scheduler.filters import Surroundings
from bareboat.scheduler.nominations import Nominations
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.placement import Decision, Placement
from bareboat.scheduler.preemption import Outcome, Preemption
from bareboat.scheduler.queue import SchedulingQueue
from bareboat.scheduler.requests import PodUse
from bareboat.scheduler.siblings import Siblings
from bareboat.scheduler.storage import Storage
from bareboat.scheduler.verdict import EVERYTHING, FACTS, VOLUME
from bareboat.scheduler.volume_binding import NotBound, VolumeBinding
from bareboat.scheduler.volumes import Plan

log = logging.getLogger("bareboat.scheduler")

#: Bindings under way at once.
MAX_BINDINGS = 64
#: Statuses of refused pods being written at once: they must not hold up those who make and bind pods.
MAX_REFUSALS = 4
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
        self._nominations = Nominations()
        self._queue = SchedulingQueue(clock)
        self._binding = asyncio.Semaphore(MAX_BINDINGS)
        self._refusing = asyncio.Semaphore(MAX_REFUSALS)
        self._busy: set[str] = set()
        self._changes = Changes(self._columns, self._queue, self._nominations, informers, self._wants, self._busy.__contains__)
        self._siblings = Siblings(informers)
        self._budgets = informers.of(policy_v1.PodDisruptionBudget)
        self._storage = Storage(informers, lambda: self._queue.wake(VOLUME))
        self._volumes = VolumeBinding(client, self._storage)
        around = Known(self._changes, self._siblings, self._storage)
        self._ids = ids
        self._around = around
        self.judge_by(policies)
        self._evictions = Evictions(client, events, clock)

    def judge_by(self, policies: Sequence[tuple[SchedulingPolicy, int]]) -> None:
        """With these policies and weights, from the next pod on; what was refused by others is looked at again."""
        self._placement = Placement(self._columns, policies, self._ids, self._around, self._nominations)
        self._preemption = Preemption(self._columns, self._placement.filters, self._nominations, self._budgets.list, self._ids)
        for what in EVERYTHING:
            self._queue.wake(what)

    async def run(self) -> None:
        """Until cancelled."""
        await self._changes.synced()
        await self._siblings.synced()
        await self._budgets.synced()
        await self._storage.synced()
        async with asyncio.TaskGroup() as tasks:
            while True:
                for _ in range(BATCH):
                    key = await self._queue.pop()
                    await self._schedule(key, tasks)
                await asyncio.sleep(0)

    async def _schedule(self, key: str, tasks: asyncio.TaskGroup) -> None:
        pod = self._changes.pods.get(key)
        if pod is None or not self._wants(pod):
            return
        use = self._changes.uses.of(pod)
        decision = self._placement.decide(pod, use, key)
        if not decision.node:
            self._refuse(key, pod, use, decision, tasks)
            return
        plan = decision.asking.volumes.plan(decision.node) if decision.asking else Plan(decision.node, {})
        self._changes.assume(key, pod, use, decision.node)
        if plan.claims:
            self._volumes.promise(plan)
            tasks.create_task(self._bind_with_volumes(key, pod, plan), name=f"bind-{key}")
            return
        await self._binding.acquire()
        tasks.create_task(self._bind(key, pod, decision.node), name=f"bind-{key}")

    def _wants(self, pod: core_v1.Pod | PodFacts) -> bool:
        spec = pod.spec
        return not spec.nodeName and spec.schedulerName == self.name and not pod.metadata.deletionTimestamp and not spec.schedulingGates

    async def _bind_with_volumes(self, key: str, pod: core_v1.Pod, plan: Plan) -> None:
        try:
            await self._volumes.bind(plan)
        except (NotBound, ApiError) as error:
            self._events.event(pod, "Warning", "FailedScheduling", f'running PreBind plugin "VolumeBinding": {error}')
            self._changes.forget(key)
            self._queue.fail(key, pod.spec.priority or 0)
            return
        finally:
            self._volumes.release(plan)
        await self._binding.acquire()
        await self._bind(key, pod, plan.node)

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
            self._changes.forget(key)  # gone or bound by another: the informer tells which
        except ApiError as error:
            log.warning("binding %s to %s failed: %s", key, node, error)
            self._changes.forget(key)
            self._queue.fail(key, pod.spec.priority or 0)
        else:
            self._events.event(pod, "Normal", "Scheduled", f"Successfully assigned {key} to {node}")
        finally:
            self._binding.release()

    def _refuse(self, key: str, pod: core_v1.Pod, use: PodUse, decision: Decision, tasks: asyncio.TaskGroup) -> None:
        priority = pod.spec.priority or 0
        asking, verdict = decision.asking, decision.verdict
        if asking is None or verdict is None:
            self._queue.refuse(key, priority, FACTS)
            self._events.event(pod, "Warning", "FailedScheduling", decision.message)
            tasks.create_task(self._tell_in_turn(key, pod, decision.message, Outcome(keep=True)), name=f"unschedulable-{key}")
            return
        outcome = self._preemption.find(asking, verdict)
        message = verdict.message(f"preemption: {outcome.message}" if outcome.message else "")
        self._events.event(pod, "Warning", "FailedScheduling", message)
        if not outcome.node:
            if not outcome.keep:
                self._nominations.remove(key)
            self._queue.refuse(key, priority, verdict.hints or EVERYTHING)
            tasks.create_task(self._tell_in_turn(key, pod, message, outcome), name=f"unschedulable-{key}")
            return
        behind = self._nominations.behind(outcome.node, priority)
        self._nominations.put(key, pod, use, outcome.node)
        self._busy.add(key)
        tasks.create_task(self._preempt(key, pod, message, outcome, behind), name=f"preempt-{key}")

    async def _preempt(self, key: str, pod: core_v1.Pod, message: str, outcome: Outcome, behind: list[PlacedPod]) -> None:
        """The pod is out of the queue meanwhile, or it would look for more victims."""
        try:
            await self._tell(pod, message, outcome)
            done = await self._evictions.make_room(pod, outcome, behind)
        finally:
            self._busy.discard(key)
        now = self._changes.pods.get(key)
        if now is None or not self._wants(now):
            return
        self._queue.refuse(key, pod.spec.priority or 0, EVERYTHING)
        placed = self._columns.placed()
        if not done or not any(victim.key in placed for victim in outcome.victims):
            self._queue.wake_some([key])

    async def _tell_in_turn(self, key: str, pod: core_v1.Pod, message: str, outcome: Outcome) -> None:
        """Unless the pod is gone or has found a place meanwhile."""
        async with self._refusing:
            if self._changes.pods.raw(key) is not None and key not in self._columns.placed():
                await self._tell(pod, message, outcome)

    async def _tell(self, pod: core_v1.Pod, message: str, outcome: Outcome) -> None:
        """The condition, and with it what the pod is nominated for."""
        meta = pod.metadata
        was = pod.status.nominatedNodeName or ""
        nominated = was if outcome.keep else outcome.node
        known = get_condition(pod.status.conditions, "PodScheduled")
        if known is not None and known.status == "False" and known.message == message and nominated == was:
            return
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        if known is None or known.status != "False":
            condition["lastTransitionTime"] = self._clock.timestamp()
        await self._evictions.nominate(meta.namespace, meta.name, nominated, condition)


class Known(Surroundings):
    """What the informers know beside nodes and pods."""

    def __init__(self, changes: Changes, siblings: Siblings, storage: Storage) -> None:
        super().__init__(storage)
        self.namespaces = changes.namespaces
        self._siblings = siblings

    def selector_of(self, pod: core_v1.Pod) -> Selector:
        return self._siblings.selector_of(pod)
