"""A pod's sandbox: made with its network, made again when it was lost, let go when nothing runs in it any more.

What comes in: the pod and what was seen of it. What goes out: calls of the runtime and the network driver. The sandbox of a pod that has
ended is stopped, so that its address is free, and stays listed with what its containers left until the pod goes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from bareboat.contracts import cri
from bareboat.contracts.cni import Attachment
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.node import restarts, translation
from bareboat.node.interruption import whole
from bareboat.node.pod_files import PodFiles
from bareboat.node.pod_state import PodState

if TYPE_CHECKING:
    from bareboat.node.services import NodeServices

Observe = Callable[[core_v1.Pod], Awaitable[None]]


class Sandboxing:
    """``observe`` looks at the runtime again."""

    def __init__(self, node: NodeServices, state: PodState, files: PodFiles, observe: Observe) -> None:
        self._node = node
        self._state = state
        self._files = files
        self._observe = observe

    async def ensure(self, pod: core_v1.Pod) -> bool:
        """False if there is nothing left to run in one."""
        if self._state.sandbox is None and not await self._start(pod):
            return False
        if not self._state.address and self._state.sandbox is not None:
            self._state.address = await self._attach(pod, self._state.sandbox)
        return True

    async def _start(self, pod: core_v1.Pod) -> bool:
        """Those before stay for what their containers did last, and go with the pod."""
        previous, _ = await self._node.runtime_state.of(pod.metadata.uid)
        attempt = 1 + max((s.config.attempt for s in previous), default=-1)
        if previous:
            for old in previous:
                await self.let_go(old)
            await self._node.runtime_state.refresh()
            await self._observe(pod)
        newest = self._state.newest()
        if not restarts.needs_sandbox(pod, newest):
            return False
        for old in restarts.superseded(previous, newest):
            await self._node.runtime.remove_pod_sandbox(old.id)
        try:
            await whole(self._make(pod, attempt))
        except DriverError as error:
            message = f"Failed to create pod sandbox: {error.message}"
            self._node.events.event(pod, "Warning", "FailedCreatePodSandBox", message)
            raise
        await self._node.runtime_state.refresh()
        return True

    async def _make(self, pod: core_v1.Pod, attempt: int) -> None:
        config = translation.sandbox_config(pod, str(self._files.logs()), attempt, self._node.config.domain)
        config = msgspec.structs.replace(config, runtime_handler=await self._node.handlers.of_pod(pod))
        sandbox = await self._node.runtime.run_pod_sandbox(config)
        self._state.address = await self._attach(pod, sandbox)
        self._state.sandbox = sandbox

    async def _attach(self, pod: core_v1.Pod, sandbox: cri.Sandbox) -> str:
        network = self._node.network
        if pod.spec.hostNetwork or network is None:
            return self._node.config.internal_ip
        ports = translation.port_mappings(pod)
        result = await network.add(Attachment(container_id=sandbox.id, netns=sandbox.netns, ports=ports))
        return result.ips[0].partition("/")[0]

    async def let_go(self, sandbox: cri.Sandbox) -> None:
        """Its processes, namespaces and address."""
        await self._node.runtime.stop_pod_sandbox(sandbox.id)
        if self._node.network is not None:
            await self._node.network.delete(sandbox.id)

    async def release(self) -> None:
        """The one that is ready, if there is one."""
        if self._state.sandbox is not None:
            await whole(self.let_go(self._state.sandbox))
            self._state.sandbox = None
            await self._node.runtime_state.refresh()

    async def remove_all(self) -> None:
        sandboxes, _ = await self._node.runtime_state.of(self._state.uid)
        for sandbox in sandboxes:
            await self.let_go(sandbox)
            await self._node.runtime.remove_pod_sandbox(sandbox.id)
        self._state.sandbox = None
