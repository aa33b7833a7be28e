"""An agent to be killed: opens the driver on a directory, starts one pod, prints its ids, and goes on to start more until it is killed."""

import asyncio
import sys
from pathlib import Path

from bareboat.contracts.cri import ContainerConfig, SandboxConfig
from bareboat.testing.host import FakeHost
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.plugin import ProcessRuntime


async def main(directory: Path, script: str, count: int) -> None:
    driver = ProcessRuntime(ProcessOptions(), FakeHost(directory))
    await driver.open()
    for number in range(count):
        sandbox = await driver.run_pod_sandbox(SandboxConfig(name=f"p{number}", namespace="d", uid=f"u{number}"))
        log = str(directory / "logs" / f"{number}.log")
        config = ContainerConfig(name="main", image="host", command=("sh", "-c", script), log_path=log)
        container = await driver.create_container(sandbox.id, config)
        await driver.start_container(container)
        print(container, flush=True)
    await asyncio.sleep(3600)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
