"""One Docker daemon and one registry for the session; a driver over them that leaves nothing behind; shorthand for pods."""

import asyncio
import os
from pathlib import Path

import pytest

from bareboat.contracts.cri import ContainerConfig, SandboxConfig
from bareboat.testing.cri_suite_features import log_entries
from bareboat.testing.host import FakeHost
from bareboat_cri_docker import testing
from bareboat_cri_docker.options import DockerOptions
from bareboat_cri_docker.plugin import DockerRuntime


def need_docker():
    if os.geteuid() != 0:
        pytest.skip("the docker runtime needs root")
    if testing.missing():
        pytest.skip(f"the docker runtime's tests need {testing.missing()}")


@pytest.fixture(scope="session")
def dockerd(tmp_path_factory):
    need_docker()
    dockerd = testing.Dockerd(tmp_path_factory.mktemp("dockerd"))
    dockerd.start()
    try:
        dockerd.build("tests/busybox:1")
        dockerd.build("tests/other:1", {"other": b"other"})
        yield dockerd
    finally:
        dockerd.remove()


@pytest.fixture(scope="session")
def registry(dockerd, tmp_path_factory):
    registry = testing.Registry(tmp_path_factory.mktemp("registry"))
    for name in ("tests/busybox:1", "tests/other:1"):
        registry.push(dockerd, name)
    yield registry
    registry.stop()


class Pods:
    """One driver and what it runs."""

    image = "tests/busybox:1"

    def __init__(self, directory, dockerd, **options):
        self.directory, self.dockerd = directory, dockerd
        self.host = FakeHost(directory)
        self.options = DockerOptions(socket=dockerd.socket, **options)
        self.driver = DockerRuntime(self.options, self.host)

    async def restart(self):
        await self.driver.close()
        self.driver = DockerRuntime(self.options, FakeHost(self.directory))
        await self.driver.open()

    async def sandbox(self, name="pod", **fields):
        return await self.driver.run_pod_sandbox(SandboxConfig(name=name, namespace="default", uid=f"uid-{name}", **fields))

    async def create(self, script, *, sandbox=None, name="main", **fields):
        sandbox = sandbox or await self.sandbox()
        config = {"name": name, "image": self.image, "command": ("sh", "-c", script), "log_path": self.log(name)} | fields
        return await self.driver.create_container(sandbox.id, ContainerConfig(**config))

    async def run(self, script, **fields):
        """Start ``sh -c script`` and return the container's id."""
        container = await self.create(script, **fields)
        await self.driver.start_container(container)
        return container

    def log(self, name="main"):
        return str(self.directory / "logs" / f"{name}.log")

    def entries(self, name="main"):
        return log_entries(Path(self.log(name)))

    def text(self, name="main"):
        return b"\n".join(text for _, _, text in self.entries(name)).decode()

    async def container(self, container_id):
        return next(c for c in await self.driver.list_containers() if c.id == container_id)

    async def ended(self, container_id, seconds=20):
        async with asyncio.timeout(seconds):
            while (container := await self.container(container_id)).state != "EXITED":
                await asyncio.sleep(0.01)
        return container

    async def output(self, script, **fields):
        """What ``sh -c script`` prints, both streams, in a container of its own."""
        container = await self.ended(await self.run(script, **fields))
        return self.text(fields.get("name", "main")), container.exit_code

    async def exec(self, container, script):
        return await self.driver.exec_sync(container, ("sh", "-c", script), 10)


@pytest.fixture
def pod_options():
    """Options of the driver under test; tests override it by a parameter of this name."""
    return {}


@pytest.fixture
async def pods(tmp_path, dockerd, pod_options):
    pods = Pods(tmp_path, dockerd, **pod_options)
    await pods.driver.open()
    yield pods
    await pods.driver.cleanup_all()
    assert set((await pods.driver.leftovers()).values()) == {0}
    await pods.driver.close()
