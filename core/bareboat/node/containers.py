"""A pod's containers brought up: ephemeral ones, init containers one after the other, then the rest; restarts with back-off.

What comes in: the pod, whose sandbox is ready. What goes out: calls of the runtime, and for every container why it waits if it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bareboat.base.clock import Clock
from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.models.codec import copy
from bareboat.node import hooks, restarts, status, translation
from bareboat.node.environment import ConfigError
from bareboat.node.images import ImageFailure
from bareboat.node.interruption import whole
from bareboat.node.monitoring import Monitors
from bareboat.node.pod_files import PodFiles
from bareboat.node.pod_state import PodState, plain_inits
from bareboat.node.resizing import Resizing
from bareboat.node.sandboxing import Observe
from bareboat.node.status import Observed
from bareboat.node.volumes import Volumes

if TYPE_CHECKING:
    from bareboat.node.services import NodeServices

FIRST_BACKOFF, LONGEST_BACKOFF, RESET_AFTER = 10.0, 300.0, 600.0
RESYNC = 60.0
RETRY = 2.0


class Backoff:
    """Of one pod's containers: at once the first time, then 10 s doubling to 5 min, forgotten after a run of 10 min."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, float]] = {}

    def clear(self) -> None:
        self._known.clear()

    def left(self, name: str, last: cri.Container) -> tuple[float, float]:
        """The delay, and how much of it is left."""
        delay, ended = self._known.get(name, (0.0, 0.0))
        finished = last.finished_at / 1e9
        if finished != ended:
            ran = (last.finished_at - last.started_at) / 1e9
            fresh = ran > RESET_AFTER or name not in self._known
            delay = 0.0 if fresh else min(LONGEST_BACKOFF, max(FIRST_BACKOFF, delay * 2))
            self._known[name] = (delay, finished)
        return delay, finished + delay - self._clock.now().timestamp()


class Containers:
    """Of one pod. Every verb returns the seconds until the next look."""

    def __init__(
        self, node: NodeServices, state: PodState, files: PodFiles, volumes: Volumes, monitors: Monitors, observe: Observe
    ) -> None:
        self._node = node
        self._state = state
        self._files = files
        self._volumes = volumes
        self._monitors = monitors
        self._observe = observe
        self.backoff = Backoff(node.clock)
        self.resizing = Resizing(node, state)

    async def bring_up(self, pod: core_v1.Pod) -> float:
        wait = RESYNC
        for extra in pod.spec.ephemeralContainers:
            current = self._state.current(extra.name)
            if current is None or current.state == "CREATED":
                wait = min(wait, await self._start(pod, as_container(extra), 0, target=extra.targetContainerName))
        for container in pod.spec.initContainers:
            finished, delay = await self._init(pod, container)
            wait = min(wait, delay)
            if not finished:
                return wait
        for container in pod.spec.containers:
            wait = min(wait, await self._container(pod, container))
        return wait

    async def _init(self, pod: core_v1.Pod, container: core_v1.Container) -> tuple[bool, float]:
        """Whether the next container's turn has come, and when to look again."""
        if status.is_sidecar(container):
            wait = await self._container(pod, container)
            return self._state.of(container.name).started or self._has_begun(pod), min(wait, 1.0)
        current = self._state.current(container.name)
        assert self._state.sandbox is not None
        if current is None or current.state == "CREATED":
            return False, await self._start(pod, container, current.config.attempt if current else 0)
        if current.state == "EXITED" and current.sandbox_id != self._state.sandbox.id:  # what it prepared is gone
            return False, await self._start(pod, container, current.config.attempt + 1)
        if current.state != "EXITED":
            return False, RESYNC
        self._read_message(container, current)
        if current.exit_code == 0:
            return True, RESYNC
        if not restarts.restarts_init(pod, container, current.exit_code):
            return False, RESYNC
        return False, await self._restart(pod, container, current)

    def _has_begun(self, pod: core_v1.Pod) -> bool:
        """Whether the turn of the pod's own containers has come already in this sandbox."""
        newest, sandbox = self._state.newest(), self._state.sandbox
        return any(c.name in newest and sandbox is not None and newest[c.name].sandbox_id == sandbox.id for c in pod.spec.containers)

    async def _container(self, pod: core_v1.Pod, container: core_v1.Container) -> float:
        """Start, restart or leave alone."""
        seen, current = self._state.of(container.name), self._state.current(container.name)
        if current is None or current.state == "CREATED":
            return await self._start(pod, container, current.config.attempt if current else 0)
        if current.state == "RUNNING":
            return await self._running(pod, container, current, seen)
        self._read_message(container, current)
        if not restarts.is_due(pod, container, current):
            seen.waiting_reason = seen.waiting_message = ""
            return RESYNC
        return await self._restart(pod, container, current)

    async def _running(self, pod: core_v1.Pod, container: core_v1.Container, current: cri.Container, seen: Observed) -> float:
        seen.waiting_reason = seen.waiting_message = ""
        changed = translation.image_of(current.config) not in ("", container.image)
        if changed or await self.resizing.apply(pod, container, current):
            why = "definition changed" if changed else "resize requires restart"
            self._event(pod, "Normal", "Killing", f"Container {container.name} {why}, will be restarted")
            await self._node.runtime.stop_container(current.id, translation.grace_of(pod))
            await self._node.runtime_state.refresh()
            await self._observe(pod)
            return await self._start(pod, container, current.config.attempt + 1)
        self._monitors.watch(pod, container, current, seen, self._state.address)
        return RESYNC

    async def _restart(self, pod: core_v1.Pod, container: core_v1.Container, last: cri.Container) -> float:
        """Start the next attempt when its back-off is over."""
        delay, left = self.backoff.left(container.name, last)
        if left > 0:
            seen, name = self._state.of(container.name), container.name
            where = f"{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"
            seen.waiting_reason = "CrashLoopBackOff"
            seen.waiting_message = f"back-off {_go_seconds(delay)} restarting failed container={name} pod={where}"
            self._event(pod, "Warning", "BackOff", f"Back-off restarting failed container {name} in pod {where}")
            return left
        return await self._start(pod, container, last.config.attempt + 1)

    async def _start(self, pod: core_v1.Pod, container: core_v1.Container, attempt: int, target: str = "") -> float:
        """Pull, create and start; what goes wrong becomes the container's waiting reason."""
        seen = self._state.of(container.name)
        try:
            image = await self._node.handlers.images(self._state.handler()).ensure(pod, container, self._event)
            config = await self._config(pod, container, image, attempt, target)
            await whole(self._create_and_start(pod, container, config))
        except ConfigError as error:
            return self._waiting(pod, seen, "CreateContainerConfigError", str(error))
        except ImageFailure as error:
            self._event(pod, "Warning", "Failed", f"Error: {error.reason}")
            seen.waiting_reason, seen.waiting_message = error.reason, error.message
            return error.wait
        except DriverError as error:
            await self._node.runtime_state.refresh()
            reason = error.reason if error.terminal else "CreateContainerError"
            return self._waiting(pod, seen, "RunContainerError" if reason == "StartError" else reason, error.message)
        await self._node.runtime_state.refresh()
        await self._observe(pod)
        if container.name not in {c.name for c in pod.spec.ephemeralContainers}:
            await self._started(pod, container, seen)
        return RESYNC

    async def _config(self, pod: core_v1.Pod, container: core_v1.Container, image: str, attempt: int, target: str) -> cri.ContainerConfig:
        environment = await self._node.environment(self._with_address(pod), container)
        mounts = self._volumes.mounts(pod, container, environment)
        mounts += self._files.mounts(pod, container, self._state.address, self._node.config)
        log_path = str(self._files.log(container.name, attempt))
        sized = self.resizing.sized(container)
        shared = self._target(target) if target else ""
        memory = self._node.allocatable.get("memory", "0")
        devices = self._volumes.devices(container)
        return translation.container_config(pod, sized, image, environment, mounts, log_path, attempt, memory, shared, devices)

    def _target(self, name: str) -> str:
        """The id of the container whose processes an ephemeral one is to see."""
        found = self._state.current(name)
        if found is None or found.state != "RUNNING":
            raise ConfigError(f'unable to find target container "{name}"')
        return found.id

    async def _create_and_start(self, pod: core_v1.Pod, container: core_v1.Container, config: cri.ContainerConfig) -> None:
        assert self._state.sandbox is not None
        created = await self._node.runtime.create_container(self._state.sandbox.id, config)
        self._event(pod, "Normal", "Created", f"Created container: {container.name}")
        await self._node.runtime.start_container(created)
        self._event(pod, "Normal", "Started", f"Started container {container.name}")
        seen = self._state.of(container.name)
        seen.waiting_reason = seen.waiting_message = ""
        seen.ready = seen.started = False

    async def _started(self, pod: core_v1.Pod, container: core_v1.Container, seen: Observed) -> None:
        found = self._state.current(container.name)
        await hooks.post_start(self._node, pod, container, found, self._state.address, self._event)
        current = self._state.current(container.name)
        if current is not None and current.state == "RUNNING" and container not in plain_inits(pod):
            self._monitors.watch(pod, container, current, seen, self._state.address)

    def _waiting(self, pod: core_v1.Pod, seen: Observed, reason: str, message: str) -> float:
        seen.waiting_reason, seen.waiting_message = reason, message
        self._event(pod, "Warning", "Failed", f"Error: {message}")
        return RETRY

    def _read_message(self, container: core_v1.Container, current: cri.Container) -> None:
        seen = self._state.of(container.name)
        seen.ready = seen.started = False
        if current.id not in seen.messages:
            seen.messages = {current.id: self._files.termination_message(container, current), **_last(seen)}

    def read_messages(self, pod: core_v1.Pod) -> None:
        """Of everything that has ended."""
        for container in [*pod.spec.initContainers, *pod.spec.containers, *map(as_container, pod.spec.ephemeralContainers)]:
            current = self._state.current(container.name)
            if current is not None and current.state == "EXITED":
                self._read_message(container, current)

    def _with_address(self, pod: core_v1.Pod) -> core_v1.Pod:
        """The pod as the downward API shows it: its address is known here before it is in the API."""
        fresh, address, host = copy(pod), self._state.address, self._node.config.internal_ip
        fresh.status.podIP, fresh.status.hostIP = address, host
        fresh.status.podIPs = [core_v1.PodIP(ip=address)] if address else []
        fresh.status.hostIPs = [core_v1.HostIP(ip=host)]
        return fresh

    def _event(self, pod: core_v1.Pod, kind: Any, reason: str, message: str) -> None:
        self._node.events.event(pod, kind, reason, message)


def as_container(extra: core_v1.EphemeralContainer) -> core_v1.Container:
    """An ephemeral container as a plain one: it has no more than that, but for its target."""
    fields = {name: getattr(extra, name) for name in core_v1.Container.__struct_fields__ if hasattr(extra, name)}
    return core_v1.Container(**fields)


def _last(seen: Observed) -> dict[str, str]:
    """The message of the attempt before, which is shown as the last state."""
    known = seen.attempts[-2].id if len(seen.attempts) > 1 else ""
    return {known: seen.messages[known]} if known in seen.messages else {}


def _go_seconds(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
