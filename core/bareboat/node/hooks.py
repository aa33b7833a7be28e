"""Life-cycle hooks: postStart after a container has started, preStop before it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.node.http_action import http_get

if TYPE_CHECKING:
    from bareboat.node.services import NodeServices

AGENT = "kube-lifecycle/1.36"
Event = Callable[[core_v1.Pod, str, str, str], None]


async def post_start(
    node: NodeServices, pod: core_v1.Pod, container: core_v1.Container, found: cri.Container | None, address: str, event: Event
) -> None:
    """A hook that fails kills the container."""
    handler = container.lifecycle.postStart if container.lifecycle is not None else None
    if handler is None or found is None or found.state != "RUNNING":
        return
    passed, message = await _run(node, handler, container, found, address, None)
    if not passed:
        event(pod, "Warning", "FailedPostStartHook", f"PostStartHook failed: {message}")
        await node.runtime.stop_container(found.id, 0)


async def pre_stop(
    node: NodeServices, pod: core_v1.Pod, container: core_v1.Container, found: cri.Container, address: str, grace: float
) -> None:
    """Within the grace period."""
    handler = container.lifecycle.preStop if container.lifecycle is not None else None
    if handler is None or found.state != "RUNNING" or grace <= 0:
        return
    passed, message = await _run(node, handler, container, found, address, grace)
    if not passed:
        node.events.event(pod, "Warning", "FailedPreStopHook", f"PreStopHook failed: {message}")


async def _run(
    node: NodeServices, handler: Any, container: core_v1.Container, found: cri.Container, address: str, timeout: float | None
) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(timeout):
            if handler.exec is not None:
                code, out, err = await node.exec_sync(found.id, tuple(handler.exec.command), timeout or 3600.0)
                return code == 0, (out + err).decode(errors="replace")[:512]
            if handler.httpGet is not None:
                return await http_get(handler.httpGet, container, address, AGENT)
            if handler.sleep is not None:
                await node.clock.sleep(float(handler.sleep.seconds))
                return True, ""
            return True, ""
    except TimeoutError:
        return False, f"timed out after {timeout:g} s" if timeout else "timed out"
    except (OSError, DriverError) as error:
        return False, str(error)
