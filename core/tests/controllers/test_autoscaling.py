"""HorizontalPodAutoscalers: replicas follow use, within limits, windows and rates, and say why."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from bareboat.client.transport import Answer
from bareboat.controllers.autoscaling.behavior import History, decide
from bareboat.controllers.autoscaling.controller import HorizontalPodAutoscalerController
from bareboat.controllers.autoscaling.metrics import Use
from bareboat.controllers.autoscaling.proposal import Groups, Tolerance, by_average, by_utilization
from bareboat.controllers.deployment import DeploymentController
from bareboat.controllers.replicaset import ReplicaSetController
from bareboat.models import apps_v1, autoscaling_v2, core_v1
from bareboat.models.codec import from_tree

pytestmark = pytest.mark.virtual_time


class Metrics:
    """The metrics API as a part of the transport: every pod uses ``cpu``; None = there is no such API."""

    def __init__(self, world):
        self.world, self.cpu = world, "100m"
        self._request = world.client.transport.request
        world.client.transport.request = self.request

    async def request(self, method, path, **more):
        if not path.startswith("/apis/metrics.k8s.io/") or self.cpu is None:
            return await self._request(method, path, **more)
        usage = [{"name": "c", "usage": {"cpu": self.cpu}}]
        pods = [
            {"metadata": {"name": p.metadata.name}, "timestamp": self.world.now(), "window": "10s", "containers": usage}
            for p in await self.world.pods()
        ]
        return Answer(200, {}, msgspec.json.encode({"items": pods}))


@pytest.fixture
async def world(bench):
    bench.metrics = Metrics(bench)
    await bench.start(HorizontalPodAutoscalerController, DeploymentController, ReplicaSetController)
    resources = {"requests": {"cpu": "200m"}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "host:1", "resources": resources}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    await bench.create(apps_v1.Deployment, {"metadata": {"name": "web"}, "spec": spec})
    return bench


def autoscaler(target=50, **spec):
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 10, "metrics": [metric], **spec},
    }


async def replicas(world):
    return (await world.get(apps_v1.Deployment, "web")).spec.replicas


async def reasons(world):
    found = await world.get(autoscaling_v2.HorizontalPodAutoscaler, "web")
    return {c.type: (c.status, c.reason) for c in found.status.conditions}


async def test_at_its_target_nothing_moves(world):
    await world.create(autoscaling_v2.HorizontalPodAutoscaler, autoscaler())
    await asyncio.sleep(60)
    assert await replicas(world) == 2
    assert await reasons(world) == {
        "AbleToScale": ("True", "ReadyForNewScale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }
    status = (await world.get(autoscaling_v2.HorizontalPodAutoscaler, "web")).status
    assert (status.currentReplicas, status.desiredReplicas) == (2, 2)
    assert (status.currentMetrics[0].resource.current.averageUtilization, status.currentMetrics[0].resource.current.averageValue) == (
        50,
        "100m",
    )


async def test_more_use_makes_more_pods_and_less_makes_fewer_later(world):
    await world.create(autoscaling_v2.HorizontalPodAutoscaler, autoscaler())
    await asyncio.sleep(60)
    world.metrics.cpu = "200m"
    await asyncio.sleep(40)
    assert await replicas(world) >= 4
    assert "SuccessfulRescale" in await world.reasons()
    world.metrics.cpu = "10m"
    before = await replicas(world)
    await asyncio.sleep(200)
    assert await replicas(world) >= before
    assert (await reasons(world))["AbleToScale"] == ("True", "ScaleDownStabilized")
    await asyncio.sleep(400)
    assert await replicas(world) == 1


async def test_limits_hold_whatever_the_metrics_say(world):
    world.metrics.cpu = "2"
    await world.create(autoscaling_v2.HorizontalPodAutoscaler, autoscaler(maxReplicas=3))
    await asyncio.sleep(60)
    assert await replicas(world) == 3
    assert (await reasons(world))["ScalingLimited"] == ("True", "TooManyReplicas")
    await world.client.patch(autoscaling_v2.HorizontalPodAutoscaler, "web", {"spec": {"minReplicas": 5, "maxReplicas": 6}}, "default")
    await asyncio.sleep(20)
    assert await replicas(world) >= 5


async def test_without_metrics_or_target_it_says_so(world):
    world.metrics.cpu = None
    await world.create(autoscaling_v2.HorizontalPodAutoscaler, autoscaler())
    await asyncio.sleep(20)
    assert (await reasons(world))["ScalingActive"] == ("False", "FailedGetResourceMetric")
    await world.client.delete(apps_v1.Deployment, "web", "default")
    await asyncio.sleep(20)
    assert (await reasons(world))["AbleToScale"] == ("False", "FailedGetScale")


async def test_no_replicas_switch_it_off(world):
    await world.client.patch(apps_v1.Deployment, "web", {"spec": {"replicas": 0}}, "default")
    await world.create(autoscaling_v2.HorizontalPodAutoscaler, autoscaler())
    await asyncio.sleep(20)
    assert (await reasons(world))["ScalingActive"] == ("False", "ScalingDisabled")
    assert await replicas(world) == 0


def uses(*milli):
    return {f"p{i}": Use(m, datetime(2026, 1, 1, tzinfo=UTC), 10.0) for i, m in enumerate(milli)}


def pods(count, request="100m"):
    resources = {"requests": {"cpu": request}} if request else {}
    container = {"name": "c", "image": "host", "resources": resources}
    return [from_tree(core_v1.Pod, {"metadata": {"name": f"p{i}"}, "spec": {"containers": [container]}}) for i in range(count)]


@pytest.mark.parametrize(
    ("milli", "unready", "missing", "target", "expected"),
    [
        ((30, 50, 70), 0, 0, 50, 3),  # at target
        ((54, 54, 54), 0, 0, 50, 3),  # within the tolerance of ten percent
        ((100, 100, 100), 0, 0, 50, 6),
        ((10, 10, 10), 0, 0, 50, 1),
        ((100,), 2, 0, 50, 3),  # starting pods count as idle
        ((10, 10), 0, 1, 50, 3),  # one without figures counts as busy
        ((100, 100), 0, 1, 50, 4),  # and as idle when there is too much to do
    ],
)
def test_how_many_pods_a_use_asks_for(milli, unready, missing, target, expected):
    names = [f"p{i}" for i in range(len(milli), len(milli) + unready + missing)]
    groups = Groups(uses(*milli), set(names[:unready]), set(names[unready:]))
    total = len(milli) + unready + missing
    assert by_utilization(total, target, pods(total), groups, "cpu", "", Tolerance()).replicas == expected


def test_an_average_needs_no_requests():
    assert by_average(2, 50, Groups(uses(100, 100), set(), set()), Tolerance()).replicas == 4


def hpa(**behavior):
    return from_tree(autoscaling_v2.HorizontalPodAutoscaler, autoscaler(behavior=behavior) if behavior else autoscaler())


def test_growth_is_bounded_by_its_policies():
    history = History()
    assert decide(50, 5, 1, 100, hpa(), history, 0.0).replicas == 10
    pods_only = hpa(scaleUp={"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]})
    history.scaled(10.0, 1)
    found = decide(50, 6, 1, 100, pods_only, history, 20.0)
    assert (found.replicas, found.limited[0]) == (7, "ScaleUpLimit")
    assert decide(50, 6, 1, 100, hpa(scaleUp={"selectPolicy": "Disabled"}), History(), 0.0).replicas == 6


def test_shrinking_waits_for_its_window():
    history = History()
    assert decide(9, 9, 1, 10, hpa(), history, 0.0).replicas == 9
    found = decide(2, 9, 1, 10, hpa(), history, 100.0)
    assert (found.replicas, found.stabilized[0]) == (9, "ScaleDownStabilized")
    assert decide(2, 9, 1, 10, hpa(), history, 301.0).replicas == 2
    at_once = hpa(scaleDown={"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]})
    assert decide(2, 9, 1, 10, at_once, History(), 0.0).replicas == 4
