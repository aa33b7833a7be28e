"""Making and deleting daemons as planned, and the status. Keys are DaemonSets; a change of a node's facts concerns them all."""

from __future__ import annotations

from typing import Any

from bareboat.controllers.claims import PodClaims
from bareboat.controllers.daemonset.nodes import Nodes
from bareboat.controllers.daemonset.placing import FailedPods, Plan, place
from bareboat.controllers.daemonset.pods import Fit, fit, is_updated, make_pod, node_of, tolerations
from bareboat.controllers.daemonset.update import RollingUpdate
from bareboat.controllers.freshness import Written
from bareboat.controllers.pods import available_in, create_pods, delete_pods, is_ready
from bareboat.controllers.revisions import POD_REVISION, Revisions
from bareboat.models import apps_v1, core_v1
from bareboat.models.codec import copy
from bareboat.models.selectors import from_label_selector
from bareboat.models.status import ApiError
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.expectations import Expectations
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import InformerFactory

#: Pods created or deleted in one reconcile at most.
BURST = 250
_SELECTS_ALL = "This daemon set is selecting all pods. A non-empty selector is required."
Placed = dict[str, list[core_v1.Pod]]


class DaemonSetController(Controller):
    name = "daemon-set-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._expectations = Expectations(context.clock)
        self._failed = FailedPods(context.clock.monotonic)
        self._written = Written()
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._sets = self.watch(informers.of(apps_v1.DaemonSet))
        nodes = informers.of(core_v1.Node)
        self._needs.append(nodes)
        self._nodes = Nodes(nodes, self._all)
        self._claims = PodClaims(self.client, informers, self._sets, lambda d: from_label_selector(d.spec.selector))
        self._claims.expect(self._expectations)
        self.watch(self._claims.pods, self._claims.owners_of, PodFacts)
        self._revisions = Revisions(self.client, informers, apps_v1.DaemonSet, POD_REVISION)
        self._needs.append(self._revisions.informer)

    def _all(self) -> None:
        for key in self._sets.keys():  # noqa: SIM118  an informer is no dict
            self.queue.add(key)

    async def reconcile(self, key: str) -> float | None:
        daemons = self._sets.get(key)
        if daemons is None:
            self._expectations.forget(key)
            self._written.forget(key)
            self.note_size(key, 0)
            return None
        if daemons.metadata.deletionTimestamp:
            return None
        if self._written.stale(daemons):
            return 0.05
        if from_label_selector(daemons.spec.selector).empty:
            self.events.event(
                daemons, "Warning", "SelectingAll", "This daemon set is selecting all pods. A non-empty selector is required."
            )
            return None
        known = await self._revisions.of(daemons)
        newest, collisions = await self._revisions.newest(daemons, known, daemons.status.collisionCount)
        revision = newest.metadata.labels.get(POD_REVISION, newest.metadata.name)  # one that people made may lack it
        self.note_size(key, len(self._nodes))
        step, placed = Step(self, key, daemons, revision), await self._placed(daemons)
        if self._expectations.satisfied(key):
            await step.run(placed)
            live = {newest.metadata.name} | {r.metadata.name for r in known if r.metadata.labels.get(POD_REVISION) in step.hashes}
            await self._revisions.truncate(daemons, known, live)
        await self._write_status(daemons, revision, step.fits, placed, collisions)
        if step.error is not None:
            raise step.error
        return step.again

    async def _placed(self, daemons: Any) -> Placed:
        found: Placed = {}
        for pod in await self._claims.claim(daemons):
            found.setdefault(node_of(pod), []).append(pod)
        return found

    def available(self, daemons: Any, pod: core_v1.Pod) -> bool:
        return available_in(pod, daemons.spec.minReadySeconds, self.clock.now().timestamp()) == 0.0

    def fits(self, daemons: Any) -> list[tuple[Any, Fit]]:
        tolerances = tolerations(daemons.spec.template.spec)
        return [(node, fit(daemons, node, tolerances)) for node in self._nodes]

    def plan(self, daemons: Any, revision: str, fits: list[tuple[Any, Fit]], placed: Placed) -> Plan:
        plan = place(daemons, revision, fits, placed, self._failed, lambda p: self.available(daemons, p), self.events)
        for node, pods in placed.items():  # never scheduled to a node that is gone: nobody else would collect them
            if node not in self._nodes:
                plan.delete += [p for p in pods if not p.spec.nodeName and not p.metadata.deletionTimestamp]
        return plan

    async def carry_out(self, key: str, daemons: Any, revision: str, create: list[str], delete: list[core_v1.Pod]) -> bool:
        """Whether there was anything to do: then the pods are no longer as they were."""
        create, delete = create[:BURST], delete[:BURST]
        if not create and not delete:
            return False
        resource = self._claims.resource
        self._expectations.expect(key, len(create), {p.metadata.uid for p in delete})
        made = 0
        try:
            if create:
                made = await create_pods(
                    self.client, len(create), lambda i: make_pod(daemons, resource, create[i], revision), daemons, self.events
                )
        finally:
            for _ in range(len(create) - made):
                self._expectations.created(key)
        await delete_pods(self.client, delete, daemons, self.events, lambda uid: self._expectations.deleted(key, uid))
        if made < len(create):
            self.queue.add_after(key, 1.0)
        return True

    async def _write_status(self, daemons: Any, revision: str, fits: list[tuple[Any, Fit]], placed: Placed, collisions: int | None) -> None:
        status = copy(daemons.status)
        wanted = {n.metadata.name for n, f in fits if f.run}
        oldest = {
            n: min(pods, key=lambda p: (p.metadata.creationTimestamp or "", p.metadata.name)) for n, pods in placed.items() if n in wanted
        }
        status.observedGeneration = daemons.metadata.generation
        status.desiredNumberScheduled = len(wanted)
        status.currentNumberScheduled = len(oldest)
        known = {n.metadata.name for n, _ in fits}
        status.numberMisscheduled = sum(1 for n in placed if n in known and n not in wanted)
        status.numberReady = sum(1 for p in oldest.values() if is_ready(p))
        status.numberAvailable = sum(1 for p in oldest.values() if self.available(daemons, p))
        status.numberUnavailable = len(wanted) - status.numberAvailable
        status.updatedNumberScheduled = sum(1 for p in oldest.values() if is_updated(daemons, p, revision))
        status.collisionCount = collisions
        if status != daemons.status:
            daemons.status = status
            self._written.note(await self.client.update(daemons, subresource="status"))


class Step:
    """What one reconcile does; ``hashes`` are the revisions that pods run by, ``error`` what was refused."""

    def __init__(self, controller: DaemonSetController, key: str, daemons: Any, revision: str) -> None:
        self._controller = controller
        self._key = key
        self._daemons = daemons
        self._revision = revision
        self.fits = controller.fits(daemons)
        self.hashes: set[str] = set()
        self.again: float | None = None
        self.error: ApiError | None = None

    async def run(self, placed: Placed) -> None:
        controller, daemons = self._controller, self._daemons
        self.hashes = {p.metadata.labels.get(POD_REVISION, "") for pods in placed.values() for p in pods}
        plan = controller.plan(daemons, self._revision, self.fits, placed)
        self.again = plan.again
        try:
            acted = await controller.carry_out(self._key, daemons, self._revision, plan.create, plan.delete)
            if not acted and daemons.spec.updateStrategy.type == "RollingUpdate":
                update = RollingUpdate(
                    daemons, self._revision, {n.metadata.name for n, f in self.fits if f.run}, lambda p: controller.available(daemons, p)
                )
                update.decide(placed)
                await controller.carry_out(self._key, daemons, self._revision, update.create, update.delete)
        except ApiError as error:
            self.error = error
        now, least = controller.clock.now().timestamp(), daemons.spec.minReadySeconds
        waits = [w for pods in placed.values() for p in pods if least and (w := available_in(p, least, now))]
        self.again = min([*waits, *([self.again] if self.again is not None else [])], default=None)
