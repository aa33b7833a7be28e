"""The demonstration: apply the example, see it ready, call it, break it, roll it out, with the API's own verbs only.

What comes in: a running cluster and a directory of manifests with one Deployment and one Service. What goes out: steps
shown to the reporter; ``DemoFailed`` when something does not hold that should.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp
import yaml

from bareboat.client.client import Client
from bareboat.client.kubeconfig import load as load_kubeconfig
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.layout import Layout
from bareboat.cluster.up import Reporter
from bareboat.models import apps_v1, core_v1
from bareboat.models.codec import from_tree
from bareboat.models.meta import get_condition
from bareboat.models.scheme import Scheme

NAMESPACE = "default"
NAME = "hello"
PATIENCE = 90.0


class DemoFailed(ClusterError):
    """A step did not show what it should; the text says what was seen."""


class Demo:
    """One demonstration on one cluster; ``real`` when its containers are processes that can be called."""

    def __init__(self, layout: Layout, examples: Path, report: Reporter, *, real: bool) -> None:
        self._transport = load_kubeconfig(layout.kubeconfig)
        self._scheme = Scheme.builtin()
        self._client = Client(self._transport, self._scheme)
        self._examples = examples
        self._report = report
        self._real = real
        self._address = ""

    async def close(self) -> None:
        await self._transport.close()

    async def run(self) -> None:
        with self._report.step("Example applied") as step:
            step.detail = ", ".join(await self._apply())
        with self._report.step("Pods ready") as step:
            step.detail = ", ".join(p.metadata.name for p in await self._ready_pods())
        if self._real:
            with self._report.step("Every pod has answered through the Service") as step:
                step.detail = f"{await self._call_all()} calls"
            with self._report.step("Killed process replaced") as step:
                step.detail = await self._kill_one()
        else:
            with self._report.step("Deleted pod replaced") as step:
                step.detail = await self._delete_one()
        with self._report.step("New version rolled out") as step:
            step.detail = await self._roll_out()

    async def _apply(self) -> list[str]:
        applied = []
        for path in sorted(self._examples.glob("*.yaml")):
            for tree in yaml.safe_load_all(path.read_text()):
                resource = self._scheme.by_kind(tree["apiVersion"], tree["kind"])
                if resource is None or resource.type is None:
                    raise DemoFailed(f"{path}: unknown kind {tree['apiVersion']}/{tree['kind']}")
                tree["metadata"].setdefault("namespace", NAMESPACE)
                await self._client.create(from_tree(resource.type, tree))
                applied.append(f"{tree['kind']}/{tree['metadata']['name']}")
        service = await self._client.get(core_v1.Service, NAME, NAMESPACE)
        self._address = f"http://{service.spec.clusterIP}:{service.spec.ports[0].port}/"
        return applied

    async def _pods(self) -> list[core_v1.Pod]:
        found = await self._client.list(core_v1.Pod, NAMESPACE, labels=f"app={NAME}")
        return [p for p in found.items if not p.metadata.deletionTimestamp]

    async def _ready_pods(self) -> list[core_v1.Pod]:
        deployment = await self._client.get(apps_v1.Deployment, NAME, NAMESPACE)
        wanted = deployment.spec.replicas or 1

        def enough(pods: list[core_v1.Pod]) -> bool:
            return len(pods) == wanted and all(_is_ready(p) for p in pods)

        return await self._until(enough, "pods did not become ready")

    async def _until(self, holds: Callable[[list[core_v1.Pod]], bool], complaint: str) -> list[core_v1.Pod]:
        pods: list[core_v1.Pod] = []
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds(pods := await self._pods()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DemoFailed(f"{complaint} in {PATIENCE:g} s: {', '.join(map(_describe, pods)) or 'no pods'}") from None
        return pods

    async def _call_all(self) -> int:
        waiting = {p.metadata.name for p in await self._pods()}
        async with Caller(self._address) as caller:
            async with asyncio.timeout(PATIENCE):
                while waiting:
                    waiting.discard(_pod_of(await caller.call()))
        return caller.calls

    async def _kill_one(self) -> str:
        victim = (await self._pods())[0]
        pid = _process_of(victim.metadata.name)
        os.kill(pid, signal.SIGKILL)
        uid = victim.metadata.uid

        def replaced(pods: list[core_v1.Pod]) -> bool:
            return any(p.metadata.uid == uid and _is_ready(p) and p.status.containerStatuses[0].restartCount > 0 for p in pods)

        await self._until(replaced, "the killed container did not come back")
        return f"pid {pid} of {victim.metadata.name} → {_process_of(victim.metadata.name)}"

    async def _delete_one(self) -> str:
        victim = (await self._pods())[0].metadata.name
        await self._client.delete(core_v1.Pod, victim, NAMESPACE)
        pods = await self._ready_pods()
        return f"{victim} → {pods[-1].metadata.name}"

    async def _roll_out(self) -> str:
        if not self._real:
            await self._change_version()
            return ""
        async with Caller(self._address) as caller:
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(caller.keep_calling(stop))
                await self._change_version()
                await caller.until_only(lambda text: text.rstrip().endswith("version 2"), PATIENCE)
                stop.set()
        if caller.failures:
            raise DemoFailed(f"{caller.failures} of {caller.calls} calls failed during the rollout: {caller.last_failure}")
        return f"{caller.calls} calls, none failed"

    async def _change_version(self) -> None:
        change = {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "VERSION", "value": "2"}]}]}}}}
        old = {p.metadata.uid for p in await self._pods()}
        await self._client.patch(apps_v1.Deployment, NAME, change, NAMESPACE, type="strategic")
        await self._until(lambda pods: bool(pods) and not old & {p.metadata.uid for p in pods}, "old pods did not go")
        await self._ready_pods()


class Caller:
    """Calls the Service, a new connection each time, and counts."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.calls = 0
        self.failures = 0
        self.last_failure = ""
        self._recent: list[str] = []

    async def __aenter__(self) -> Caller:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(total=5), trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(self) -> str:
        """The answer, or "" when the call failed."""
        self.calls += 1
        try:
            async with self._session.get(self.address) as response:
                response.raise_for_status()
                return await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures += 1
            self.last_failure = f"{type(error).__name__}: {error}"
            await asyncio.sleep(0.05)
            return ""

    async def keep_calling(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._recent = [*self._recent[-19:], await self.call()]

    async def until_only(self, holds: Callable[[str], bool], patience: float) -> None:
        """Until the last twenty answers all hold."""
        async with asyncio.timeout(patience):
            while len(self._recent) < 20 or not all(map(holds, self._recent)):
                await asyncio.sleep(0.02)


def _is_ready(pod: core_v1.Pod) -> bool:
    condition = get_condition(pod.status.conditions, "Ready")
    return condition is not None and condition.status == "True" and not pod.metadata.deletionTimestamp


def _describe(pod: core_v1.Pod) -> str:
    waiting = [c.state.waiting.reason for c in pod.status.containerStatuses if c.state.waiting]
    return f"{pod.metadata.name} {pod.status.phase} {' '.join(waiting)}".strip()


def _pod_of(answer: str) -> str:
    words = answer.split()
    return words[2] if len(words) > 2 else ""


def _process_of(pod: str) -> int:
    """The process whose environment names the pod: the container's first."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if f"POD={pod}".encode() in environment.split(b"\0"):
            found.append(int(path.parent.name))
    if not found:
        raise DemoFailed(f"no process of pod {pod} found")
    return min(found)
