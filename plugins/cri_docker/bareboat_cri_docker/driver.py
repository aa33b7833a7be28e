"""The contract's verbs: each is the engine's, on the host's pool, plus what needs the event loop: waiting and telling.

What comes in: calls of the node agent. What goes out: contract values and errors. Not here: how anything is done (``engine``,
``images``), and the streams (``sessions``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ClassVar, ParamSpec, TypeVar

import msgspec

from bareboat.contracts.cri import (
    Capabilities,
    Container,
    ContainerConfig,
    Credentials,
    Events,
    Image,
    ImageLoading,
    ImageRemoval,
    ImageVolumes,
    Resources,
    RuntimeDriver,
    Sandbox,
    SandboxConfig,
    Stats,
    StatsMixin,
    Update,
    Version,
)
from bareboat.contracts.driver import Health, Host
from bareboat.contracts.errors import SkipPlugin, Unavailable
from bareboat_cri_docker import pause, translate
from bareboat_cri_docker.backend import Docker
from bareboat_cri_docker.engine import Engine
from bareboat_cri_docker.options import DockerOptions
from bareboat_cri_docker.pulls import Pulls
from bareboat_cri_docker.sessions import Sessions
from bareboat_cri_docker.watch import Watch

P = ParamSpec("P")
T = TypeVar("T")
_STATUS_PATIENCE = 4.0
_LOOK = 1.0


class DockerDriver(Sessions, StatsMixin, Events, ImageRemoval, ImageLoading, ImageVolumes, Update, RuntimeDriver):
    """Containers of a Docker daemon on this machine."""

    Options = DockerOptions
    capabilities: ClassVar[Capabilities] = Capabilities()

    engine: Engine

    def __init__(self, options: msgspec.Struct, host: Host) -> None:
        assert isinstance(options, DockerOptions)
        if os.geteuid() != 0:
            raise SkipPlugin("the docker runtime needs root: it enters the pods' network namespaces and reads the daemon's logs")
        if not pause.known_machine():
            raise SkipPlugin("the docker runtime has a pause process for x86_64 and aarch64 only")
        super().__init__(options, host)
        self._options = options
        self._watch: Watch | None = None

    async def open(self) -> None:
        if self._watch is not None:
            return
        docker = Docker(self._options.socket, self._options.timeout)
        self.engine = Engine(self._options, docker, self.host.instance, self.host.state_dir, self.host.log)
        self._pulls = Pulls(self.engine.images, self._options.pull_patience, self.host.log)
        try:
            await self._call(self.engine.open)
        except BaseException:
            self.engine.close()
            raise
        self._watch = Watch(docker, self.engine.inventory.filters("container"), self.host.log)
        await self.host.blocking(self._watch.listening.wait, _STATUS_PATIENCE)

    async def close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            await self.host.blocking(watch.close)
            await self.host.blocking(self.engine.close)

    async def _call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self.host.blocking(call, *args, **kwargs)
        except OSError as error:
            raise translate.failure(error) from error

    async def status(self) -> Health:
        try:
            async with asyncio.timeout(_STATUS_PATIENCE):
                await self._call(self.engine.docker.api_ping)
        except TimeoutError:
            return Health(ready=False, reason="DockerUnavailable", message=f"the Docker daemon did not answer in {_STATUS_PATIENCE:g} s")
        except Unavailable as error:
            return Health(ready=False, reason="DockerUnavailable", message=error.message)
        return Health(ready=True)

    async def version(self) -> Version:
        found = await self._call(lambda: self.engine.docker.api.version())
        return Version(runtime_name="docker", runtime_version=found["Version"])

    async def run_pod_sandbox(self, config: SandboxConfig) -> Sandbox:
        return await self._call(self.engine.run_sandbox, config)

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        await self._call(self.engine.stop_sandbox, sandbox_id)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        await self._call(self.engine.remove_sandbox, sandbox_id)

    async def list_pod_sandbox(self) -> list[Sandbox]:
        return await self._call(self.engine.inventory.sandboxes)

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        return await self._call(self.engine.create, sandbox_id, config)

    async def start_container(self, container_id: str) -> None:
        await self._call(self.engine.start, container_id)

    async def stop_container(self, container_id: str, timeout: float) -> None:
        assert self._watch is not None, "stop before open"
        with self._watch.subscription() as told:
            if timeout > 0:
                running = await self._call(self.engine.signal, container_id)
                if not running or await self._ends(container_id, told, timeout):
                    return
        await self._call(self.engine.kill, container_id)
        await self._call(self.engine.inventory.container, container_id)

    async def _ends(self, container_id: str, told: asyncio.Queue[str], seconds: float) -> bool:
        """Whether it ends within the time. The daemon's events say when to look; without them we look every second."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    container = await self._call(self.engine.inventory.container, container_id)
                    if container is None or container.state != "RUNNING":
                        return True
                    try:
                        async with asyncio.timeout(_LOOK):
                            while await told.get() != container_id:
                                continue
                    except TimeoutError:
                        continue
        except TimeoutError:
            return False

    async def remove_container(self, container_id: str) -> None:
        await self._call(self.engine.remove_container, container_id)

    async def list_containers(self) -> list[Container]:
        return await self._call(self.engine.inventory.containers)

    async def pull_image(self, image: str, credentials: Credentials | None = None) -> str:
        translate.reference(image)
        return await self._pulls.pull(image, credentials)

    async def list_images(self) -> list[Image]:
        return await self._call(self.engine.images.listing)

    async def load_image(self, path: str, tag: str = "") -> list[str]:
        return await self._call(self.engine.images.load, Path(path), tag)

    async def mount_image(self, image: str, path: str) -> None:
        await self._call(self.engine.images.mount, image, path)

    async def remove_image(self, image: str) -> None:
        await self._call(self.engine.images.remove, image)

    async def image_fs_bytes(self) -> int:
        return await self._call(self.engine.images.size)

    async def container_stats(self) -> list[Stats]:
        running = [c.id for c in await self.list_containers() if c.state == "RUNNING"]
        found = await asyncio.gather(*(self._call(self.engine.stats, container_id) for container_id in running))
        return [stats for stats in found if stats is not None]

    async def reopen_container_log(self, container_id: str) -> None:
        await self._call(self.engine.logs.reopen, container_id)

    def events(self) -> AsyncIterator[str]:
        assert self._watch is not None, "events before open"
        return self._watch.events()

    async def update_container_resources(self, container_id: str, resources: Resources) -> None:
        await self._call(self.engine.update, container_id, resources)

    async def cleanup_all(self) -> None:
        """Beyond the contract: remove every sandbox and container of this instance."""
        await self._call(self.engine.remove_everything)

    async def leftovers(self) -> dict[str, int]:
        """Beyond the contract, for tests of leaks: what of this instance exists on the machine, counted."""
        return await self._call(self.engine.leftovers)
