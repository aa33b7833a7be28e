"""An agent to be killed: opens the driver on a directory and a daemon, starts pods, prints their containers' ids, and goes on."""

import asyncio
import sys
from pathlib import Path

from bareboat.contracts.cri import ContainerConfig, SandboxConfig
from bareboat.testing.host import FakeHost
from bareboat_cri_docker.options import DockerOptions
from bareboat_cri_docker.plugin import DockerRuntime


async def main(directory: Path, socket: str, script: str, count: int) -> None:
    driver = DockerRuntime(DockerOptions(socket=socket), FakeHost(directory))
    await driver.open()
    for number in range(count):
        sandbox = await driver.run_pod_sandbox(SandboxConfig(name=f"p{number}", namespace="d", uid=f"u{number}"))
        log = str(directory / "logs" / f"{number}.log")
        config = ContainerConfig(name="main", image="tests/busybox:1", command=("sh", "-c", script), log_path=log)
        container = await driver.create_container(sandbox.id, config)
        await driver.start_container(container)
        print(container, flush=True)
    await asyncio.sleep(3600)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
