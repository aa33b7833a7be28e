"""A world for the tests of the scheduler: a kernel in memory, the scheduler, and an agent that starts bound pods and ends deleted ones."""

import asyncio

import pytest

from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import ApiError, NotFound
from bareboat.reconcile.controller import ControllerContext
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory
from bareboat.scheduler.scheduler import Scheduler
from bareboat.testing.kernel import Kernel


class World:
    """``await world.start()`` once the cluster is as it should be; ``world.grace``: how long a deleted pod takes to end."""

    def __init__(self, kernel):
        self.kernel, self.client = kernel, kernel.client
        self.grace = 0.0
        self._tasks = []

    async def start(self, *controllers, policies=()):
        informers = InformerFactory(self.client)
        events = EventRecorder(self.client, "default-scheduler", self.kernel.clock, self.kernel.ids)
        context = ControllerContext(self.client, informers, self.kernel.clock, self.kernel.ids, events)
        self.scheduler = Scheduler(self.client, informers, policies, clock=self.kernel.clock, ids=self.kernel.ids, events=events)
        runs = [events.run(), self.scheduler.run(), informers.run(), self._agent(), *(c(context).run() for c in controllers)]
        self._tasks = [asyncio.ensure_future(run) for run in runs]

    async def stop(self):
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.kernel.stop()
        crashed = [o for o in outcomes if not isinstance(o, asyncio.CancelledError)]
        assert not crashed, crashed

    async def _agent(self):
        going = {}
        while True:
            now = asyncio.get_running_loop().time()
            for pod in (await self.client.list(core_v1.Pod)).items:
                meta = pod.metadata
                try:
                    if meta.deletionTimestamp:
                        if pod.spec.nodeName and now >= going.setdefault(meta.uid, now + self.grace):
                            await self.client.delete(core_v1.Pod, meta.name, meta.namespace, grace_seconds=0)
                    elif pod.spec.nodeName and pod.status.phase == "Pending":
                        pod.status.phase, pod.status.startTime = "Running", self.kernel.clock.timestamp()
                        await self.client.update(pod, subresource="status")
                except ApiError:
                    continue
            await asyncio.sleep(0.1)

    async def node(self, name="n1", *, cpu="1", labels=None, taints=(), **allocatable):
        room = {"cpu": cpu, "memory": "8Gi", "pods": "110", **allocatable}
        meta = {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}}
        return await self.create(
            core_v1.Node, {"metadata": meta, "spec": {"taints": list(taints)}, "status": {"allocatable": room, "capacity": room}}
        )

    async def pod(self, name, *, cpu="", priority=0, labels=None, namespace="default", meta=None, requests=None, **spec):
        wanted = {**({"cpu": cpu} if cpu else {}), **(requests or {})}
        container = {"name": "c", "image": "web:1", "resources": {"requests": wanted, "limits": requests or {}}}
        tree = {"metadata": {"name": name, "namespace": namespace, "labels": labels or {}, **(meta or {})}}
        return await self.create(core_v1.Pod, {**tree, "spec": {"priority": priority, "containers": [container], **spec}})

    async def create(self, cls, tree):
        if self.client.scheme.by_type(cls).namespaced:
            tree["metadata"].setdefault("namespace", "default")
        return await self.client.create(from_tree(cls, tree))

    async def get(self, name, cls=core_v1.Pod, namespace="default"):
        try:
            return await self.client.get(cls, name, namespace if self.client.scheme.by_type(cls).namespaced else "")
        except NotFound:
            return None

    async def until(self, holds, seconds=60):
        async with asyncio.timeout(seconds):
            while not await holds():
                await asyncio.sleep(0.1)

    async def bound(self, name, seconds=60):
        """The node that the pod gets."""
        async with asyncio.timeout(seconds):
            while not (found := await self.get(name)) or not found.spec.nodeName:
                await asyncio.sleep(0.1)
        return found.spec.nodeName

    async def refused(self, name, text="", seconds=60):
        """The message of the pod's condition, once it says ``text``."""
        async with asyncio.timeout(seconds):
            while True:
                found = await self.get(name)
                said = [c.message for c in found.status.conditions if c.type == "PodScheduled" and c.status == "False"]
                if said and text in said[0]:
                    return said[0]
                await asyncio.sleep(0.1)

    async def placements(self):
        return {p.metadata.name: p.spec.nodeName for p in (await self.client.list(core_v1.Pod, "default")).items}

    async def events(self, reason):
        return [(e.involvedObject.name, e.message) for e in (await self.client.list(core_v1.Event)).items if e.reason == reason]


@pytest.fixture
async def world():
    world = World(await Kernel().start())
    yield world
    await world.stop()
