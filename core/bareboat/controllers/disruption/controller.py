"""The status of PodDisruptionBudgets. Keys are budgets; a change of a pod concerns those that select it.

Keys ``spared pod ns/name`` are pods that an eviction was promised for.
"""

from __future__ import annotations

from collections.abc import Iterable

from bareboat.controllers.disruption.expected import NoScale, Scales, expected
from bareboat.controllers.freshness import Written
from bareboat.controllers.labelled import labelled_pods, select
from bareboat.controllers.pods import is_ready
from bareboat.models import core_v1, policy_v1
from bareboat.models.codec import copy, decode
from bareboat.models.meta import get_condition, set_condition
from bareboat.models.selectors import Selector, from_label_selector
from bareboat.models.times import parse
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import InformerFactory

#: An eviction that was granted must have led to a deletion within this many seconds.
PATIENCE = 120.0
_ALLOWED = "DisruptionAllowed"
_SPARED = "spared pod "


class DisruptionController(Controller):
    name = "disruption-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._written = Written()
        self._selectors: dict[str, Selector] = {}
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._budgets = informers.of(policy_v1.PodDisruptionBudget)
        self._budgets.on_change(self._note_selector)
        self.watch(self._budgets)
        self._pods = labelled_pods(informers)
        self.watch(self._pods, self._of_pod, PodFacts)
        self._pods.on_change(self._note_target)
        self._scales = Scales(self.client, informers)
        self._needs += self._scales.informers.values()

    def _note_selector(self, key: str, _old: bytes | None, new: bytes | None) -> None:
        if new is None:
            self._selectors.pop(key, None)
            return
        self._selectors[key] = from_label_selector(decode(policy_v1.PodDisruptionBudget, new).spec.selector)

    def _of_pod(self, _key: str, pod: PodFacts) -> Iterable[str]:
        start = f"{pod.metadata.namespace}/"
        return [k for k, s in self._selectors.items() if k.startswith(start) and s.matches(pod.metadata.labels)]

    def _note_target(self, key: str, _old: bytes | None, new: bytes | None) -> None:
        if new is not None and b'"DisruptionTarget"' in new and b'"deletionTimestamp"' not in new:
            self.queue.add(_SPARED + key)

    async def _spare(self, key: str) -> float | None:
        """A pod that was to be disrupted and was not for two minutes is no longer about to be."""
        pod = self._pods.get(key)
        if pod is None or pod.metadata.deletionTimestamp or pod.status.phase in ("Succeeded", "Failed"):
            return None
        condition = get_condition(pod.status.conditions, "DisruptionTarget")
        if condition is None or condition.status != "True" or not condition.lastTransitionTime:
            return None
        left = parse(condition.lastTransitionTime).timestamp() + PATIENCE - self.clock.now().timestamp()
        if left > 0:
            return left
        change = {"type": "DisruptionTarget", "status": "False", "lastTransitionTime": self.clock.timestamp(), "reason": "", "message": ""}
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [change]}}
        meta = pod.metadata
        await self.client.patch(core_v1.Pod, meta.name, patch, meta.namespace, type="strategic", subresource="status")
        return None

    async def reconcile(self, key: str) -> float | None:
        if key.startswith(_SPARED):
            return await self._spare(key.removeprefix(_SPARED))
        budget = self._budgets.get(key)
        if budget is None:
            self._written.forget(key)
            self.note_size(key, 0)
            return None
        if self._written.stale(budget):
            return 0.05
        pods = select(self._pods, budget.metadata.namespace, from_label_selector(budget.spec.selector))
        self.note_size(key, len(pods))
        if not pods:
            self.events.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            wanted = await expected(budget, pods, self._scales)
        except NoScale as error:
            self.events.event(
                budget, "Warning", "CalculateExpectedPodCountFailed", f"Failed to calculate the number of expected pods: {error}"
            )
            await self._fail(budget, str(error))
            return 60.0
        if wanted.unmanaged:
            self._warn_of_unmanaged(budget)
        disrupted, again = self._disrupted(budget, pods)
        healthy = sum(1 for p in pods if not p.metadata.deletionTimestamp and p.metadata.name not in disrupted and is_ready(p))
        status = copy(budget.status)
        status.observedGeneration = budget.metadata.generation
        status.disruptedPods = disrupted
        status.expectedPods, status.currentHealthy, status.desiredHealthy = wanted.pods, healthy, wanted.healthy
        status.disruptionsAllowed = max(0, healthy - wanted.healthy) if wanted.pods > 0 else 0
        await self._write(budget, status, "SufficientPods" if status.disruptionsAllowed else "InsufficientPods", "")
        return again

    def _disrupted(self, budget: policy_v1.PodDisruptionBudget, pods: list[core_v1.Pod]) -> tuple[dict[str, str], float | None]:
        """Pods that an eviction was granted for and that are not being deleted yet; when to give up on the first."""
        living = {p.metadata.name: p for p in pods if not p.metadata.deletionTimestamp}
        now, kept, waits = self.clock.now().timestamp(), {}, []
        for name, since in budget.status.disruptedPods.items():
            pod = living.get(name)
            if pod is None:
                continue
            left = parse(since).timestamp() + PATIENCE - now
            if left > 0:
                kept[name] = since
                waits.append(left + 0.1)
            else:
                where = f"{budget.metadata.namespace}/{budget.metadata.name}"
                message = f"Pod was expected by PDB {where} to be deleted but it wasn't"
                self.events.event(pod, "Warning", "NotDeleted", message)
        return kept, min(waits, default=None)

    def _warn_of_unmanaged(self, budget: policy_v1.PodDisruptionBudget) -> None:
        selector = from_label_selector(budget.spec.selector)
        message = (
            f"Pods selected by this PodDisruptionBudget (selector: {selector}) have no controller, so it is not known how many there "
            'should be. Give ".spec.minAvailable" as a number to count such pods.'
        )
        self.events.event(budget, "Warning", "UnmanagedPods", message)

    async def _fail(self, budget: policy_v1.PodDisruptionBudget, why: str) -> None:
        """Nothing may be disrupted while it is not known how much there should be."""
        status = copy(budget.status)
        status.observedGeneration, status.disruptionsAllowed = budget.metadata.generation, 0
        await self._write(budget, status, "SyncFailed", why)

    async def _write(
        self, budget: policy_v1.PodDisruptionBudget, status: policy_v1.PodDisruptionBudgetStatus, reason: str, message: str
    ) -> None:
        allowed = "True" if status.disruptionsAllowed else "False"
        set_condition(status.conditions, _ALLOWED, allowed, reason, message, self.clock.timestamp())
        condition = get_condition(status.conditions, _ALLOWED)
        assert condition is not None
        condition.observedGeneration = status.observedGeneration
        if status != budget.status:
            budget.status = status
            self._written.note(await self.client.update(budget, subresource="status"))
