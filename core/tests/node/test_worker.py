"""A pod's worker over a runtime in memory: what happens when a sandbox is lost."""

import asyncio
import time
from types import SimpleNamespace

import msgspec
import pytest

from bareboat.base.clock import SystemClock
from bareboat.contracts.cri import Container, Sandbox
from bareboat.models import core_v1, meta_v1
from bareboat.models.codec import copy, from_tree, to_tree
from bareboat.models.meta import get_condition
from bareboat.node.allocations import Allocations
from bareboat.node.pressure import Pressure
from bareboat.node.runtime_state import RuntimeState
from bareboat.node.stats import PodUse
from bareboat.node.status_patch import MERGE_KEYS
from bareboat.node.storage.publishing import NodeStorage
from bareboat.node.worker import PodWorker


class Runtime:
    """Sandboxes and containers as lists; nothing runs."""

    def __init__(self):
        self.sandboxes, self.containers, self.created = {}, {}, []

    async def list_pod_sandbox(self):
        return list(self.sandboxes.values())

    async def list_containers(self):
        return list(self.containers.values())

    async def run_pod_sandbox(self, config):
        found = Sandbox(id=f"s{config.attempt}", config=config, state="READY", created_at=time.time_ns())
        self.sandboxes[found.id] = found
        return found

    async def create_container(self, sandbox, config):
        identity = f"{sandbox}/{config.name}/{config.attempt}"
        self.created.append((config.name, config.attempt))
        self.containers[identity] = Container(
            id=identity, sandbox_id=sandbox, config=config, state="CREATED", image_id="i", created_at=time.time_ns()
        )
        return identity

    async def start_container(self, identity):
        self.change(identity, state="RUNNING", started_at=time.time_ns(), pid=1)

    async def stop_container(self, identity, grace):
        self.change(identity, state="EXITED", exit_code=137, finished_at=time.time_ns(), reason="Error")

    async def stop_pod_sandbox(self, identity):
        self.lose(identity)

    async def remove_pod_sandbox(self, identity):
        self.sandboxes.pop(identity)
        self.containers = {i: c for i, c in self.containers.items() if c.sandbox_id != identity}

    def change(self, identity, **fields):
        self.containers[identity] = msgspec.structs.replace(self.containers[identity], **fields)

    def end(self, name, code):
        identity = next(i for i, c in self.containers.items() if c.config.name == name and c.state == "RUNNING")
        self.change(identity, state="EXITED", exit_code=code, finished_at=time.time_ns(), reason="Error" if code else "Completed")

    def lose(self, identity):
        self.sandboxes[identity] = msgspec.structs.replace(self.sandboxes[identity], state="NOTREADY")
        for container in list(self.containers.values()):
            if container.sandbox_id == identity and container.state == "RUNNING":
                self.change(container.id, state="EXITED", exit_code=137, finished_at=time.time_ns(), reason="Error")


class Node(SimpleNamespace):
    """What a worker needs of NodeServices."""

    def __init__(self, directory, policy, inits, names):
        self.runtime, self.clock = Runtime(), SystemClock()
        self.runtime_state = RuntimeState(self.runtime, self.clock, lambda _: None)
        self.network, self.allocatable = None, {}
        self.memory_is_short = lambda: False
        self.allocations, self.this_node = Allocations(self.allocatable), core_v1.Node
        self.config = SimpleNamespace(internal_ip="10.0.0.1", domain="cluster.local", dns_servers=())
        self.images = images = SimpleNamespace(ensure=self.ensure)
        self.handlers = SimpleNamespace(images=lambda _: images, name=lambda _: "memory", of_pod=self.handler)
        self.events = SimpleNamespace(event=lambda *_: None)
        self.storage = NodeStorage("n1", directory, {}, self.find, self.token, self.clock)
        self.client = SimpleNamespace(patch=self.patch)
        self.pod_directory = self.log_directory = lambda *_: directory / "pod"

        def containers(found):
            return [core_v1.Container(name=name, image="i", command=["x"]) for name in found]

        spec = core_v1.PodSpec(containers=containers(names), initContainers=containers(inits), restartPolicy=policy)
        self.found = core_v1.Pod(
            metadata=meta_v1.ObjectMeta(name="p", namespace="d", uid="u"), spec=spec, status=core_v1.PodStatus(phase="Pending")
        )
        self.found.status.conditions = [core_v1.PodCondition(type="PodScheduled", status="True")]
        self.worker = PodWorker(self, "d/p", "u")

    def pod(self, key, uid):
        return self.found

    async def ensure(self, pod, container, event):
        return "i"

    async def handler(self, pod):
        return ""

    async def environment(self, pod, container):
        return {}

    async def find(self, *_):
        return None

    async def token(self, *_):
        return ""

    async def patch(self, cls, name, patch, namespace, *, type, subresource):
        """As a server does: lists with a key are merged, the rest is replaced."""
        tree, changed = to_tree(self.found), dict(patch["status"])
        for field, key in MERGE_KEYS.items():
            if field in changed:
                items = {i[key]: i for i in tree["status"].get(field, [])}
                for item in changed[field]:
                    items[item[key]] = {**items.get(item[key], {}), **item}
                changed[field] = [i for i in items.values() if "$patch" not in i]
        tree["status"] = {k: v for k, v in {**tree["status"], **changed}.items() if v is not None}
        tree["metadata"]["resourceVersion"] = str(int(tree["metadata"].get("resourceVersion", "1")) + 1)
        self.found = from_tree(core_v1.Pod, tree)

    async def look(self, times=3):
        for _ in range(times):
            await self.runtime_state.refresh()
            await self.worker._sync()

    def status(self, name):
        return next(s for s in self.found.status.containerStatuses if s.name == name)


@pytest.fixture
def node(tmp_path):
    def make(policy, names=("a",), inits=()):
        return Node(tmp_path, policy, inits, names)

    return make


async def test_a_pod_that_must_not_restart_does_not_run_twice(node):
    """Its containers ended, and then its sandbox was lost, before anybody looked."""
    never = node("Never", names=("a", "b"))
    await never.look()
    never.runtime.end("a", 0)
    never.runtime.lose("s0")
    await never.look()
    assert never.runtime.created == [("a", 0), ("b", 0)]
    assert set(never.runtime.sandboxes) == {"s0"}
    assert never.found.status.phase == "Failed"
    assert never.status("a").state.terminated.exitCode == 0
    assert never.status("b").state.terminated.exitCode == 137


async def test_what_was_completed_is_not_run_again_in_a_new_sandbox(node):
    on_failure = node("OnFailure", names=("a", "b"))
    await on_failure.look()
    on_failure.runtime.end("a", 0)
    on_failure.runtime.lose("s0")
    await on_failure.look()
    assert on_failure.runtime.created == [("a", 0), ("b", 0), ("b", 1)]
    assert on_failure.status("a").state.terminated.exitCode == 0
    assert on_failure.status("b").restartCount == 1
    on_failure.runtime.lose("s1")
    await asyncio.sleep(0)
    on_failure.worker._containers.backoff.clear()
    await on_failure.look()
    assert on_failure.runtime.created[-1] == ("b", 2)
    assert ("a", 1) not in on_failure.runtime.created


async def test_restarts_are_counted_on_and_init_containers_run_again(node):
    always = node("Always", inits=("first",))
    await always.look(1)
    always.runtime.end("first", 0)
    await always.look()
    always.runtime.lose("s0")
    await always.look()
    assert always.runtime.created == [("first", 0), ("a", 0), ("first", 1)]
    always.runtime.end("first", 0)
    await always.look()
    assert always.runtime.created[-1] == ("a", 1)
    assert always.status("a").restartCount == 1
    assert always.status("a").lastState.terminated.exitCode == 137
    assert set(always.runtime.sandboxes) == {"s0", "s1"}
    for attempt in (1, 2):  # a sandbox that nothing counts any more goes
        always.runtime.lose(f"s{attempt}")
        always.worker._containers.backoff.clear()
        await always.look()
        always.runtime.end("first", 0)
        await always.look()
    assert len(always.runtime.sandboxes) <= 2


async def test_a_pod_that_is_deleted_while_its_image_is_pulled_goes_at_once(node):
    pulled = node("Always")
    pulling, gone = asyncio.Event(), []

    async def ensure(pod, container, event):
        pulling.set()
        await asyncio.sleep(3600)

    async def delete(cls, name, namespace, **_):
        gone.append(name)

    pulled.images.ensure, pulled.client.delete = ensure, delete
    running = asyncio.ensure_future(pulled.worker.run())
    await pulling.wait()
    pulled.worker.poke()  # something else about it: it goes on pulling
    await asyncio.sleep(0.01)
    assert not gone
    pulled.found.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    pulled.found.metadata.deletionGracePeriodSeconds = 0
    pulled.worker.poke()
    async with asyncio.timeout(5):
        await running
    assert gone == ["p"]
    assert pulled.runtime.sandboxes == {}


async def test_a_pod_is_evicted_when_the_node_runs_out_of_memory(node):
    hungry, told = node("Always"), []
    await hungry.look()
    hungry.found.spec.containers[0].resources.requests = {"memory": "1Mi"}
    used = PodUse(sandbox=hungry.runtime.sandboxes["s0"], containers=[])
    calm = SimpleNamespace(pods=[used], machine=SimpleNamespace(memory_available=8 << 30))
    short = SimpleNamespace(pods=[used], machine=SimpleNamespace(memory_available=1 << 20))
    pressure = Pressure(None, lambda: [hungry.found], lambda pod, message: told.append((pod, message)), hungry.clock)
    pressure.look(calm)
    assert not told
    assert not pressure.memory
    pressure.look(short)
    assert pressure.memory
    assert told[0][1].startswith("The node was low on resource: memory. Threshold quantity: 100Mi, available: 1024Ki.")
    hungry.worker.evict(told[0][1])
    await hungry.look()
    assert (hungry.found.status.phase, hungry.found.status.reason) == ("Failed", "Evicted")
    assert get_condition(hungry.found.status.conditions, "DisruptionTarget").reason == "TerminationByKubelet"
    assert hungry.runtime.sandboxes["s0"].state == "NOTREADY"


async def test_a_pod_is_stopped_at_its_deadline_while_it_is_still_pulling(node):
    late = node("Always")
    late.found.spec.activeDeadlineSeconds = 1
    late.found.status.startTime = late.clock.timestamp()

    async def ensure(pod, container, event):
        await asyncio.sleep(3600)

    late.images.ensure = ensure
    running = asyncio.ensure_future(late.worker.run())
    async with asyncio.timeout(5):
        while late.found.status.phase != "Failed":
            await asyncio.sleep(0.02)
    running.cancel()
    assert late.found.status.reason == "DeadlineExceeded"


async def test_what_others_wrote_into_the_status_stays(node):
    gated = node("Always")
    gated.found.spec.readinessGates = [core_v1.PodReadinessGate(conditionType="g")]
    await gated.look()
    assert get_condition(gated.found.status.conditions, "Ready").status == "False"
    stale = copy(gated.found)
    gated.found.status.conditions.append(core_v1.PodCondition(type="g", status="True"))
    gated.pod = lambda key, uid: stale  # the agent has not seen it yet
    gated.runtime.end("a", 1)
    await gated.look(1)
    gated.pod = lambda key, uid: gated.found
    assert get_condition(gated.found.status.conditions, "g").status == "True"
    await gated.look()
    assert get_condition(gated.found.status.conditions, "Ready").status == "True"
