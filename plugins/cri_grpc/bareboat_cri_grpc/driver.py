"""The contract's verbs as calls of a CRI socket.

What comes in: requests of the kernel. What goes out: calls, with the configuration as an annotation, so that the runtime's own lists are
all there is to know. One key is worked on by one call at a time; a cancelled call goes on, and its key is InProgress until it ends.

The pod's network stays the agent's: what it enters is the namespace that the runtime names in its verbose status.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts.cri import (
    Capabilities,
    Container,
    ContainerConfig,
    Credentials,
    Image,
    ImageRemoval,
    LogReopening,
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
from bareboat.contracts.errors import Conflict, DriverError, InProgress, InvalidConfig, NotFound, Unavailable
from bareboat_cri_grpc import codes, listing, translate
from bareboat_cri_grpc.connection import Connection, Failed
from bareboat_cri_grpc.options import CriSocketOptions
from bareboat_cri_grpc.sessions import Sessions

T = TypeVar("T")
_STATUS_PATIENCE = 4.0


class CriClient(Sessions, StatsMixin, ImageRemoval, LogReopening, Update, RuntimeDriver):
    """Containers of a runtime that speaks CRI v1."""

    Options = CriSocketOptions
    capabilities: ClassVar[Capabilities] = Capabilities()
    options: CriSocketOptions

    def __init__(self, options: CriSocketOptions, host: Host) -> None:
        super().__init__(options, host)
        self._connection: Connection | None = None
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._ended: dict[str, Container] = {}

    async def open(self) -> None:
        if self._connection is None:
            self._connection = Connection(self.options.socket, self.options.timeout)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            await connection.close()

    @property
    def socket(self) -> Connection:
        if self._connection is None:
            raise Unavailable("the runtime is closed")
        return self._connection

    async def status(self) -> Health:
        try:
            found = await self.socket.call("Status", _STATUS_PATIENCE)
        except DriverError as error:
            return Health(ready=False, reason="RuntimeUnavailable", message=error.message)
        for condition in found.status.conditions:
            if not condition.status:
                return Health(ready=False, reason=condition.reason or condition.type, message=condition.message)
        return Health(ready=True)

    async def version(self) -> Version:
        found = await self.socket.call("Version", version="v1")
        return Version(runtime_name=found.runtime_name, runtime_version=found.runtime_version)

    async def run_pod_sandbox(self, config: SandboxConfig) -> Sandbox:
        return await self._alone(f"sandbox {config.uid}/{config.attempt}", self._run_sandbox(config))

    async def _run_sandbox(self, config: SandboxConfig) -> Sandbox:
        for known in await self._sandboxes({translate.UID: config.uid, translate.ATTEMPT: str(config.attempt)}):
            if known.config != config:
                raise Conflict(f"sandbox {config.uid}/{config.attempt} exists with another configuration")
            return known
        message = translate.sandbox(config, self.host.instance)
        made = await self.socket.call("RunPodSandbox", config=message, runtime_handler=config.runtime_handler)
        found = await self.socket.call("PodSandboxStatus", pod_sandbox_id=made.pod_sandbox_id, verbose=True)
        return listing.sandbox(found.status, found.info)

    async def _sandboxes(self, labels: dict[str, str]) -> list[Sandbox]:
        wanted = pb.PodSandboxFilter(label_selector={translate.INSTANCE: self.host.instance, **labels})
        items = (await self.socket.call("ListPodSandbox", filter=wanted)).items
        found = await asyncio.gather(*(self._sandbox(i.id) for i in items))
        return [s for s in found if s is not None]

    async def _sandbox(self, sandbox_id: str) -> Sandbox | None:
        try:
            found = await self.socket.call("PodSandboxStatus", pod_sandbox_id=sandbox_id, verbose=True)
        except NotFound:
            return None
        return listing.sandbox(found.status, found.info) if translate.CONFIG in found.status.annotations else None

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        await self._without_complaint("StopPodSandbox", pod_sandbox_id=sandbox_id)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        await self._without_complaint("StopPodSandbox", pod_sandbox_id=sandbox_id)
        await self._without_complaint("RemovePodSandbox", pod_sandbox_id=sandbox_id)

    async def list_pod_sandbox(self) -> list[Sandbox]:
        return await self._sandboxes({})

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        return await self._alone(f"container {sandbox_id}/{config.name}/{config.attempt}", self._create(sandbox_id, config))

    async def _create(self, sandbox_id: str, config: ContainerConfig) -> str:
        found = await self._sandbox(sandbox_id)
        if found is None:
            raise NotFound(f"sandbox {sandbox_id} is unknown")
        key = {translate.NAME: config.name, translate.ATTEMPT: str(config.attempt), translate.SANDBOX: sandbox_id[:63]}
        for known in await self._containers(key):
            if known.config != config:
                raise Conflict(f"container {config.name}/{config.attempt} exists with another configuration")
            return known.id
        message = translate.container(config, found.config, sandbox_id, self.host.instance)
        of = translate.sandbox(found.config, self.host.instance)
        made = await self.socket.call("CreateContainer", pod_sandbox_id=sandbox_id, config=message, sandbox_config=of)
        return str(made.container_id)

    async def start_container(self, container_id: str) -> None:
        await self._alone(f"start {container_id}", self._start(container_id))

    async def _start(self, container_id: str) -> None:
        if await self._state(container_id) == pb.CONTAINER_RUNNING:
            return
        try:
            await self.socket.call("StartContainer", container_id=container_id)
        except (NotFound, Unavailable, InvalidConfig):
            raise
        except DriverError as error:
            raise InvalidConfig(error.message, reason="StartError") from error

    async def _state(self, container_id: str) -> int:
        """Raises NotFound."""
        return int((await self.socket.call("ContainerStatus", container_id=container_id)).status.state)

    async def stop_container(self, container_id: str, timeout: float) -> None:
        seconds = math.ceil(timeout)
        await self._without_complaint("StopContainer", self.options.timeout + seconds, container_id=container_id, timeout=seconds)

    async def remove_container(self, container_id: str) -> None:
        await self._without_complaint("RemoveContainer", container_id=container_id)
        self._ended.pop(container_id, None)

    async def list_containers(self) -> list[Container]:
        found = await self._containers({})
        self._ended = {c.id: c for c in found if c.state == "EXITED"}
        return found

    async def _containers(self, labels: dict[str, str]) -> list[Container]:
        wanted = pb.ContainerFilter(label_selector={translate.INSTANCE: self.host.instance, **labels})
        items = (await self.socket.call("ListContainers", filter=wanted)).containers
        found = await asyncio.gather(*(self._container(i.id, i.pod_sandbox_id) for i in items))
        return [c for c in found if c is not None]

    async def _container(self, container_id: str, sandbox_id: str) -> Container | None:
        """What has ended stays as it is."""
        if container_id in self._ended:
            return self._ended[container_id]
        try:
            found = await self.socket.call("ContainerStatus", container_id=container_id, verbose=True)
        except NotFound:
            return None
        return listing.container(sandbox_id, found.status, found.info) if translate.CONFIG in found.status.annotations else None

    async def pull_image(self, image: str, credentials: Credentials | None = None) -> str:
        codes.well_formed(image)
        auth = None
        if credentials is not None:
            auth = pb.AuthConfig(username=credentials.username, password=credentials.password, registry_token=credentials.registry_token)
        spec = pb.ImageSpec(image=image)
        try:
            return str((await self.socket.raw("PullImage", self.options.pullTimeout, image=spec, auth=auth)).image_ref)
        except Failed as failed:
            reason = failed.error.reason if failed.error.reason in ("InvalidImageName", "ErrImagePull") else "ErrImagePull"
            message = failed.error.message
            raise NotFound(message if image in message else f"failed to pull {image}: {message}", reason=reason) from failed

    async def list_images(self) -> list[Image]:
        return [listing.image(i) for i in (await self.socket.call("ListImages")).images]

    async def remove_image(self, image: str) -> None:
        await self._without_complaint("RemoveImage", image=pb.ImageSpec(image=image))

    async def image_fs_bytes(self) -> int:
        return sum(f.used_bytes.value for f in (await self.socket.call("ImageFsInfo")).image_filesystems)

    async def container_stats(self) -> list[Stats]:
        wanted = pb.ContainerStatsFilter(label_selector={translate.INSTANCE: self.host.instance})
        found = (await self.socket.call("ListContainerStats", filter=wanted)).stats
        return [listing.stats(s) for s in found if s.HasField("cpu")]

    async def reopen_container_log(self, container_id: str) -> None:
        try:
            if await self._state(container_id) == pb.CONTAINER_RUNNING:
                await self.socket.call("ReopenContainerLog", container_id=container_id)
        except NotFound:
            return

    async def update_container_resources(self, container_id: str, resources: Resources) -> None:
        await self.socket.call("UpdateContainerResources", container_id=container_id, linux=translate.resources(resources))

    async def _without_complaint(self, verb: str, within: float | None = None, **fields: Any) -> None:
        """What is unknown is gone already."""
        try:
            await self.socket.call(verb, within, **fields)
        except NotFound:
            return

    async def _alone(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        if name in self._running:
            work.close()
            raise InProgress(f"another call on {name} is running")
        task = asyncio.get_running_loop().create_task(work, name=f"cri-{name}")
        self._running[name] = task
        task.add_done_callback(lambda _: self._running.pop(name, None))
        return await asyncio.shield(task)
