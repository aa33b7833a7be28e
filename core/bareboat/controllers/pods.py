"""What controllers of pods share: which pods are theirs, making and deleting them, readiness. No queue, no watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from bareboat.client.client import Client
from bareboat.models import core_v1, meta_v1
from bareboat.models.codec import copy
from bareboat.models.meta import controller_of, get_condition, owner_reference
from bareboat.models.scheme import Resource
from bareboat.models.status import ApiError, NotFound
from bareboat.models.times import parse
from bareboat.reconcile.events import EventRecorder

#: First number of pods created at once; doubled while creations succeed.
SLOW_START = 16


def owner_uid(pod: Any) -> Iterable[str]:
    """Index: the uid of the object's controller."""
    owner = controller_of(pod.metadata)
    return (owner.uid,) if owner is not None else ()


def is_active(pod: core_v1.Pod) -> bool:
    return pod.status.phase not in ("Succeeded", "Failed") and not pod.metadata.deletionTimestamp


def is_ready(pod: core_v1.Pod) -> bool:
    condition = get_condition(pod.status.conditions, "Ready")
    return condition is not None and condition.status == "True"


def available_in(pod: core_v1.Pod, min_ready_seconds: int, now: float) -> float | None:
    """Seconds until a ready pod counts as available (0 = now), None while it is not ready."""
    condition = get_condition(pod.status.conditions, "Ready")
    if condition is None or condition.status != "True":
        return None
    if not min_ready_seconds or condition.lastTransitionTime is None:
        return 0.0
    return max(0.0, parse(condition.lastTransitionTime).timestamp() + min_ready_seconds - now)


def pod_from_template(template: Any, owner: Any, resource: Resource, prefix: str = "") -> core_v1.Pod:
    """A pod of the owner, not created yet."""
    meta = meta_v1.ObjectMeta(
        generateName=(prefix or owner.metadata.name) + "-",
        namespace=owner.metadata.namespace,
        labels=dict(template.metadata.labels),
        annotations=dict(template.metadata.annotations),
        finalizers=list(template.metadata.finalizers),
        ownerReferences=[owner_reference(owner, resource)],
    )
    return core_v1.Pod(metadata=meta, spec=copy(template.spec))


async def create_pods(client: Client, count: int, make: Callable[[int], core_v1.Pod], owner: Any, events: EventRecorder) -> int:
    """Create in growing batches, stop at the first that fails; how many were made. Raises the first error if none was."""
    made, size = 0, min(count, SLOW_START)
    while made < count:
        batch = range(made, min(count, made + size))
        results = await asyncio.gather(*(client.create_named(make(i)) for i in batch), return_exceptions=True)
        failures = [r for r in results if isinstance(r, BaseException)]
        made += len(results) - len(failures)
        for result in results:
            if isinstance(result, str):
                events.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {result}")
        if failures:
            events.event(owner, "Warning", "FailedCreate", f"Error creating: {failures[0]}")
            if made == 0 or not isinstance(failures[0], ApiError):
                raise failures[0]
            return made
        size *= 2
    return made


async def delete_pods(
    client: Client, pods: Iterable[core_v1.Pod], owner: Any, events: EventRecorder, unseen: Callable[[str], None] = lambda _uid: None
) -> None:
    """Delete; those that are gone already are fine. ``unseen`` is told the uid of each whose deletion will not be seen (any more)."""

    async def delete(pod: core_v1.Pod) -> None:
        try:
            await client.delete(core_v1.Pod, pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid)
        except NotFound:
            unseen(pod.metadata.uid)
            return
        except ApiError as error:
            unseen(pod.metadata.uid)
            events.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        events.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}")

    outcomes = await asyncio.gather(*(delete(pod) for pod in pods), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def deletion_rank(pod: core_v1.Pod, crowd: dict[str, int]) -> tuple[Any, ...]:
    """Sort key: the pods to delete first come first (unassigned, pending, not ready, cheap, crowded, young, restarted)."""
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}
    cost = pod.metadata.annotations.get("controller.kubernetes.io/pod-deletion-cost", "0")
    condition = get_condition(pod.status.conditions, "Ready")
    since = parse(condition.lastTransitionTime).timestamp() if condition and condition.lastTransitionTime else 0.0
    born = parse(pod.metadata.creationTimestamp).timestamp() if pod.metadata.creationTimestamp else 0.0
    restarts = max((c.restartCount for c in pod.status.containerStatuses), default=0)
    return (
        bool(pod.spec.nodeName),
        phases.get(pod.status.phase, 1),
        is_ready(pod),
        int(cost) if cost.lstrip("-").isdigit() else 0,
        -crowd.get(pod.spec.nodeName, 0),
        -since,
        -restarts,
        -born,
    )
