"""The contract's verbs: each is the engine's, on the host's pool, plus what needs the event loop: waiting and telling.

What comes in: calls of the node agent. What goes out: contract values and errors. Not here: how anything is done (``engine``), and the
streams (``sessions``).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
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
    Progress,
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
from bareboat.contracts.errors import Conflict, InvalidConfig, SkipPlugin
from bareboat.contracts.layers import REASON, mount_layers, mounted
from bareboat_cri_process import archives, monitors, translate
from bareboat_cri_process.engine import Engine
from bareboat_cri_process.layout import Layout
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.pull import Puller
from bareboat_cri_process.sessions import Sessions
from bareboat_cri_process.syscalls import MACHINE, NUMBERS
from bareboat_cri_process.watch import Watch, readable

P = ParamSpec("P")
T = TypeVar("T")


class ProcessDriver(Sessions, StatsMixin, Events, ImageRemoval, ImageLoading, ImageVolumes, Update, RuntimeDriver):
    """Containers as processes of this machine."""

    Options = ProcessOptions
    capabilities: ClassVar[Capabilities] = Capabilities()

    engine: Engine

    def __init__(self, options: msgspec.Struct, host: Host) -> None:
        assert isinstance(options, ProcessOptions)
        if os.geteuid() != 0:
            raise SkipPlugin("the process runtime needs root: namespaces, mounts and cgroups are made for every pod")
        if MACHINE not in NUMBERS:
            raise SkipPlugin(f"the process runtime knows x86_64 and aarch64, not {MACHINE}")
        if _kernel() < (5, 12):
            raise SkipPlugin(f"the process runtime needs Linux 5.12 or newer, this is {os.uname().release}")
        super().__init__(options, host)
        self._watch: Watch | None = None
        self._puller: Puller | None = None

    async def open(self) -> None:
        if self._watch is not None:
            return
        assert isinstance(self.options, ProcessOptions)
        directory = Path(self.options.root_dir) if self.options.root_dir else self.host.state_dir
        layout = Layout(directory, self.host.instance)
        self.engine = await self.host.blocking(Engine, self.options, self.host.instance, layout, self.host.log)
        self._puller = Puller(self.engine.images, self.options, self.host)
        self._watch = Watch()
        for record in self.engine.records:
            self._watch.add(record.id, monitors.monitor_fd(self.engine.records.path(record.id)))

    async def close(self) -> None:
        if self._puller is not None:
            await self._puller.close()
            self._puller = None
        if self._watch is not None:
            self._watch.close()
            self._watch = None
            self.engine.close()

    async def _call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self.host.blocking(call, *args, **kwargs)
        except OSError as error:
            raise translate.machine_failure(error) from error

    async def status(self) -> Health:
        monitors.reap()
        if not self.engine.cgroups.mounts:
            return Health(ready=True, reason="NoCgroups", message="no cgroup controllers are mounted: limits have no effect")
        return Health(ready=True)

    async def version(self) -> Version:
        return Version(runtime_name="process", runtime_version=version("bareboat-cri-process"))

    async def run_pod_sandbox(self, config: SandboxConfig) -> Sandbox:
        return await self._call(self.engine.run_sandbox, config)

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        await self._call(self.engine.stop_sandbox, sandbox_id)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        await self._call(self.engine.remove_sandbox, sandbox_id)

    async def list_pod_sandbox(self) -> list[Sandbox]:
        return await self._call(self.engine.list_sandboxes)

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        return await self._call(self.engine.create, sandbox_id, config)

    async def start_container(self, container_id: str) -> None:
        started = await self._call(self.engine.start, container_id)
        if self._watch is not None and started:
            self._watch.tell(container_id)
            self._watch.add(container_id, monitors.monitor_fd(self.engine.records.path(container_id)))

    async def stop_container(self, container_id: str, timeout: float) -> None:
        record = self.engine.records.get(container_id)
        if record is None:
            return
        directory = self.engine.records.path(container_id)
        fd = monitors.monitor_fd(directory)
        if fd < 0:
            return
        try:
            if timeout > 0:
                monitors.signal_main(directory, record.stop_signal)
                if await readable(fd, timeout):
                    return
            monitors.signal_main(directory, signal.SIGKILL)
            await self._call(self.engine.kill, record)
        finally:
            os.close(fd)

    async def remove_container(self, container_id: str) -> None:
        await self._call(self.engine.remove_container, container_id)

    async def list_containers(self) -> list[Container]:
        return await self._call(self.engine.list_containers)

    async def pull_image(self, image: str, credentials: Credentials | None = None) -> str:
        if await self._call(self.engine.images.is_host, image):
            return image
        assert self._puller is not None, "pull_image before open"
        return (await self._puller.pull(image, credentials)).id

    def pull_progress(self) -> dict[str, Progress]:
        """Beyond the contract: what is being pulled now."""
        return dict(self._puller.progress) if self._puller is not None else {}

    async def list_images(self) -> list[Image]:
        return await self._call(self.engine.images.listing)

    async def load_image(self, path: str, tag: str = "") -> list[str]:
        return [image.id for image in await self._call(archives.load, self.engine.images, Path(path), tag)]

    async def mount_image(self, image: str, path: str) -> None:
        await self._call(self._mount_image, image, path)

    def _mount_image(self, image: str, path: str) -> None:
        found = self.engine.images.get(image)
        layers = self.engine.images.roots(found)
        if layers == (Path("/"),):
            raise InvalidConfig("the image of this machine's own file system is no volume", reason=REASON)
        mount_layers(layers, found.id, path)

    async def remove_image(self, image: str) -> None:
        found = self.engine.images.find(image)
        if found is None:
            return
        if any(record.image_id == found.id for record in self.engine.records) and found.id != "host":
            raise Conflict(f"image {image} is used by a container", reason="ImageInUse")
        if await self._call(mounted, found.id):
            raise Conflict(f"image {image} is used as a volume", reason="ImageInUse")
        await self._call(self.engine.images.remove, image)

    async def image_fs_bytes(self) -> int:
        return await self._call(self.engine.images.size)

    async def container_stats(self) -> list[Stats]:
        return await self._call(self._stats)

    def _stats(self) -> list[Stats]:
        stats = []
        for container in self.engine.list_containers():
            if container.state == "RUNNING":
                use = self.engine.cgroups.usage(f"{container.sandbox_id}/{container.id}")
                numbers = {"cpu_nanos": use.cpu_nanos, "memory_working_set": use.working_set, "memory_usage": use.memory, "pids": use.pids}
                stats.append(Stats(id=container.id, timestamp=time.time_ns(), **numbers))
        return stats

    def events(self) -> AsyncIterator[str]:
        assert self._watch is not None, "events before open"
        return self._watch.events()

    async def update_container_resources(self, container_id: str, resources: Resources) -> None:
        await self._call(self.engine.update, container_id, resources)

    async def cleanup_all(self) -> None:
        """Beyond the contract, for ``bareboat down``: remove every sandbox of this instance and every trace on the machine."""
        await self._call(self.engine.remove_everything)

    async def leftovers(self) -> dict[str, int]:
        """Beyond the contract, for tests of leaks: what of this instance exists on the machine, counted."""
        return await self._call(self.engine.leftovers)


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()))
