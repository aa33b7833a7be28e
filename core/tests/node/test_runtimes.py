"""Several runtimes on one node: verbs go to the one that has the id, lists are the lists of all, classes choose."""

import pytest

from bareboat.base.clock import SystemClock
from bareboat.contracts import cri
from bareboat.contracts.driver import Health, NoOptions, PluginInfo
from bareboat.contracts.errors import InvalidConfig, Unsupported
from bareboat.models import core_v1, node_v1
from bareboat.node.runtimes import Combined, Handlers, combined
from bareboat.testing.host import FakeHost


class Plain(cri.RuntimeDriver):
    """Keeps sandboxes and containers in memory; what is asked of it is in ``told``."""

    def __init__(self, name, host):
        super().__init__(NoOptions(), host)
        self.info = PluginInfo(name=name, summary="", contract=cri.GROUP)
        self.name, self.sandboxes, self.told = name, {}, []
        self.health = Health(ready=True)

    async def status(self):
        return self.health

    async def version(self):
        return cri.Version(runtime_name=self.name, runtime_version="1")

    async def run_pod_sandbox(self, config):
        found = cri.Sandbox(id=f"{self.name}-{config.uid}", config=config, state="READY", created_at=1)
        self.sandboxes[found.id] = found
        return found

    async def list_pod_sandbox(self):
        return list(self.sandboxes.values())

    async def remove_pod_sandbox(self, sandbox_id):
        self.told.append(("remove", sandbox_id))
        self.sandboxes.pop(sandbox_id, None)

    async def stop_pod_sandbox(self, sandbox_id):
        self.told.append(("stop", sandbox_id))

    async def create_container(self, sandbox_id, config):
        return f"{sandbox_id}-{config.name}"

    async def start_container(self, container_id):
        self.told.append(("start", container_id))

    async def stop_container(self, container_id, timeout):
        self.told.append(("stop", container_id))

    async def remove_container(self, container_id):
        self.told.append(("remove", container_id))

    async def list_containers(self):
        return []

    async def pull_image(self, image, credentials=None):
        return f"{self.name}/{image}"

    async def list_images(self):
        return [cri.Image(id=f"{self.name}-image")]


class Executing(cri.Exec, Plain):
    async def exec_sync(self, container_id, command, timeout):
        return 0, self.name.encode(), b""


@pytest.fixture
def drivers(tmp_path):
    host = FakeHost(tmp_path)
    return {"": Executing("first", host), "other": Plain("second", host)}


def config(handler, uid="u"):
    return cri.SandboxConfig(name="p", namespace="d", uid=uid, runtime_handler=handler)


async def test_one_runtime_stays_itself(drivers):
    assert combined({"": drivers[""], "same": drivers[""]}) is drivers[""]
    assert isinstance(combined(drivers), Combined)


async def test_a_sandbox_and_its_containers_belong_to_the_runtime_of_the_handler(drivers):
    runtime = Combined(drivers)
    sandbox = await runtime.run_pod_sandbox(config("other"))
    container = await runtime.create_container(sandbox.id, cri.ContainerConfig(name="c", image="i"))
    await runtime.start_container(container)
    await runtime.stop_container(container, 1)
    assert container == "second-u-c"
    assert drivers["other"].told == [("start", container), ("stop", container)]
    with pytest.raises(Unsupported, match="second cannot run commands"):
        await runtime.exec_sync(container, ("true",), 1)
    with pytest.raises(InvalidConfig, match='no runtime for "third" is configured'):
        await runtime.run_pod_sandbox(config("third"))


async def test_a_new_agent_learns_from_the_lists_who_has_what(drivers):
    sandbox = await Combined(drivers).run_pod_sandbox(config("other"))
    runtime = Combined(drivers)
    await runtime.run_pod_sandbox(config("", "v"))
    assert {s.id for s in await runtime.list_pod_sandbox()} == {"first-v", "second-u"}
    await runtime.remove_pod_sandbox(sandbox.id)
    assert drivers["other"].told == [("remove", sandbox.id)]
    assert drivers[""].told == []


async def test_images_are_all_listed_and_pulled_by_the_pods_runtime(drivers):
    runtime = Combined(drivers)
    assert {i.id for i in await runtime.list_images()} == {"first-image", "second-image"}
    assert await runtime.pull_image("i") == "first/i"


async def test_one_that_is_not_ready_makes_the_node_not_ready(drivers):
    drivers["other"].health = Health(ready=False, reason="Gone")
    assert (await Combined(drivers).status()).reason == "Gone"


async def test_a_class_names_the_handler_and_one_that_is_not_there_is_told(drivers):
    classes = {name: node_v1.RuntimeClass(handler=handler) for name, handler in (("mine", "other"), ("lost", "third"))}

    async def find(_, name, __):
        return classes.get(name)

    def pod(name):
        return core_v1.Pod(spec=core_v1.PodSpec(runtimeClassName=name))

    handlers = Handlers(drivers, SystemClock(), find)
    await handlers.learn()
    assert await handlers.of_pod(core_v1.Pod(spec=core_v1.PodSpec())) == ""
    assert await handlers.of_pod(pod("mine")) == "other"
    assert (handlers.name("other"), handlers.name(""), handlers.name("gone")) == ("second", "first", "first")
    with pytest.raises(InvalidConfig, match='no runtime for "third" is configured'):
        await handlers.of_pod(pod("lost"))
    with pytest.raises(InvalidConfig, match=r'runtimeclass\.node\.k8s\.io "unknown" not found'):
        await handlers.of_pod(pod("unknown"))
