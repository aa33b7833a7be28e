"""A process to be killed: opens the driver on a directory and pulls an image."""

import asyncio
import sys
from pathlib import Path

from bareboat.testing.host import FakeHost
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.plugin import ProcessRuntime


async def main(directory: Path, image: str) -> None:
    driver = ProcessRuntime(ProcessOptions(), FakeHost(directory))
    await driver.open()
    print("pulling", flush=True)
    print(await driver.pull_image(image), flush=True)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
