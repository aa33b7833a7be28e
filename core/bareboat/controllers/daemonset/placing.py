"""Which nodes lack their daemon and which pods are too many. Decides only; the controller does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from bareboat.base.backoff import Backoff
from bareboat.controllers.daemonset.nodes import NodeView
from bareboat.controllers.daemonset.pods import Fit, is_updated
from bareboat.controllers.daemonset.update import allows_surge
from bareboat.controllers.pods import is_ready
from bareboat.models import core_v1
from bareboat.models.meta import key
from bareboat.reconcile.events import EventRecorder


@dataclass
class Plan:
    """Names of nodes to make pods for, pods to delete, and when to look again."""

    create: list[str] = field(default_factory=list)
    delete: list[core_v1.Pod] = field(default_factory=list)
    again: float | None = None

    def look_again(self, seconds: float) -> None:
        self.again = seconds if self.again is None else min(self.again, seconds)


class FailedPods:
    """A node that refuses its daemon again and again gets the next one ever later: one second up to fifteen minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._backoff = Backoff(1.0, 900.0)
        self._until: dict[tuple[Any, ...], float] = {}

    def wait(self, identity: tuple[Any, ...]) -> float:
        """Seconds until the failed pod may go; 0 = now, and the next one will wait longer."""
        now = self._clock()
        until = self._until.get(identity)
        if until is not None and now < until:
            return until - now
        if until is not None and now - until > 1800.0:
            self._backoff.reset(identity)
        self._until[identity] = now + self._backoff.next(identity)
        if len(self._until) > 10_000:
            self._until = {k: v for k, v in self._until.items() if now < v}
        return 0.0


def place(
    daemons: Any,
    revision: str,
    fits: Iterable[tuple[NodeView, Fit]],
    by_node: dict[str, list[core_v1.Pod]],
    failed: FailedPods,
    available: Callable[[core_v1.Pod], bool],
    events: EventRecorder,
) -> Plan:
    plan = Plan()
    for node, wanted in fits:
        pods = by_node.get(node.metadata.name, [])
        living = [p for p in pods if not p.metadata.deletionTimestamp]
        if not wanted.stay:
            plan.delete += living
            continue
        if wanted.run and not pods:
            plan.create.append(node.metadata.name)
            continue
        running = [p for p in living if not _ended(daemons, node, p, failed, plan, events)]
        plan.delete += _excess(daemons, revision, running, available)
    return plan


def _ended(daemons: Any, node: NodeView, pod: core_v1.Pod, failed: FailedPods, plan: Plan, events: EventRecorder) -> bool:
    """Failed and succeeded daemons go, so that a new one can come."""
    where = f"{key(pod)} on node {node.metadata.name}"
    if pod.status.phase == "Succeeded":
        events.event(daemons, "Normal", "SucceededDaemonPod", f"Found succeeded daemon pod {where}, will try to delete it")
    elif pod.status.phase == "Failed":
        wait = failed.wait((daemons.metadata.uid, daemons.status.observedGeneration, node.metadata.name))
        if wait > 0:
            plan.look_again(wait)
            return True
        events.event(daemons, "Warning", "FailedDaemonPod", f"Found failed daemon pod {where}, will try to kill it")
    else:
        return False
    plan.delete.append(pod)
    return True


def _excess(daemons: Any, revision: str, pods: list[core_v1.Pod], available: Callable[[core_v1.Pod], bool]) -> list[core_v1.Pod]:
    """All but the oldest; while surging also the oldest of the new template, until it is available."""
    pods = sorted(pods, key=lambda p: (p.metadata.creationTimestamp or "", p.metadata.name))
    if len(pods) <= 1:
        return []
    if not allows_surge(daemons):
        return pods[1:]
    new = next((p for p in pods if is_updated(daemons, p, revision)), None)
    old = next((p for p in pods if not is_updated(daemons, p, revision)), None)
    excess = [p for p in pods if p is not new and p is not old]
    if new is not None and old is not None and (not is_ready(old) or available(new)):
        excess.append(old)
    return excess
