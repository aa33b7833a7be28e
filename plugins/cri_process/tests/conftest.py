"""A process runtime over a temporary directory, that leaves nothing behind, and shorthand for one pod with one container."""

import asyncio
import os
from pathlib import Path

import pytest

from bareboat.contracts.cri import ContainerConfig, SandboxConfig
from bareboat.testing.cri_suite_features import log_entries
from bareboat.testing.host import FakeHost
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.plugin import ProcessRuntime


class Pods:
    """One driver and what it runs."""

    def __init__(self, directory, **options):
        self.directory = directory
        self.host = FakeHost(directory)
        self.driver = ProcessRuntime(ProcessOptions(**options), self.host)

    async def sandbox(self, name="pod", **fields):
        return await self.driver.run_pod_sandbox(SandboxConfig(name=name, namespace="default", uid=f"uid-{name}", **fields))

    async def run(self, script, *, sandbox=None, name="main", **fields):
        """Start ``sh -c script`` and return the container's id."""
        sandbox = sandbox or await self.sandbox()
        config = ContainerConfig(**{"name": name, "image": "host", "command": ("sh", "-c", script), "log_path": self.log(name)} | fields)
        container = await self.driver.create_container(sandbox.id, config)
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
async def pods(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("the process runtime needs root")
    pods = Pods(tmp_path)
    await pods.driver.open()
    yield pods
    await pods.driver.cleanup_all()
    assert set((await pods.driver.leftovers()).values()) == {0}
    await pods.driver.close()
