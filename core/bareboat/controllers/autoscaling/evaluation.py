"""What the metrics of an autoscaler propose: each its own number, the highest counts."""

from __future__ import annotations

from typing import Any, NamedTuple

from bareboat.base.clock import Clock
from bareboat.controllers.autoscaling.behavior import tolerance_of
from bareboat.controllers.autoscaling.metrics import NoMetrics, ResourceMetrics
from bareboat.controllers.autoscaling.proposal import Proposal, by_average, by_utilization, group
from bareboat.controllers.labelled import select
from bareboat.models import autoscaling_v1, autoscaling_v2, core_v1
from bareboat.models.quantity import Quantity
from bareboat.models.selectors import SelectorError, parse_labels
from bareboat.reconcile.informer import Informer

_REASONS = {"Pods": "FailedGetPodsMetric", "Object": "FailedGetObjectMetric", "External": "FailedGetExternalMetric"}
#: What an autoscaler without metrics goes by.
_CPU = autoscaling_v2.MetricSpec(
    type="Resource",
    resource=autoscaling_v2.ResourceMetricSource(name="cpu", target=autoscaling_v2.MetricTarget(type="Utilization", averageUtilization=80)),
)


class CannotScale(Exception):
    """Reason and message of a condition."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Evaluated(NamedTuple):
    """The replicas, the metric that asks for them, and what all of them read."""

    replicas: int
    metric: str
    statuses: list[autoscaling_v2.MetricStatus]


class Evaluation:
    def __init__(self, metrics: ResourceMetrics, pods: Informer[core_v1.Pod], clock: Clock) -> None:
        self._metrics = metrics
        self._pods = pods
        self._clock = clock

    async def run(self, autoscaler: autoscaling_v2.HorizontalPodAutoscaler, scale: autoscaling_v1.Scale) -> Evaluated:
        """One metric that fails is overlooked while another asks for more, never for less. Raises CannotScale."""
        if not scale.status.selector:
            raise CannotScale("InvalidSelector", "the HPA target's scale is missing a selector")
        best: tuple[int, str] | None = None
        failure: CannotScale | None = None
        statuses = []
        for spec in autoscaler.spec.metrics or [_CPU]:
            try:
                proposal, name, status = await self._propose(autoscaler, spec, scale)
            except CannotScale as error:
                failure = failure or error
                continue
            statuses.append(status)
            if best is None or proposal.replicas > best[0]:
                best = proposal.replicas, name
        if best is None or (failure is not None and best[0] < scale.spec.replicas):
            raise failure or CannotScale("InvalidMetricSourceType", "the HPA has no metric to go by")
        return Evaluated(*best, statuses)

    async def _propose(
        self, autoscaler: Any, spec: autoscaling_v2.MetricSpec, scale: autoscaling_v1.Scale
    ) -> tuple[Proposal, str, autoscaling_v2.MetricStatus]:
        source: Any = spec.resource if spec.type == "Resource" else spec.containerResource
        if source is None:
            reason = _REASONS.get(spec.type, "InvalidMetricSourceType")
            raise CannotScale(reason, f"metrics of type {spec.type} are not served here")
        container = source.container if spec.type == "ContainerResource" else ""
        try:
            proposal = await self._measure(autoscaler, source, container, scale)
        except (NoMetrics, SelectorError) as error:
            what = f"{source.name} {'utilization' if source.target.averageUtilization is not None else 'usage'}"
            reason = "FailedGetContainerResourceMetric" if container else "FailedGetResourceMetric"
            raise CannotScale(reason, f"failed to get {what}: {error}") from error
        kind = f"{source.name} {'container ' if container else ''}resource"
        name = f"{kind} utilization (percentage of request)" if proposal.utilization is not None else kind
        return proposal, name, _status(spec.type, source.name, container, proposal)

    async def _measure(self, autoscaler: Any, source: Any, container: str, scale: autoscaling_v1.Scale) -> Proposal:
        selector, namespace = parse_labels(scale.status.selector), autoscaler.metadata.namespace
        uses = await self._metrics.use(source.name, namespace, selector, container)
        pods = select(self._pods, namespace, selector)
        groups, tolerance = group(pods, uses, source.name, self._clock.now()), tolerance_of(autoscaler)
        current, target = scale.spec.replicas, source.target
        if target.averageUtilization is not None:
            counted = groups.ready.keys() | groups.unready | groups.missing
            living = [p for p in pods if p.metadata.name in counted]
            return by_utilization(current, target.averageUtilization, living, groups, source.name, container, tolerance)
        if target.averageValue is None:
            raise NoMetrics("the metric has no target")
        return by_average(current, Quantity.parse(target.averageValue).milli(), groups, tolerance)


def _status(kind: str, name: str, container: str, proposal: Proposal) -> autoscaling_v2.MetricStatus:
    average = str(Quantity.of_milli(proposal.average))
    value = autoscaling_v2.MetricValueStatus(averageValue=average, averageUtilization=proposal.utilization)
    if container:
        source = autoscaling_v2.ContainerResourceMetricStatus(name=name, container=container, current=value)
        return autoscaling_v2.MetricStatus(type=kind, containerResource=source)
    return autoscaling_v2.MetricStatus(type=kind, resource=autoscaling_v2.ResourceMetricStatus(name=name, current=value))
