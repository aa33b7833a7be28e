"""pods/NAME/eviction: a delete that asks the PodDisruptionBudget first.

429 while the budget has nothing to give; 500 for a pod with several budgets. A pod that goes is marked as disrupted before its deletion,
so that whoever counts failures knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bareboat.api import answers, body
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.verbs.delete import delete_object
from bareboat.api.verbs.read import find
from bareboat.api.verbs.update import TRIES
from bareboat.api.writing import admission_request, check_name, load
from bareboat.models import core_v1, meta_v1, policy_v1
from bareboat.models.codec import decode, encode
from bareboat.models.meta import is_condition_true, set_condition
from bareboat.models.selectors import from_label_selector
from bareboat.models.status import InternalError, TooManyRequests
from bareboat.store.entry import Entry, head
from bareboat.store.errors import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service

_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


async def evict(service: Service, op: Operation) -> ApiResponse:
    eviction = body.read(op, policy_v1.Eviction, "Eviction", "policy/v1")
    check_name(op, eviction)
    await service.admission.admit(admission_request(op, "CREATE", eviction, None, op.info.name))
    pod: core_v1.Pod = await load(op, find(service, op))
    options = eviction.deleteOptions or meta_v1.DeleteOptions()
    if options.dryRun:
        op.request.query["dryRun"] = list(options.dryRun)
    if pod.status.phase not in ("Succeeded", "Failed", "Pending") and not pod.metadata.deletionTimestamp:
        await _spend_budget(service, op, pod)
    if not op.dry_run:
        await _mark(service, op)
    await delete_object(service, op, op.info.name, options, admitted=True)
    return answers.tree({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, status=201)


async def _mark(service: Service, op: Operation) -> None:
    """The condition DisruptionTarget, which says that the pod did not fail by itself."""
    for _ in range(TRIES):
        entry = find(service, op)
        pod: core_v1.Pod = await load(op, entry)
        if pod.metadata.deletionTimestamp or pod.status.phase in ("Succeeded", "Failed"):
            return
        reason, message = "EvictionByEvictionAPI", "Eviction API: evicting"
        set_condition(pod.status.conditions, "DisruptionTarget", "True", reason, message, op.clock.timestamp(), cls=core_v1.PodCondition)
        try:
            await service.log.write(entry.key, _stored(pod, "Pod", "v1"), expect=entry.revision)
        except CompareFailed:
            continue
        return


async def _spend_budget(service: Service, op: Operation, pod: core_v1.Pod) -> None:
    """Take one disruption from the pod's budget, if it has one. Raises TooManyRequests when there is none left."""
    for _ in range(TRIES):
        found = _budgets(service, pod)
        if len(found) > 1:
            message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise InternalError(message)
        if not found:
            return
        entry, budget = found[0]
        if _needs_no_budget(pod, budget):
            return
        _check(budget)
        if op.dry_run:
            return
        budget.status.disruptionsAllowed -= 1
        budget.status.disruptedPods = {**budget.status.disruptedPods, pod.metadata.name: op.clock.timestamp()}
        if not budget.status.disruptionsAllowed:
            now = op.clock.timestamp()
            set_condition(budget.status.conditions, "DisruptionAllowed", "False", "InsufficientPods", "", now)
        try:
            await service.log.write(entry.key, _stored(budget, "PodDisruptionBudget", "policy/v1"), expect=entry.revision)
        except CompareFailed:
            continue
        return
    raise TooManyRequests(_REFUSED, retry_after=10)


def _budgets(service: Service, pod: core_v1.Pod) -> list[tuple[Entry, policy_v1.PodDisruptionBudget]]:
    entries = list(service.log.scan(f"policy/poddisruptionbudgets/{pod.metadata.namespace}/"))
    budgets = [(e, decode(policy_v1.PodDisruptionBudget, e.data)) for e in entries]
    return [(e, b) for e, b in budgets if b.spec.selector is not None and from_label_selector(b.spec.selector).matches(pod.metadata.labels)]


def _needs_no_budget(pod: core_v1.Pod, budget: policy_v1.PodDisruptionBudget) -> bool:
    """A pod that is not ready may go if the policy says so, or if enough others are healthy."""
    if is_condition_true(pod.status.conditions, "Ready"):
        return False
    if budget.spec.unhealthyPodEvictionPolicy == "AlwaysAllow":
        return True
    status = budget.status
    return status.currentHealthy >= status.desiredHealthy > 0


def _check(budget: policy_v1.PodDisruptionBudget) -> None:
    status, name = budget.status, budget.metadata.name
    if status.observedGeneration < budget.metadata.generation:
        raise _refusal(f"The disruption budget {name} is still being processed by the server.")
    if status.disruptionsAllowed <= 0:
        raise _refusal(f"The disruption budget {name} needs {status.desiredHealthy} healthy pods and has {status.currentHealthy} currently")


def _refusal(why: str) -> TooManyRequests:
    return TooManyRequests(_REFUSED, details={"causes": [{"reason": "DisruptionBudget", "message": why}]}, retry_after=10)


def _stored(obj: core_v1.Pod | policy_v1.PodDisruptionBudget, kind: str, version: str) -> bytes:
    obj.metadata.resourceVersion = ""
    return b"{" + encode(obj)[len(head(kind, version)) :]
