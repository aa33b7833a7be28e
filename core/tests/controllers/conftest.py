"""A world for the tests of controllers: a kernel in memory, the controllers asked for, and an agent that runs pods by a script."""

import asyncio
from datetime import timedelta

import pytest

from bareboat.base.clock import rfc3339
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.meta import set_condition
from bareboat.models.status import ApiError, NotFound, ServiceUnavailable
from bareboat.reconcile.controller import ControllerContext
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory
from bareboat.testing.kernel import ADMIN, Kernel


class Agent:
    """Every pod is bound to ``node``, Running and ready after a second; ``script(pod)`` may give an exit code, None to go on, or "hold" to leave it Pending."""

    def __init__(self, world):
        self.world, self.client = world, world.client
        self.script = lambda _pod: None
        self.counter = 0
        self.interval = 1
        self.node = "n1"

    async def run(self):
        while True:
            for pod in (await self.client.list(core_v1.Pod)).items:
                try:
                    await self._step(pod)
                except ApiError:
                    continue
            await asyncio.sleep(self.interval)

    async def _step(self, pod):
        meta = pod.metadata
        if meta.deletionTimestamp:
            if pod.status.phase in ("Pending", "Running"):
                await self.exit(pod, 137)
            if pod.spec.nodeName:
                await self.client.delete(core_v1.Pod, meta.name, meta.namespace, grace_seconds=0)
            return
        if not pod.spec.nodeName and self.node:
            target = {"metadata": {"name": meta.name}, "target": {"kind": "Node", "name": self.node}}
            await self.client.post(f"/api/v1/namespaces/{meta.namespace}/pods/{meta.name}/binding", target)
            pod = await self.client.get(core_v1.Pod, meta.name, meta.namespace)
        outcome = self.script(pod)
        if outcome == "hold" or pod.status.phase in ("Succeeded", "Failed"):
            return
        if pod.status.phase == "Pending":
            self.counter += 1
            pod.status.phase, pod.status.podIP = "Running", f"10.1.0.{self.counter}"
            pod.status.startTime = self.world.now()
            set_condition(pod.status.conditions, "Ready", "True", "", "", self.world.now(), cls=core_v1.PodCondition)
            await self.client.update(pod, subresource="status")
        elif outcome is not None:
            await self.exit(pod, outcome)

    async def exit(self, pod, code):
        """Every container ends with the code."""
        pod.status.phase = "Failed" if code else "Succeeded"
        done = {"terminated": {"exitCode": code, "finishedAt": self.world.now(), "startedAt": self.world.now()}}
        pod.status.containerStatuses = [
            from_tree(
                core_v1.ContainerStatus, {"name": c.name, "image": c.image, "imageID": "", "ready": False, "restartCount": 0, "state": done}
            )
            for c in pod.spec.containers
        ]
        set_condition(pod.status.conditions, "Ready", "False", "PodCompleted", "", self.world.now(), cls=core_v1.PodCondition)
        await self.client.update(pod, subresource="status")


class Flaky:
    """A transport some of whose writes fail, before or after they are done."""

    def __init__(self, transport, ids, share):
        self._transport, self._ids, self._share = transport, ids, share

    def __getattr__(self, name):
        return getattr(self._transport, name)

    async def request(self, method, path, **more):
        fails = method != "GET" and self._ids.fraction() < self._share
        if fails and self._ids.fraction() < 0.5:
            raise ServiceUnavailable("out of order")
        answer = await self._transport.request(method, path, **more)
        if fails:
            raise ServiceUnavailable("done, but not told")
        return answer


class World:
    """``await world.start(Controller, …)`` once; then ``client``, ``until``, ``pods`` and ``agent.script``."""

    def __init__(self, kernel):
        self.kernel, self.client = kernel, kernel.client
        self.agent = Agent(self)
        self.controllers = []
        self._tasks = []

    def now(self, seconds=0):
        return rfc3339(self.kernel.clock.now() + timedelta(seconds=seconds))

    async def start(self, *classes, faults=0.0):
        """``faults``: the share of the controllers' writes that fail, half of them after they were done."""
        informers = InformerFactory(self.client)
        client = self.kernel.client_for(ADMIN)
        client.transport = Flaky(client.transport, self.kernel.ids, faults)
        events = EventRecorder(self.client, "test", self.kernel.clock, self.kernel.ids)
        context = ControllerContext(client if faults else self.client, informers, self.kernel.clock, self.kernel.ids, events)
        self.controllers = [cls(context) for cls in classes]
        runs = [events.run(), *(c.run() for c in self.controllers), informers.run(), self.agent.run()]
        self._tasks = [asyncio.ensure_future(run) for run in runs]

    async def stop(self):
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.kernel.stop()
        crashed = [o for o in outcomes if not isinstance(o, asyncio.CancelledError)]
        assert not crashed, crashed

    async def until(self, holds, seconds=300):
        async with asyncio.timeout(seconds):
            while not await holds():
                await asyncio.sleep(0.2)

    async def create(self, cls, tree):
        tree["metadata"].setdefault("namespace", "default")
        if not self.client.scheme.by_type(cls).namespaced:
            tree["metadata"].pop("namespace")
        return await self.client.create(from_tree(cls, tree))

    async def get(self, cls, name, namespace="default"):
        return await self.client.get(cls, name, namespace if self.client.scheme.by_type(cls).namespaced else "")

    async def exists(self, cls, name, namespace="default"):
        try:
            return await self.get(cls, name, namespace)
        except NotFound:
            return None

    async def pods(self, labels="", *, all=False):
        found = (await self.client.list(core_v1.Pod, "default", labels=labels)).items
        return sorted((p for p in found if all or not p.metadata.deletionTimestamp), key=lambda p: p.metadata.name)

    async def pod_names(self, labels=""):
        return [p.metadata.name for p in await self.pods(labels)]

    async def reasons(self):
        return {e.reason for e in (await self.client.list(core_v1.Event)).items}


@pytest.fixture
async def bench():
    world = World(await Kernel().start())
    yield world
    await world.stop()
