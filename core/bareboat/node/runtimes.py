"""Several runtimes side by side on one node: which of them a pod runs on, and all of them as if they were one.

What comes in: drivers by RuntimeClass handler, "" the default. What goes out: a pod's handler (``Handlers``), and a driver whose lists are
the lists of all, and whose other verbs go to the one that has the id (``Combined``). A sandbox says itself by which handler it was made,
so nothing has to be remembered over restarts. Not here: the verbs that only some runtimes have (they are refused where they are missing).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from bareboat.base.clock import Clock
from bareboat.contracts import cri
from bareboat.contracts.driver import Health, NoOptions
from bareboat.contracts.errors import DriverError, InvalidConfig, Unsupported
from bareboat.models import core_v1, node_v1
from bareboat.node.images import Images

M = TypeVar("M")
Find = Callable[[type[Any], str, str], Awaitable[Any]]


class Handlers:
    """What differs by handler. ``learn`` once before ``name``."""

    def __init__(self, runtimes: Mapping[str, cri.RuntimeDriver], clock: Clock, find: Find) -> None:
        self._runtimes = runtimes
        self._find = find
        self._images = {handler: Images(runtime, clock, find) for handler, runtime in runtimes.items()}
        self._names: dict[str, str] = {}

    async def learn(self) -> None:
        self._names = {handler: (await runtime.version()).runtime_name for handler, runtime in self._runtimes.items()}

    def images(self, handler: str) -> Images:
        return self._images.get(handler) or self._images[""]

    def name(self, handler: str) -> str:
        """As in container ids."""
        return self._names.get(handler) or self._names.get("", "unknown")

    async def of_pod(self, pod: core_v1.Pod) -> str:
        """Raises InvalidConfig if the pod asks for a class that does not exist, or for a handler that this node does not have."""
        wanted = pod.spec.runtimeClassName
        if not wanted:
            return ""
        found = await self._find(node_v1.RuntimeClass, wanted, "")
        if found is None:
            raise InvalidConfig(f'runtimeclass.node.k8s.io "{wanted}" not found', reason="FailedCreatePodSandBox")
        if found.handler not in self._runtimes:
            message = f'failed to get sandbox runtime: no runtime for "{found.handler}" is configured'
            raise InvalidConfig(message, reason="FailedCreatePodSandBox")
        return str(found.handler)


def combined(runtimes: Mapping[str, cri.RuntimeDriver]) -> cri.RuntimeDriver:
    """The one that there is, or all of them as one."""
    return Combined(runtimes) if len(set(map(id, runtimes.values()))) > 1 else runtimes[""]


class Combined(
    cri.Exec,
    cri.Attach,
    cri.PortForward,
    cri.StatsMixin,
    cri.Events,
    cri.ImageRemoval,
    cri.ImageLoading,
    cri.ImageVolumes,
    cri.LogReopening,
    cri.Update,
    cri.RuntimeDriver,
):
    """Opened and closed by who opened the drivers."""

    def __init__(self, runtimes: Mapping[str, cri.RuntimeDriver]) -> None:
        default = runtimes[""]
        super().__init__(NoOptions(), default.host)
        self._runtimes = runtimes
        self._default = default
        self._all = list({id(r): r for r in runtimes.values()}.values())
        self._owners: dict[str, cri.RuntimeDriver] = {}
        self.capabilities = default.capabilities  # type: ignore[misc]

    async def status(self) -> Health:
        found = await asyncio.gather(*(runtime.status() for runtime in self._all))
        return next((health for health in found if not health.ready), found[0])

    async def version(self) -> cri.Version:
        return await self._default.version()

    # ── sandboxes and containers: by who has them ────────────────────────────────────────────────────────────────────

    def _owner(self, some_id: str) -> cri.RuntimeDriver:
        """Of something unknown: the default, which knows what to answer."""
        return self._owners.get(some_id, self._default)

    def _owner_as(self, some_id: str, mixin: type[M], what: str) -> M:
        owner = self._owner(some_id)
        if not isinstance(owner, mixin):
            raise Unsupported(f"the runtime {owner.info.name} cannot {what}")
        return owner

    async def run_pod_sandbox(self, config: cri.SandboxConfig) -> cri.Sandbox:
        runtime = self._runtimes.get(config.runtime_handler)
        if runtime is None:
            raise InvalidConfig(f'no runtime for "{config.runtime_handler}" is configured', reason="FailedCreatePodSandBox")
        sandbox = await runtime.run_pod_sandbox(config)
        self._owners[sandbox.id] = runtime
        return sandbox

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        await self._owner(sandbox_id).stop_pod_sandbox(sandbox_id)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        await self._owner(sandbox_id).remove_pod_sandbox(sandbox_id)
        self._owners.pop(sandbox_id, None)

    async def list_pod_sandbox(self) -> list[cri.Sandbox]:
        found = []
        for runtime in self._all:
            found += self._owned(runtime, await runtime.list_pod_sandbox())
        return found

    async def create_container(self, sandbox_id: str, config: cri.ContainerConfig) -> str:
        runtime = self._owner(sandbox_id)
        container_id = await runtime.create_container(sandbox_id, config)
        self._owners[container_id] = runtime
        return container_id

    async def start_container(self, container_id: str) -> None:
        await self._owner(container_id).start_container(container_id)

    async def stop_container(self, container_id: str, timeout: float) -> None:
        await self._owner(container_id).stop_container(container_id, timeout)

    async def remove_container(self, container_id: str) -> None:
        await self._owner(container_id).remove_container(container_id)
        self._owners.pop(container_id, None)

    async def list_containers(self) -> list[cri.Container]:
        found = []
        for runtime in self._all:
            found += self._owned(runtime, await runtime.list_containers())
        return found

    def _owned(self, runtime: cri.RuntimeDriver, found: Iterable[Any]) -> list[Any]:
        listed = list(found)
        self._owners |= {each.id: runtime for each in listed}
        return listed

    async def exec(self, container_id: str, command: tuple[str, ...], *, tty: bool = False, stdin: bool = False) -> cri.Streams:
        runtime = self._owner_as(container_id, cri.Exec, "run commands in containers")
        return await runtime.exec(container_id, command, tty=tty, stdin=stdin)

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> tuple[int, bytes, bytes]:
        return await self._owner_as(container_id, cri.Exec, "run commands in containers").exec_sync(container_id, command, timeout)

    async def attach(self, container_id: str) -> cri.Streams:
        return await self._owner_as(container_id, cri.Attach, "attach").attach(container_id)

    async def port_forward(self, sandbox_id: str, port: int) -> cri.Streams:
        return await self._owner_as(sandbox_id, cri.PortForward, "forward ports").port_forward(sandbox_id, port)

    async def reopen_container_log(self, container_id: str) -> None:
        await self._owner_as(container_id, cri.LogReopening, "reopen logs").reopen_container_log(container_id)

    async def update_container_resources(self, container_id: str, resources: cri.Resources) -> None:
        await self._owner_as(container_id, cri.Update, "change resources").update_container_resources(container_id, resources)

    # ── of all together ──────────────────────────────────────────────────────────────────────────────────────────────

    async def container_stats(self) -> list[cri.Stats]:
        return [stats for runtime in self._all if isinstance(runtime, cri.StatsMixin) for stats in await runtime.container_stats()]

    async def events(self) -> AsyncIterator[str]:
        """One that breaks off is missed until the node listens again; it lists every second anyway."""
        told: asyncio.Queue[str | DriverError] = asyncio.Queue()

        async def listen(runtime: cri.Events) -> None:
            try:
                async for container_id in runtime.events():
                    told.put_nowait(container_id)
            except DriverError as error:
                told.put_nowait(error)

        listening = [asyncio.ensure_future(listen(runtime)) for runtime in self._all if isinstance(runtime, cri.Events)]
        try:
            while True:
                found = await told.get()
                if isinstance(found, DriverError):
                    raise found
                yield found
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)

    async def pull_image(self, image: str, credentials: cri.Credentials | None = None) -> str:
        return await self._default.pull_image(image, credentials)

    async def list_images(self) -> list[cri.Image]:
        return [image for runtime in self._all for image in await runtime.list_images()]

    async def load_image(self, path: str, tag: str = "") -> list[str]:
        if not isinstance(self._default, cri.ImageLoading):
            raise Unsupported("the node's default runtime does not load images from files")
        return await self._default.load_image(path, tag)

    async def mount_image(self, image: str, path: str) -> None:
        if not isinstance(self._default, cri.ImageVolumes):
            raise Unsupported("the node's default runtime does not offer images as volumes")
        await self._default.mount_image(image, path)

    async def remove_image(self, image: str) -> None:
        for runtime in self._all:
            if isinstance(runtime, cri.ImageRemoval):
                await runtime.remove_image(image)

    async def image_fs_bytes(self) -> int:
        return sum([await runtime.image_fs_bytes() for runtime in self._all if isinstance(runtime, cri.ImageRemoval)])
