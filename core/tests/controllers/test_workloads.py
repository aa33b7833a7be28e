"""Deployments, ReplicaSets, namespaces and endpoints on a kernel in memory, in virtual time."""

import asyncio

import pytest

from bareboat.controllers.registry import BUILTIN
from bareboat.controllers.replicaset import ReplicaSetController
from bareboat.models import apps_v1, core_v1, discovery_v1, meta_v1
from bareboat.models.codec import from_tree
from bareboat.models.meta import set_condition
from bareboat.models.status import Forbidden, NotFound
from bareboat.reconcile.controller import ControllerContext
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory
from bareboat.testing.kernel import Kernel

pytestmark = pytest.mark.virtual_time


class World:
    """A kernel with every controller, and an agent that makes bound-less pods ready after a second."""

    def __init__(self, kernel):
        self.kernel, self.client = kernel, kernel.client
        self.lowest_ready = None
        self.broken = ""

    async def run(self):
        informers = InformerFactory(self.client)
        events = EventRecorder(self.client, "test", self.kernel.clock, self.kernel.ids)
        context = ControllerContext(self.client, informers, self.kernel.clock, self.kernel.ids, events)
        async with asyncio.TaskGroup() as group:
            group.create_task(events.run())
            for controller in [cls(context) for cls in BUILTIN]:
                group.create_task(controller.run())
            group.create_task(informers.run())
            group.create_task(self._agent(informers))

    async def _agent(self, informers):
        pods = informers.of(core_v1.Pod)
        counter = 0
        while True:
            for key in list(pods.keys()):
                pod = pods.get(key)
                broken = pod.spec.containers[0].image == self.broken
                if pod.status.phase == "Pending" and not pod.metadata.deletionTimestamp and not broken:
                    counter += 1
                    pod.status.phase, pod.status.podIP = "Running", f"10.1.0.{counter}"
                    set_condition(pod.status.conditions, "Ready", "True", "", "", self.kernel.clock.timestamp(), cls=core_v1.PodCondition)
                    try:
                        await self.client.update(pod, subresource="status")
                    except Exception:
                        continue
            await asyncio.sleep(1)

    async def pods(self, labels="app=web"):
        return [p for p in (await self.client.list(core_v1.Pod, "default", labels=labels)).items if not p.metadata.deletionTimestamp]

    async def until(self, holds, seconds=300):
        async with asyncio.timeout(seconds):
            while not await holds():
                await asyncio.sleep(0.2)


@pytest.fixture
async def world():
    kernel = await Kernel().start()
    world = World(kernel)
    task = asyncio.ensure_future(world.run())
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await kernel.stop()


def deployment(replicas=3, image="host:1", **spec):
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    tree = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }
    return from_tree(apps_v1.Deployment, tree)


async def available(world, count=3, image=None):
    found = await world.client.get(apps_v1.Deployment, "web", "default")
    pods = await world.pods()
    images = {p.spec.containers[0].image for p in pods}
    same = found.status.availableReplicas == count == found.status.updatedReplicas == len(pods)
    return same and found.status.observedGeneration == found.metadata.generation and (image is None or images == {image})


async def test_a_deployment_becomes_available(world):
    await world.client.create(deployment())
    await world.until(lambda: available(world))
    conditions = {c.type: c.status for c in (await world.client.get(apps_v1.Deployment, "web", "default")).status.conditions}
    assert conditions == {"Available": "True", "Progressing": "True"}


async def test_a_deleted_pod_is_replaced(world):
    await world.client.create(deployment())
    await world.until(lambda: available(world))
    victim = (await world.pods())[0].metadata.name
    await world.client.delete(core_v1.Pod, victim, "default")
    await world.until(lambda: available(world))
    assert victim not in {p.metadata.name for p in await world.pods()}


async def test_a_rolling_update_never_has_too_few_or_too_many(world):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await world.client.create(deployment(strategy=rolling))
    await world.until(lambda: available(world))
    seen = []

    async def observe():
        while True:
            pods = await world.pods()
            seen.append((len(pods), sum(p.status.phase == "Running" for p in pods)))
            await asyncio.sleep(0.1)

    watcher = asyncio.ensure_future(observe())
    await world.client.patch(
        apps_v1.Deployment, "web", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "host:2"}]}}}}, "default",
        type="strategic",
    )  # fmt: skip
    await world.until(lambda: available(world, image="host:2"))
    watcher.cancel()
    assert max(total for total, _ in seen) <= 4
    assert min(ready for _, ready in seen) >= 3
    sets = (await world.client.list(apps_v1.ReplicaSet, "default")).items
    assert sorted(s.metadata.annotations["deployment.kubernetes.io/revision"] for s in sets) == ["1", "2"]


async def test_scaling_and_recreate(world):
    await world.client.create(deployment(strategy={"type": "Recreate"}))
    await world.until(lambda: available(world))
    await world.client.patch(apps_v1.Deployment, "web", {"spec": {"replicas": 5}}, "default")
    await world.until(lambda: available(world, 5))
    await world.client.patch(apps_v1.Deployment, "web", {"spec": {"replicas": 1}}, "default")
    await world.until(lambda: available(world, 1))


async def test_deleting_a_deployment_takes_its_pods_along(world):
    await world.client.create(deployment())
    await world.until(lambda: available(world))
    await world.client.delete(apps_v1.Deployment, "web", "default")

    async def empty():
        sets = (await world.client.list(apps_v1.ReplicaSet, "default")).items
        return not sets and not await world.pods()

    await world.until(empty)


async def test_an_orphaned_replicaset_stays(world):
    await world.client.create(deployment())
    await world.until(lambda: available(world))
    await world.client.delete(apps_v1.Deployment, "web", "default", propagation="Orphan")

    async def gone():
        try:
            await world.client.get(apps_v1.Deployment, "web", "default")
        except NotFound:
            return True
        return False

    await world.until(gone)
    (left,) = (await world.client.list(apps_v1.ReplicaSet, "default")).items
    assert left.metadata.ownerReferences == []
    assert len(await world.pods()) == 3


async def test_foreground_deletion_waits_for_the_dependents(world):
    await world.client.create(deployment())
    await world.until(lambda: available(world))
    await world.client.delete(apps_v1.Deployment, "web", "default", propagation="Foreground")

    async def gone():
        try:
            await world.client.get(apps_v1.Deployment, "web", "default")
        except NotFound:
            return True
        return False

    await world.until(gone)
    assert (await world.client.list(apps_v1.ReplicaSet, "default")).items == []


async def test_a_service_lists_its_ready_pods(world):
    tree = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    await world.client.create(from_tree(core_v1.Service, tree))
    await world.client.create(deployment())

    async def three():
        slices = (await world.client.list(discovery_v1.EndpointSlice, "default", labels="kubernetes.io/service-name=web")).items
        ready = [e for s in slices for e in s.endpoints if e.conditions.ready]
        return len(ready) == 3 and slices[0].ports[0].port == 8080

    await world.until(three)
    endpoints = await world.client.get(core_v1.Endpoints, "web", "default")
    assert len(endpoints.subsets[0].addresses) == 3


async def test_a_namespace_gets_its_account_and_goes_with_its_contents(world):
    await world.client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="team")))

    async def furnished():
        accounts = (await world.client.list(core_v1.ServiceAccount, "team")).items
        maps = (await world.client.list(core_v1.ConfigMap, "team")).items
        return [a.metadata.name for a in accounts] == ["default"] and [m.metadata.name for m in maps] == ["kube-root-ca.crt"]

    await world.until(furnished)
    await world.client.create(core_v1.Secret(metadata=meta_v1.ObjectMeta(name="s", namespace="team")))
    await world.client.delete(core_v1.Namespace, "team")

    async def gone():
        return "team" not in {n.metadata.name for n in (await world.client.list(core_v1.Namespace)).items}

    await world.until(gone)
    assert (await world.client.list(core_v1.Secret, "team")).items == []


async def test_a_namespace_tells_what_holds_it(world):
    await world.client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="team")))
    held = meta_v1.ObjectMeta(name="s", namespace="team", finalizers=["example.com/held"])
    await world.client.create(core_v1.Secret(metadata=held))
    await world.client.delete(core_v1.Namespace, "team")

    async def told():
        found = await world.client.get(core_v1.Namespace, "team")
        return {c.type: c for c in found.status.conditions if c.status == "True"}

    await world.until(told)
    conditions = await told()
    assert conditions["NamespaceContentRemaining"].message == "Some resources are remaining: secrets. has 1 resource instances"
    finalizers = conditions["NamespaceFinalizersRemaining"]
    assert finalizers.reason == "SomeFinalizersRemain"
    assert finalizers.message == "Some content in the namespace has finalizers remaining: example.com/held in 1 resource instances"


async def test_a_silent_node_is_unknown_tainted_and_loses_its_pods(world):
    node = from_tree(core_v1.Node, {"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    await world.client.create(node)
    tree = {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "c", "image": "host"}],
            "tolerations": [
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
            ],
        },
    }
    await world.client.create(from_tree(core_v1.Pod, tree))
    await asyncio.sleep(70)
    found = await world.client.get(core_v1.Node, "n1")
    assert found.spec.podCIDR == "10.244.0.0/24"
    assert next(c.status for c in found.status.conditions if c.type == "Ready") == "Unknown"
    assert {t.effect for t in found.spec.taints if t.key == "node.kubernetes.io/unreachable"} == {"NoSchedule", "NoExecute"}
    assert not (await world.client.get(core_v1.Pod, "p", "default")).metadata.deletionTimestamp
    await asyncio.sleep(60)
    assert (await world.client.get(core_v1.Pod, "p", "default")).metadata.deletionTimestamp


async def test_a_replicaset_says_that_its_pods_are_refused_until_they_are_not(bench):
    await bench.start(ReplicaSetController)
    request, refuse = bench.client.transport.request, True

    async def guarded(method, path, **more):
        if refuse and method == "POST" and path.endswith("/pods"):
            raise Forbidden("exceeded quota: q")
        return await request(method, path, **more)

    bench.client.transport.request = guarded
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "host:1"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    await bench.create(apps_v1.ReplicaSet, {"metadata": {"name": "web"}, "spec": spec})

    async def failures(*wanted):
        found = (await bench.get(apps_v1.ReplicaSet, "web")).status.conditions
        return [(c.type, c.status, c.reason) for c in found] == list(wanted)

    await bench.until(lambda: failures(("ReplicaFailure", "True", "FailedCreate")))
    refuse = False
    await bench.until(failures)
    assert len(await bench.pods()) == 2


async def test_scaling_in_the_middle_of_a_rollout_keeps_the_shares(world):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    await world.client.create(deployment(10, strategy=rolling))
    await world.until(lambda: available(world, 10))
    world.broken = "host:404"
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "host:404"}]}}}}
    await world.client.patch(apps_v1.Deployment, "web", image, "default", type="strategic")

    async def sizes(*wanted):
        sets = (await world.client.list(apps_v1.ReplicaSet, "default")).items
        return (
            tuple(s.spec.replicas for s in sorted(sets, key=lambda s: s.metadata.annotations["deployment.kubernetes.io/revision"]))
            == wanted
        )

    await world.until(lambda: sizes(8, 5))
    await world.client.patch(apps_v1.Deployment, "web", {"spec": {"replicas": 30}}, "default")
    await world.until(lambda: sizes(20, 13))
    await asyncio.sleep(20)
    assert await sizes(20, 13)
    world.broken = ""
    await world.until(lambda: available(world, 30, "host:404"))


async def test_a_name_that_is_taken_gives_way_to_another(world):
    await world.client.create(deployment(1))
    await world.until(lambda: available(world, 1))
    (taken,) = (await world.client.list(apps_v1.ReplicaSet, "default")).items
    await world.client.delete(apps_v1.Deployment, "web", "default", propagation="Foreground")

    async def gone():
        return not (await world.client.list(apps_v1.ReplicaSet, "default")).items

    await world.until(gone)
    tree = {
        "metadata": {"name": taken.metadata.name, "namespace": "default"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "other"}},
            "template": {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "c", "image": "host"}]}},
        },
    }
    await world.client.create(from_tree(apps_v1.ReplicaSet, tree))
    await world.client.create(deployment(1))
    await world.until(lambda: available(world, 1))
    assert (await world.client.get(apps_v1.Deployment, "web", "default")).status.collisionCount == 1
