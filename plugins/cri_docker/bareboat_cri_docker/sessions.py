"""The driver's interactive verbs: commands in a container, its main streams, connections into a pod.

What comes in: ids and commands. What goes out: Streams. The daemon lets a command run on when its client goes away; whoever closes the
streams of an exec means its end, so the command's process group is killed then.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bareboat.contracts.command_results import finished
from bareboat.contracts.cri import Attach, Exec, LogReopening, PortForward, Size, Streams
from bareboat.contracts.errors import DriverError, InvalidConfig, NotFound, Unavailable
from bareboat.contracts.pod_network import connection as pod_connection
from bareboat_cri_docker import translate
from bareboat_cri_docker.streams import DockerStreams

if TYPE_CHECKING:
    from bareboat.contracts.driver import Host
    from bareboat_cri_docker.engine import Engine

_CLONE_NEWNET = 0x40000000
_TRIES, _PAUSE = 50, 0.02
#: The daemon insists on a sequence of keys that lets go of a terminal; nobody types this one.
_DETACH = "ctrl-^,ctrl-@,ctrl-^,ctrl-_"


class Sessions(Exec, Attach, PortForward, LogReopening):
    """Mixed into the driver, which has ``engine`` and ``host``."""

    engine: Engine
    host: Host

    async def exec(self, container_id: str, command: tuple[str, ...], *, tty: bool = False, stdin: bool = False) -> Streams:
        if not command:
            raise InvalidConfig("no command specified", reason="StartError")
        try:
            exec_id = await self.host.blocking(create_exec, self.engine, container_id, command, tty, stdin)
            connection = await self.engine.docker.upgrade(f"/exec/{exec_id}/start", {"Detach": False, "Tty": tty})
        except OSError as error:
            if translate.status_of(error) in (404, 409):
                raise NotFound(f"container {container_id} is not running") from error
            raise translate.failure(error) from error

        async def code() -> int:
            return await self._looked_at(exec_id, lambda found: not found["Running"] and found["ExitCode"] is not None, "ExitCode", 137)

        async def resized(size: Size) -> None:
            await self._looked_at(exec_id, lambda found: found["Pid"] > 0 or not found["Running"], "Pid", 0)
            await self._resized(lambda: self.engine.docker.api.exec_resize(exec_id, height=size.height, width=size.width))

        async def let_go() -> None:
            with suppress(ProcessLookupError, DriverError):  # it has ended, or the daemon cannot say where it is
                pid = await self._looked_at(exec_id, lambda found: found["Pid"] > 0 or found["ExitCode"] is not None, "Pid", 0)
                running = pid and await self._looked_at(exec_id, lambda _: True, "Running", 0)
                if running:
                    os.killpg(pid, signal.SIGKILL)

        return DockerStreams(connection, tty=tty, code=code, resized=resized, let_go=let_go)

    async def _looked_at(self, exec_id: str, enough: Callable[[dict[str, Any]], bool], field: str, otherwise: int) -> int:
        """A fact of the exec once ``enough`` is known: the daemon learns of starts and ends a little later than the streams do."""
        for _ in range(_TRIES):
            try:
                found = await self.host.blocking(lambda: self.engine.docker.api.exec_inspect(exec_id))
            except OSError as error:
                raise translate.failure(error) from error
            if enough(found):
                return int(found[field])
            await asyncio.sleep(_PAUSE)
        return otherwise

    async def _resized(self, call: Callable[[], None]) -> None:
        try:
            await self.host.blocking(call)
        except OSError as error:
            if not translate.status_of(error):
                raise translate.failure(error) from error
            self.host.log.debug("a terminal has ended before it was resized: %s", error)

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> tuple[int, bytes, bytes]:
        return await finished(await self.exec(container_id, command), timeout)

    async def attach(self, container_id: str) -> Streams:
        try:
            config = (await self.host.blocking(self.engine.running, container_id)).config
            query = f"stream=1&stdin={int(config.stdin)}&stdout=1&stderr=1&detachKeys={_DETACH.replace('^', '%5E')}"
            connection = await self.engine.docker.upgrade(f"/containers/{container_id}/attach?{query}")
        except OSError as error:
            if translate.status_of(error) in (404, 409):
                raise NotFound(f"container {container_id} is not running") from error
            raise translate.failure(error) from error

        async def code() -> int:
            try:
                found = await self.host.blocking(self.engine.ended, container_id)
            except OSError as error:
                raise translate.failure(error) from error
            return found.exit_code if found is not None else 137

        async def resized(size: Size) -> None:
            await self._resized(lambda: self.engine.docker.api.resize(container_id, height=size.height, width=size.width))

        async def let_go() -> None:
            """The container goes on."""

        return DockerStreams(connection, tty=config.tty, code=code, resized=resized, let_go=let_go)

    async def port_forward(self, sandbox_id: str, port: int) -> Streams:
        try:
            sandbox = await self.host.blocking(self.engine.inventory.sandbox, sandbox_id)
        except OSError as error:
            raise translate.failure(error) from error
        if sandbox is None:
            raise NotFound(f"no sandbox {sandbox_id}")
        if not sandbox.pid:
            raise Unavailable(f"sandbox {sandbox_id} is not ready", reason="SandboxNotReady")
        return await pod_connection(lambda: enter_network(sandbox.pid), port)


def create_exec(engine: Engine, container_id: str, command: tuple[str, ...], tty: bool, stdin: bool) -> str:
    engine.running(container_id)
    wanted = {"stdin": stdin, "tty": tty, "stdout": True, "stderr": not tty, "detach_keys": _DETACH}
    return str(engine.docker.api.exec_create(container_id, list(command), **wanted)["Id"])


def enter_network(pid: int) -> None:
    """The calling thread is in the network namespace of a pod's process afterwards: throw it away."""
    try:
        with open(f"/proc/{pid}/ns/net") as namespace:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    except OSError as error:
        raise Unavailable(f"cannot enter the network of process {pid}: {error}") from error
