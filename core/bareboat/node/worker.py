"""One pod's worker: level-triggered, it looks at the pod and at the runtime and takes the steps that are missing.

Order: volumes, sandbox, network, init containers one after the other, containers; then probes, restarts with back-off; at
the end graceful termination and the removal of everything. A worker that starts in a new process finds what runs and goes
on from there.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from bareboat.base.tasks import Tasks
from bareboat.contracts import cri
from bareboat.contracts.cni import Attachment
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.models.codec import copy, to_tree
from bareboat.models.meta import get_condition
from bareboat.models.status import ApiError, NotFound
from bareboat.node import hooks, restarts, status, translation
from bareboat.node.environment import ConfigError
from bareboat.node.images import ImageFailure
from bareboat.node.interruption import Interrupted, unless
from bareboat.node.monitoring import Monitors
from bareboat.node.pod_files import PodFiles
from bareboat.node.services import NodeServices
from bareboat.node.status import Observed
from bareboat.node.volumes import MountFailed, Volumes

log = logging.getLogger("bareboat.node")
FIRST_BACKOFF, LONGEST_BACKOFF, RESET_AFTER = 10.0, 300.0, 600.0
RESYNC = 60.0
RETRY = 2.0


class PodWorker:
    """``poke`` makes it look again; ``run`` ends when the pod is gone."""

    def __init__(self, node: NodeServices, key: str, uid: str) -> None:
        self.key = key
        self.uid = uid
        self._node = node
        self._runtime = node.runtime
        self._seen: dict[str, Observed] = {}
        self._backoff: dict[str, tuple[float, float]] = {}
        self._wake = asyncio.Event()
        self._tasks = Tasks()
        self._sandbox: cri.Sandbox | None = None
        self._address = ""
        self._files = PodFiles(node.pod_directory(uid), node.log_directory(key, uid))
        self._volumes = Volumes(node.pod_directory(uid), node.find, node.token, node.allocatable)
        self._monitors = Monitors(node, self._tasks, self.poke)
        self._last_pod: core_v1.Pod | None = None
        self._last_status: Any = None

    def poke(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        async with self._tasks:
            while True:
                self._wake.clear()
                try:
                    wait = await self._sync()
                except (DriverError, MountFailed, ApiError) as error:
                    self._complain(error)
                    wait = RETRY
                except Interrupted:
                    wait = 0.0
                except Exception:
                    log.exception("pod %s failed", self.key)
                    wait = RETRY
                if wait is None:
                    return
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _sync(self) -> float | None:
        """Seconds until the next look, None when the pod is gone."""
        pod = self._node.pod(self.key, self.uid)
        await self._observe(pod)
        if pod is None:
            await self._remove_everything(self._last_pod)
            return None
        self._last_pod = pod
        if pod.metadata.deletionTimestamp:
            await self._terminate(pod)
            return None
        if pod.status.phase in ("Succeeded", "Failed"):
            await self._stop_all(pod, 0)
            return RESYNC
        if restarts.past_deadline(pod, self._node.clock.now().timestamp()):
            await self._fail(pod, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            return RESYNC
        try:
            return await self._bring_up(pod)
        finally:
            await self._write_status(pod)

    async def _observe(self, pod: core_v1.Pod | None) -> None:
        """What the runtime has of this pod."""
        sandboxes, containers = await self._node.runtime_state.of(self.uid)
        ready = [s for s in sandboxes if s.state == "READY"]
        self._sandbox = max(ready, key=lambda s: s.config.attempt) if ready else None
        names = {c.config.name for c in containers}
        if pod is not None:
            names |= {c.name for c in [*pod.spec.initContainers, *pod.spec.containers]}
        for name in names:
            seen = self._seen.setdefault(name, Observed())
            attempts = [c for c in containers if c.config.name == name]
            seen.attempts = sorted(attempts, key=lambda c: (c.config.attempt, c.created_at))
        self._monitors.prune({c.id for c in containers if c.state == "RUNNING"})

    async def _bring_up(self, pod: core_v1.Pod) -> float:
        await self._volumes.set_up(pod)
        if self._sandbox is None and not await self._start_sandbox(pod):
            return RESYNC
        if not self._address and self._sandbox is not None:
            self._address = await self._attach(pod, self._sandbox)
        wait = RESYNC
        for container in pod.spec.initContainers:
            finished, delay = await self._init(pod, container)
            wait = min(wait, delay)
            if not finished:
                return wait
        for container in pod.spec.containers:
            wait = min(wait, await self._container(pod, container))
        return wait

    async def _start_sandbox(self, pod: core_v1.Pod) -> bool:
        """False if there is nothing left to run in one. Those before stay for what their containers did last, and go with the pod."""
        previous, _ = await self._node.runtime_state.of(self.uid)
        attempt = 1 + max((s.config.attempt for s in previous), default=-1)
        if previous:
            for old in previous:
                await self._let_go(old)
            await self._node.runtime_state.refresh()
            await self._observe(pod)
        newest = {name: seen.attempts[-1] for name, seen in self._seen.items() if seen.attempts}
        if not restarts.needs_sandbox(pod, newest):
            return False
        for old in restarts.superseded(previous, newest):
            await self._runtime.remove_pod_sandbox(old.id)
        config = translation.sandbox_config(pod, str(self._files.logs()), attempt)
        try:
            config = msgspec.structs.replace(config, runtime_handler=await self._node.handlers.of_pod(pod))
            self._sandbox = await self._runtime.run_pod_sandbox(config)
            self._address = await self._attach(pod, self._sandbox)
        except DriverError as error:
            self._event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error.message}")
            raise
        await self._node.runtime_state.refresh()
        return True

    async def _attach(self, pod: core_v1.Pod, sandbox: cri.Sandbox) -> str:
        network = self._node.network
        if pod.spec.hostNetwork or network is None:
            return self._node.config.internal_ip
        ports = translation.port_mappings(pod)
        result = await network.add(Attachment(container_id=sandbox.id, netns=sandbox.netns, ports=ports))
        return result.ips[0].partition("/")[0]

    async def _init(self, pod: core_v1.Pod, container: core_v1.Container) -> tuple[bool, float]:
        """Whether the next container's turn has come, and when to look again."""
        if status.is_sidecar(container):
            wait = await self._container(pod, container)
            return self._seen[container.name].started, min(wait, 1.0)
        current = self._current(container.name)
        assert self._sandbox is not None
        if current is None or current.state == "CREATED":
            return False, await self._start(pod, container, current.config.attempt if current else 0)
        if current.state == "EXITED" and current.sandbox_id != self._sandbox.id:  # what it prepared is gone
            return False, await self._start(pod, container, current.config.attempt + 1)
        if current.state != "EXITED":
            return False, RESYNC
        if current.exit_code == 0:
            return True, RESYNC
        if pod.spec.restartPolicy == "Never":
            return False, RESYNC
        return False, await self._restart(pod, container, current)

    async def _container(self, pod: core_v1.Pod, container: core_v1.Container) -> float:
        """Start, restart or leave alone; seconds until the next look."""
        seen, current = self._seen[container.name], self._current(container.name)
        if current is None or current.state == "CREATED":
            return await self._start(pod, container, current.config.attempt if current else 0)
        if current.state == "RUNNING":
            seen.waiting_reason = seen.waiting_message = ""
            self._monitors.watch(pod, container, current, seen, self._address)
            return RESYNC
        await self._read_message(container, current, seen)
        if not restarts.is_due(pod, container, current):
            return RESYNC
        return await self._restart(pod, container, current)

    def _handler(self) -> str:
        """Of the RuntimeClass that the pod's sandbox was made by."""
        return self._sandbox.config.runtime_handler if self._sandbox is not None else ""

    def _current(self, name: str) -> cri.Container | None:
        attempts = self._seen.setdefault(name, Observed()).attempts
        return attempts[-1] if attempts else None

    async def _restart(self, pod: core_v1.Pod, container: core_v1.Container, last: cri.Container) -> float:
        """Start the next attempt when its back-off is over: at once the first time, then 10 s doubling to 5 min."""
        now = self._node.clock.now().timestamp()
        delay, ended = self._backoff.get(container.name, (0.0, 0.0))
        if last.finished_at / 1e9 != ended:
            ran = (last.finished_at - last.started_at) / 1e9
            fresh = ran > RESET_AFTER or container.name not in self._backoff
            delay = 0.0 if fresh else min(LONGEST_BACKOFF, max(FIRST_BACKOFF, delay * 2))
            self._backoff[container.name] = (delay, last.finished_at / 1e9)
        left = last.finished_at / 1e9 + delay - now
        if left > 0:
            seen = self._seen[container.name]
            seen.waiting_reason = "CrashLoopBackOff"
            seen.waiting_message = f"back-off {delay:.0f}s restarting failed container={container.name} pod={self.key}"
            self._event(pod, "Warning", "BackOff", f"Back-off restarting failed container {container.name} in pod {self.key}")
            return left
        return await self._start(pod, container, last.config.attempt + 1)

    async def _start(self, pod: core_v1.Pod, container: core_v1.Container, attempt: int) -> float:
        """Pull, create and start; what goes wrong becomes the container's waiting reason."""
        seen = self._seen[container.name]
        assert self._sandbox is not None
        try:
            pulled = self._node.handlers.images(self._handler()).ensure(pod, container, self._event)
            image = await unless(self._is_going, self._wake, pulled)
            environment = await self._node.environment(self._with_address(pod), container)
            mounts = self._volumes.mounts(pod, container, environment)
            mounts += self._files.mounts(pod, container, self._address, self._node.config.domain)
            log_path = str(self._files.log(container.name, attempt))
            config = translation.container_config(pod, container, image, environment, mounts, log_path, attempt)
            created = await self._runtime.create_container(self._sandbox.id, config)
            self._event(pod, "Normal", "Created", f"Created container: {container.name}")
            await self._runtime.start_container(created)
        except ConfigError as error:
            return self._waiting(pod, seen, "CreateContainerConfigError", str(error), "Failed", RETRY)
        except ImageFailure as error:
            self._event(pod, "Warning", "Failed", f"Error: {error.reason}")
            seen.waiting_reason, seen.waiting_message = error.reason, error.message
            return error.wait
        except DriverError as error:
            await self._node.runtime_state.refresh()
            reason = error.reason if error.terminal else "CreateContainerError"
            return self._waiting(pod, seen, "RunContainerError" if reason == "StartError" else reason, error.message, "Failed", RETRY)
        self._event(pod, "Normal", "Started", f"Started container {container.name}")
        seen.waiting_reason = seen.waiting_message = seen.termination_message = ""
        seen.ready = seen.started = False
        await self._node.runtime_state.refresh()
        await self._observe(pod)
        await hooks.post_start(self._node, pod, container, self._current(container.name), self._address, self._event)
        current = self._current(container.name)
        if current is not None and current.state == "RUNNING" and container not in self._plain_init(pod):
            self._monitors.watch(pod, container, current, seen, self._address)
        return RESYNC

    def _plain_init(self, pod: core_v1.Pod) -> list[core_v1.Container]:
        return [c for c in pod.spec.initContainers if not status.is_sidecar(c)]

    def _is_going(self) -> bool:
        pod = self._node.pod(self.key, self.uid)
        return pod is None or pod.metadata.deletionTimestamp is not None

    def _waiting(self, pod: core_v1.Pod, seen: Observed, reason: str, message: str, event: str, wait: float) -> float:
        seen.waiting_reason, seen.waiting_message = reason, message
        self._event(pod, "Warning", event, message)
        return wait

    async def _read_message(self, container: core_v1.Container, current: cri.Container, seen: Observed) -> None:
        seen.ready = seen.started = False
        seen.termination_message = self._files.termination_message(container, current)

    def _with_address(self, pod: core_v1.Pod) -> core_v1.Pod:
        """The pod as the downward API shows it: its address is known here before it is in the API."""
        fresh = copy(pod)
        fresh.status.podIP, fresh.status.hostIP = self._address, self._node.config.internal_ip
        fresh.status.podIPs = [core_v1.PodIP(ip=self._address)] if self._address else []
        fresh.status.hostIPs = [core_v1.HostIP(ip=self._node.config.internal_ip)]
        return fresh

    async def _fail(self, pod: core_v1.Pod, reason: str, message: str) -> None:
        await self._stop_all(pod, _grace(pod))
        await self._write_status(pod, failed=(reason, message))

    async def _terminate(self, pod: core_v1.Pod) -> None:
        """Stop gracefully, tell the last state, remove everything, then let the object go."""
        grace = pod.metadata.deletionGracePeriodSeconds
        await self._write_status(pod, terminating=True)
        await self._stop_all(pod, _grace(pod) if grace is None else grace)
        await self._node.runtime_state.refresh()
        await self._observe(pod)
        await self._write_status(pod)
        await self._remove_everything(pod)
        try:
            await self._node.client.delete(core_v1.Pod, pod.metadata.name, pod.metadata.namespace, grace_seconds=0, uid=self.uid)
        except NotFound:
            return

    async def _stop_all(self, pod: core_v1.Pod, grace: float) -> None:
        await self._tasks.cancel()
        containers = {c.name: c for c in [*pod.spec.containers, *pod.spec.initContainers]}

        async def stop(name: str, found: cri.Container) -> None:
            self._event(pod, "Normal", "Killing", f"Stopping container {name}")
            left = grace
            if name in containers:
                left = await hooks.pre_stop(self._node, pod, containers[name], found, self._address, grace)
            await self._runtime.stop_container(found.id, max(0.0, left))

        running = [(n, s.attempts[-1]) for n, s in self._seen.items() if s.attempts and s.attempts[-1].state in ("RUNNING", "CREATED")]
        sidecars = {c.name for c in pod.spec.initContainers if status.is_sidecar(c)}
        await asyncio.gather(*(stop(n, c) for n, c in running if n not in sidecars))
        for name, found in reversed([(n, c) for n, c in running if n in sidecars]):
            await stop(name, found)
        if running:
            await self._node.runtime_state.refresh()
            await self._observe(pod)
            await self._write_status(pod)

    async def _remove_everything(self, pod: core_v1.Pod | None) -> None:
        if pod is not None and self._sandbox is not None:
            await self._stop_all(pod, _grace(pod) if pod.metadata.deletionGracePeriodSeconds is None else 0)
        sandboxes, _ = await self._node.runtime_state.of(self.uid)
        for sandbox in sandboxes:
            await self._release(sandbox)
        self._sandbox = None
        self._volumes.tear_down()
        self._files.remove_logs()
        await self._node.runtime_state.refresh()

    async def _release(self, sandbox: cri.Sandbox) -> None:
        await self._let_go(sandbox)
        await self._runtime.remove_pod_sandbox(sandbox.id)

    async def _let_go(self, sandbox: cri.Sandbox) -> None:
        await self._runtime.stop_pod_sandbox(sandbox.id)
        if self._node.network is not None:
            await self._node.network.delete(sandbox.id)

    async def _write_status(self, pod: core_v1.Pod, *, terminating: bool = False, failed: tuple[str, str] | None = None) -> None:
        found = self._status(pod, failed)
        if terminating and found.phase in ("Succeeded", "Failed"):
            found.phase = pod.status.phase
        tree = {name: None for name in ("reason", "message") if getattr(pod.status, name) and not getattr(found, name)} | to_tree(found)
        if status.same(found, pod.status) or tree == self._last_status:
            return
        patch = {"metadata": {"uid": self.uid}, "status": tree}
        try:
            await self._node.client.patch(core_v1.Pod, pod.metadata.name, patch, pod.metadata.namespace, subresource="status")
        except NotFound:
            return
        self._last_status = tree

    def _status(self, pod: core_v1.Pod, failed: tuple[str, str] | None) -> core_v1.PodStatus:
        runtime = self._node.handlers.name(self._handler())
        now = self._node.clock.timestamp()
        found = copy(pod.status)
        found.observedGeneration = pod.metadata.generation or 0
        found.startTime = found.startTime or now
        found.hostIP = self._node.config.internal_ip
        found.hostIPs = [core_v1.HostIP(ip=found.hostIP)]
        if self._address:
            found.podIP, found.podIPs = self._address, [core_v1.PodIP(ip=self._address)]
        ready_to_run = status.initialized(pod, self._seen)
        initializing = bool(pod.spec.initContainers) and not ready_to_run
        observed = self._seen
        found.containerStatuses = [
            status.container_status(runtime, c, observed.get(c.name, Observed()), initializing) for c in pod.spec.containers
        ]
        found.initContainerStatuses = [
            status.init_status(status.container_status(runtime, c, observed.get(c.name, Observed()), initializing))
            for c in pod.spec.initContainers
        ]
        init_failed = pod.spec.restartPolicy == "Never" and any(
            s.state.terminated is not None and s.state.terminated.exitCode for s in found.initContainerStatuses
        )
        found.phase = "Failed" if failed else status.phase(pod, found.containerStatuses, ready_to_run=ready_to_run, init_failed=init_failed)
        if failed:
            found.reason, found.message = failed
        status.conditions(pod, found, has_sandbox=self._sandbox is not None, is_initialized=ready_to_run, now=now)
        condition = get_condition(found.conditions, "PodScheduled")
        assert condition is not None
        return found

    def _event(self, pod: core_v1.Pod, kind: str, reason: str, message: str) -> None:
        self._node.events.event(pod, kind, reason, message)  # type: ignore[arg-type]

    def _complain(self, error: Exception) -> None:
        pod = self._last_pod
        if isinstance(error, MountFailed) and pod is not None:
            self._event(pod, "Warning", "FailedMount", str(error))
            for container in [*pod.spec.initContainers, *pod.spec.containers]:
                self._seen.setdefault(container.name, Observed()).waiting_reason = ""
        log.warning("pod %s: %s", self.key, error)


def _grace(pod: core_v1.Pod) -> float:
    seconds = pod.spec.terminationGracePeriodSeconds
    return 30.0 if seconds is None else float(seconds)
