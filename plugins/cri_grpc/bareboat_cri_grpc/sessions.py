"""Verbs that last: commands with their streams, attached containers, forwarded ports, events.

A port of a pod is reached through the pod's network namespace, which is on this machine, and not through the runtime's own streams.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc
from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts import pod_network
from bareboat.contracts.cri import Attach, Events, Exec, PortForward, Streams
from bareboat.contracts.errors import NotFound, Unavailable
from bareboat_cri_grpc import codes, translate
from bareboat_cri_grpc.connection import Failed

if TYPE_CHECKING:
    from bareboat.contracts.cri import Sandbox
    from bareboat_cri_grpc.connection import Connection

_CLONE_NEWNET = 0x40000000


class Sessions(Exec, Attach, PortForward, Events):
    """Mixed into the driver."""

    host: Any
    options: Any

    @property
    def socket(self) -> Connection:
        raise NotImplementedError

    async def _state(self, container_id: str) -> int:
        raise NotImplementedError

    async def _sandbox(self, sandbox_id: str) -> Sandbox | None:
        raise NotImplementedError

    async def _runs(self, container_id: str) -> None:
        if await self._state(container_id) != pb.CONTAINER_RUNNING:
            raise NotFound(f"container {container_id} is not running")

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> tuple[int, bytes, bytes]:
        await self._runs(container_id)
        seconds = math.ceil(timeout)
        try:
            found = await self.socket.raw("ExecSync", seconds + 30.0, container_id=container_id, cmd=command, timeout=seconds)
        except Failed as failed:
            if codes.too_long(failed.code, failed.error.message):
                raise TimeoutError(failed.error.message) from failed
            raise failed.error from failed
        return found.exit_code, found.stdout, found.stderr

    async def exec(self, container_id: str, command: tuple[str, ...], *, tty: bool = False, stdin: bool = False) -> Streams:
        await self._runs(container_id)
        found = await self.socket.call("Exec", container_id=container_id, cmd=command, tty=tty, stdin=stdin, stdout=True, stderr=not tty)
        return await _streams(found.url, stdin=stdin, tty=tty)

    async def attach(self, container_id: str) -> Streams:
        from bareboat_cri_grpc.listing import container

        await self._runs(container_id)
        status = await self.socket.call("ContainerStatus", container_id=container_id, verbose=True)
        config = container("", status.status, status.info).config
        wanted = {"stdin": config.stdin, "tty": config.tty, "stdout": True, "stderr": not config.tty}
        found = await self.socket.call("Attach", container_id=container_id, **wanted)
        return await _streams(found.url, stdin=config.stdin, tty=config.tty, attached=True)

    async def port_forward(self, sandbox_id: str, port: int) -> Streams:
        found = await self._sandbox(sandbox_id)
        if found is None or found.state != "READY":
            raise NotFound(f"sandbox {sandbox_id} is unknown or stopped")
        if not found.netns and not found.config.host_network:
            raise Unavailable("the runtime does not say where the pod's network namespace is", reason="PortForwardFailed")
        return await pod_network.connection(lambda: _enter(found.netns), port)

    async def events(self) -> AsyncIterator[str]:
        """Told by the runtime, or found out by asking one that does not tell."""
        try:
            async for event in self.socket.events():
                yield event.container_id
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise codes.error_of(error.code(), error.details() or error.code().name) from error
        async for container_id in self._changes():
            yield container_id

    async def _changes(self) -> AsyncIterator[str]:
        wanted = pb.ContainerFilter(label_selector={translate.INSTANCE: self.host.instance})
        known: dict[str, int] | None = None
        while True:
            items = (await self.socket.call("ListContainers", filter=wanted)).containers
            seen = {i.id: int(i.state) for i in items}
            before, known = seen if known is None else known, seen
            for container_id in {**before, **seen}:
                if before.get(container_id) != seen.get(container_id):
                    yield container_id
            await asyncio.sleep(self.options.poll)


async def _streams(url: str, *, stdin: bool, tty: bool, attached: bool = False) -> Streams:
    """SPDY, which every runtime serves and which can end the input; else a WebSocket."""
    from bareboat_cri_grpc.spdy import SpdyStreams
    from bareboat_cri_grpc.streaming import CommandStreams

    try:
        return await SpdyStreams.open(url, stdin=stdin, tty=tty, attached=attached)
    except Unavailable:
        return await CommandStreams.open(url, attached=attached)


def _enter(netns: str) -> None:
    """The calling thread joins the namespace."""
    if not netns:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"network namespace {netns} is gone") from error
    try:
        if libc.setns(descriptor, _CLONE_NEWNET):
            raise Unavailable(f"cannot enter {netns}: {os.strerror(ctypes.get_errno())}", reason="PortForwardFailed")
    finally:
        os.close(descriptor)
