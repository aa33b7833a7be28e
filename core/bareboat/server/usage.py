"""metrics.k8s.io/v1beta1: what nodes and pods use, asked of their agents and kept for fifteen seconds. `kubectl top`, the autoscaler.

In: the agents' /stats/summary. Out: NodeMetrics and PodMetrics of what answered; a node whose agent does not answer has none, nor have its
pods. Nothing is stored, nothing is asked while nobody asks here.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from bareboat.api import answers
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.service import Service
from bareboat.api.verbs.select import matcher
from bareboat.base.clock import Clock
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1, meta_v1
from bareboat.models.codec import encode
from bareboat.models.meta import get_condition
from bareboat.models.metrics_v1beta1 import GROUP, ContainerMetrics, NodeMetrics, PodMetrics
from bareboat.models.scheme import Resource
from bareboat.models.status import ApiError, NotFound
from bareboat.server.agents import Agents

log = logging.getLogger("bareboat.server")
#: Seconds that an agent's answer is good for (for pods that it does not have: YOUNG), that it may take, and agents asked at once.
FRESH, YOUNG, PATIENCE, AT_ONCE = 15.0, 1.0, 5.0, 32
#: The agents sample every ten seconds.
WINDOW = "10s"
SLICE = 200


def _resource(kind: str, plural: str, *, namespaced: bool) -> Resource:
    return Resource(
        group=GROUP,
        version="v1beta1",
        kind=kind,
        plural=plural,
        singular="",
        namespaced=namespaced,
        verbs=("get", "list"),
        list_kind=f"{kind}List",
        type_key=f"metrics_v1beta1.{kind}",
    )


NODES = _resource("NodeMetrics", "nodes", namespaced=False)
PODS = _resource("PodMetrics", "pods", namespaced=True)

#: Whoever may view, edit or administer a namespace may see what its pods use.
READER: dict[str, Any] = {
    "kind": "ClusterRole",
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "metadata": {
        "name": "system:aggregated-metrics-reader",
        "labels": {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")},
    },
    "rules": [{"apiGroups": [GROUP], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}],
}


class _Cpu(msgspec.Struct):
    usageNanoCores: int = 0


class _Memory(msgspec.Struct):
    workingSetBytes: int = 0


class _Container(msgspec.Struct):
    name: str
    cpu: _Cpu
    memory: _Memory

    @property
    def usage(self) -> dict[str, str]:
        return usage(self.cpu, self.memory)


class _Reference(msgspec.Struct):
    name: str
    namespace: str
    uid: str


class _Pod(msgspec.Struct):
    podRef: _Reference
    containers: list[_Container] = []


class _Node(msgspec.Struct):
    cpu: _Cpu
    memory: _Memory


class _Summary(msgspec.Struct):
    node: _Node
    pods: list[_Pod] = []


class Taken(msgspec.Struct):
    """A node's summary, and when it was taken."""

    summary: _Summary
    at: str
    monotonic: float


def usage(cpu: _Cpu, memory: _Memory) -> dict[str, str]:
    return {"cpu": f"{cpu.usageNanoCores}n" if cpu.usageNanoCores else "0", "memory": f"{memory.workingSetBytes // 1024}Ki"}


_decode = msgspec.json.Decoder(_Summary).decode


class Usage:
    """Of one server."""

    def __init__(self, reader: Reader, agents: Agents, clock: Clock) -> None:
        self._reader = reader
        self._agents = agents
        self._clock = clock
        self._taken: dict[str, Taken] = {}
        self._asking = asyncio.Lock()

    def register(self, service: Service) -> None:
        """The two resources are to be in the scheme already."""
        service.virtual[NODES.key, ""] = self._nodes
        service.virtual[PODS.key, ""] = self._pods

    async def _nodes(self, op: Operation) -> ApiResponse:
        named = op.info.name
        nodes = [n for n in self._reader.list(core_v1.Node) if named in ("", n.metadata.name)]
        taken = await self._current([n.metadata.name for n in nodes])
        found = [_node(n, taken[n.metadata.name]) for n in nodes if n.metadata.name in taken]
        return _answer(op, found, NotFound.of("nodemetrics", named, group=GROUP))

    async def _pods(self, op: Operation) -> ApiResponse:
        space, named = op.info.namespace, op.info.name
        pods = [pod async for pod in self._running(space, named)]
        taken = await self._current(sorted({p.spec.nodeName for p in pods}))
        uses = _by_uid(taken)
        young = {p.spec.nodeName for p in pods if p.metadata.uid not in uses}
        if young:  # started since the agents were asked
            uses |= _by_uid(await self._current(sorted(young), YOUNG))
        found = [_pod(p, *uses[p.metadata.uid]) for p in pods if p.metadata.uid in uses]
        return _answer(op, found, NotFound.of("podmetrics", f"{space}/{named}", group=GROUP))

    async def _running(self, space: str, named: str) -> AsyncIterator[core_v1.Pod]:
        if named:
            pod = self._reader.get(core_v1.Pod, named, space)
            if pod is None:
                raise NotFound.of("pods", f"{space}/{named}")
            yield pod
            return
        for count, pod in enumerate(self._reader.list(core_v1.Pod, space or None)):
            if pod.spec.nodeName and pod.status.phase == "Running":
                yield pod
            if count % SLICE == SLICE - 1:
                await asyncio.sleep(0)

    async def _current(self, nodes: list[str], fresh: float = FRESH) -> dict[str, Taken]:
        """By node; those that do not answer are left out. Whoever comes while agents are asked gets the same answers."""
        async with self._asking:
            await asyncio.to_thread(importlib.import_module, "aiohttp")  # 0.3 s the first time: not on the loop
            now = self._clock.monotonic()
            stale = [n for n in nodes if n not in self._taken or now - self._taken[n].monotonic > fresh]
            permits = asyncio.Semaphore(AT_ONCE)
            for name, taken in zip(stale, await asyncio.gather(*(self._ask(n, permits) for n in stale)), strict=True):
                self._taken.pop(name, None)
                if taken is not None:
                    self._taken[name] = taken
            return {n: self._taken[n] for n in nodes if n in self._taken}

    async def _ask(self, node: str, permits: asyncio.Semaphore) -> Taken | None:
        import aiohttp

        found = self._reader.get(core_v1.Node, node)
        ready = get_condition(found.status.conditions, "Ready") if found is not None else None
        if ready is not None and ready.status == "Unknown":  # nobody waits for an agent that has been silent for long
            return None
        try:
            async with permits, asyncio.timeout(PATIENCE):
                response = await self._agents.request(node, "GET", "/stats/summary", ())
                async with response:
                    body = await response.read()
                    if response.status != 200:
                        log.info("node %s gives no statistics: %s", node, body.decode(errors="replace").strip())
                        return None
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("node %s gives no statistics: %s", node, error or type(error).__name__)
            return None
        return Taken(_decode(body), self._clock.timestamp(), self._clock.monotonic())


def _by_uid(taken: dict[str, Taken]) -> dict[str, tuple[_Pod, str]]:
    return {p.podRef.uid: (p, t.at) for t in taken.values() for p in t.summary.pods if p.containers}


def _answer(op: Operation, found: list[Any], absent: NotFound) -> ApiResponse:
    form = answers.negotiate(op.request)
    bodies = [encode(o) for o in found]
    if op.info.name:
        if not bodies:
            raise absent
        return answers.one(op, bodies[0], form)
    match = matcher(op)
    return answers.many(op, [b for b in bodies if match is None or match(b)], {}, form)


def _node(node: core_v1.Node, taken: Taken) -> NodeMetrics:
    meta = meta_v1.ObjectMeta(name=node.metadata.name, labels=node.metadata.labels, creationTimestamp=taken.at)
    used = taken.summary.node
    return NodeMetrics(metadata=meta, timestamp=taken.at, window=WINDOW, usage=usage(used.cpu, used.memory))


def _pod(pod: core_v1.Pod, used: _Pod, at: str) -> PodMetrics:
    meta = meta_v1.ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace, labels=pod.metadata.labels, creationTimestamp=at)
    containers = [ContainerMetrics(name=c.name, usage=c.usage) for c in used.containers]
    return PodMetrics(metadata=meta, timestamp=at, window=WINDOW, containers=containers)
