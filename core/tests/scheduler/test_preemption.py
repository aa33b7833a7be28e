"""Important pods get the room of less important ones, and no more of them go than must."""

import asyncio

import pytest

from bareboat.controllers.replicaset import ReplicaSetController
from bareboat.models import apps_v1, core_v1, policy_v1

pytestmark = pytest.mark.virtual_time


async def test_a_pod_takes_the_room_of_a_less_important_one(world):
    world.grace = 5
    await world.node("n1")
    await world.start()
    await world.pod("low", cpu="600m", priority=1)
    assert await world.bound("low") == "n1"
    high = await world.pod("high", cpu="600m", priority=10)
    await asyncio.sleep(2)
    waiting, going = await world.get("high"), await world.get("low")
    assert waiting.status.nominatedNodeName == "n1"
    assert going.metadata.deletionTimestamp
    condition = next(c for c in going.status.conditions if c.type == "DisruptionTarget")
    assert (condition.status, condition.reason) == ("True", "PreemptionByScheduler")
    assert condition.message == "default-scheduler: preempting to accommodate a higher priority pod"
    assert await world.bound("high") == "n1"
    assert await world.get("low") is None
    assert (await world.get("high")).status.nominatedNodeName in (None, "")
    assert await world.events("Preempted") == [("low", f"Preempted by pod {high.metadata.uid} on node n1")]


async def test_a_pod_that_never_preempts_waits(world):
    await world.node("n1")
    await world.start()
    await world.pod("low", cpu="600m", priority=1)
    await world.bound("low")
    await world.pod("polite", cpu="600m", priority=10, preemptionPolicy="Never")
    said = await world.refused("polite")
    assert said == "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    await asyncio.sleep(20)
    assert not (await world.get("low")).metadata.deletionTimestamp


async def test_equals_are_not_evicted(world):
    await world.node("n1")
    await world.node("tainted", cpu="8", taints=[{"key": "k", "effect": "NoSchedule"}])
    await world.node("small", cpu="100m")
    await world.start()
    await world.pod("first", cpu="600m", priority=5)
    await world.bound("first")
    await world.pod("second", cpu="600m", priority=5)
    said = await world.refused("second")
    assert said == (
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
        "preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
    )
    assert ("second", said) in await world.events("FailedScheduling")


async def test_as_few_as_possible_go_and_the_least_important_ones(world):
    await world.node("n1", cpu="4")
    await world.start()
    for name, priority in (("a", 3), ("b", 1), ("c", 2), ("d", 2)):
        await world.pod(name, cpu="1", priority=priority)
        await world.bound(name)
        await asyncio.sleep(2)
    await world.pod("high", cpu="2", priority=10)
    await world.bound("high")
    assert set(await world.placements()) == {"a", "c", "high"}  # of equals the one that ran longer stays


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([5], [1], id="the lowest of the highest priorities"),
        pytest.param([3, 2], [3, 1], id="the lowest sum"),
        pytest.param([3, 3], [3], id="the fewest"),
    ],
)
async def test_the_node_whose_victims_matter_least_is_chosen(world, one, other):
    await world.node("n1", cpu="2")
    await world.node("n2", cpu="2")
    await world.start()
    for node, priorities in (("n1", one), ("n2", other)):
        for number, priority in enumerate(priorities):
            half = f"{2000 // len(priorities)}m"
            await world.pod(f"{node}-{number}", cpu=half, priority=priority, nodeSelector={"kubernetes.io/hostname": node})
            await world.bound(f"{node}-{number}")
    await world.pod("high", cpu="2", priority=10)
    assert await world.bound("high") == "n2"


async def test_a_disruption_budget_is_respected_while_there_is_another_way(world):
    await world.node("n1")
    await world.node("n2")
    await world.start()
    for node, priority in (("n1", 1), ("n2", 5)):
        await world.pod(f"on-{node}", cpu="1", priority=priority, labels={"on": node}, nodeSelector={"kubernetes.io/hostname": node})
        await world.bound(f"on-{node}")
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"on": "n1"}}}
    await world.create(policy_v1.PodDisruptionBudget, {"metadata": {"name": "b"}, "spec": spec})
    await world.pod("high", cpu="1", priority=10)
    assert await world.bound("high") == "n2"
    await world.pod("higher", cpu="1", priority=11, nodeSelector={"kubernetes.io/hostname": "n1"})
    assert await world.bound("higher") == "n1"  # a budget is no right to stay


async def test_nobody_less_important_gets_the_room_that_comes_free(world):
    world.grace = 10
    await world.node("n1")
    await world.start()
    await world.pod("low", cpu="1", priority=1)
    await world.bound("low")
    await world.pod("high", cpu="1", priority=10)
    await asyncio.sleep(1)
    await world.pod("sneaky", cpu="500m", priority=5)
    assert await world.bound("high") == "n1"
    assert (await world.placements())["sneaky"] == ""


async def test_a_pod_that_waits_for_victims_looks_for_no_more(world):
    world.grace = 30
    await world.node("n1")
    await world.node("n2")
    await world.start()
    for name in ("a", "b"):
        await world.pod(name, cpu="1", priority=1)
        await world.bound(name)
    await world.pod("high", cpu="1", priority=10)
    await asyncio.sleep(3)
    await world.pod("else", priority=1)  # something changes, the pod is tried again
    await world.node("n3", cpu="100m")
    await asyncio.sleep(3)
    assert sum(1 for p in (await world.client.list(core_v1.Pod)).items if p.metadata.deletionTimestamp) == 1
    assert "not eligible due to a terminating pod on the nominated node." in await world.refused("high", "not eligible")
    await world.bound("high")


async def test_a_victim_with_a_finalizer_is_marked(world):
    await world.node("n1", **{"example.com/fakecpu": "5"})
    await world.start()
    await world.pod("victim", priority=1, requests={"example.com/fakecpu": "5"}, meta={"finalizers": ["example.com/hold"]})
    await world.bound("victim")
    await world.pod("high", priority=10, requests={"example.com/fakecpu": "5"})

    async def marked():
        return any(c.type == "DisruptionTarget" for c in (await world.get("victim")).status.conditions)

    await world.until(marked)
    await world.client.patch(core_v1.Pod, "victim", {"metadata": {"finalizers": None}}, "default")
    assert await world.bound("high") == "n1"


async def test_a_host_port_is_freed_too(world):
    await world.node("n1")
    await world.start()
    port = {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}]}]}
    await world.pod("bystander", priority=0)
    await world.pod("low", priority=1, **port)
    await world.bound("low")
    await world.pod("high", priority=10, **port)
    await world.bound("high")
    assert set(await world.placements()) == {"bystander", "high"}


async def test_anti_affinity_of_the_less_important_yields(world):
    await world.node("n1")
    await world.start()
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
    alone = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    await world.pod("bystander", priority=0)
    await world.pod("low", priority=1, affinity=alone, labels={"app": "web"})
    await world.bound("low")
    await world.pod("high", priority=10, affinity=alone, labels={"app": "web"})
    await world.bound("high")
    assert set(await world.placements()) == {"bystander", "high"}


async def test_a_more_important_pod_takes_a_nomination_over(world):
    world.grace = 10
    await world.node("n1")
    await world.start()
    await world.pod("low", cpu="1", priority=1)
    await world.bound("low")
    await world.pod("mid", cpu="1", priority=5)
    await asyncio.sleep(2)
    assert (await world.get("mid")).status.nominatedNodeName == "n1"
    await world.pod("high", cpu="1", priority=10)
    assert await world.bound("high") == "n1"
    assert not (await world.get("mid")).status.nominatedNodeName


async def test_replica_sets_of_four_priorities_end_with_the_important_ones(world):
    await world.node("n1", cpu="8", **{"example.com/fakecpu": "1000"})
    await world.start(ReplicaSetController)

    async def replicas(name, count, priority, amount):
        container = {"name": "c", "image": "i", "resources": {k: {"example.com/fakecpu": amount} for k in ("requests", "limits")}}
        spec = {"priority": priority, "containers": [container], "terminationGracePeriodSeconds": 0}
        template = {"metadata": {"labels": {"rs": name}}, "spec": spec}
        wanted = {"replicas": count, "selector": {"matchLabels": {"rs": name}}, "template": template}
        await world.create(apps_v1.ReplicaSet, {"metadata": {"name": name}, "spec": wanted})

    async def running():
        pods = (await world.client.list(core_v1.Pod)).items
        return {
            n: sum(1 for p in pods if p.metadata.labels["rs"] == n and p.spec.nodeName and not p.metadata.deletionTimestamp) for n in sets
        }

    sets = {"p1": (5, 1, "40"), "p2": (4, 2, "50"), "p3": (4, 3, "95"), "p4": (1, 4, "400")}
    for name in ("p1", "p2", "p3"):
        await replicas(name, *sets[name])

    async def three():
        return await running() == {"p1": 5, "p2": 4, "p3": 4, "p4": 0}

    await world.until(three)
    await replicas("p4", *sets["p4"])

    async def four():
        return (await running())["p4"] == 1

    await world.until(four)
    await asyncio.sleep(10)
    assert await running() == {"p1": 0, "p2": 4, "p3": 4, "p4": 1}
