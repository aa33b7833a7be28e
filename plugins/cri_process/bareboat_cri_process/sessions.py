"""The driver's interactive verbs: commands in a container, its main streams, connections into a pod.

What comes in: ids and commands. What goes out: Streams. An exec lives as long as the agent holds its socket: when the agent is killed,
the command's monitor sees the socket close and kills the command. Containers do not depend on the agent, execs do.
"""

from __future__ import annotations

import ctypes
import os
import socket
from typing import TYPE_CHECKING

from bareboat.contracts.command_results import finished
from bareboat.contracts.cri import Attach, Exec, LogReopening, PortForward, Streams
from bareboat.contracts.errors import InvalidConfig, NotFound, Unavailable
from bareboat.contracts.pod_network import connection
from bareboat_cri_process import monitors, translate
from bareboat_cri_process.container import exec_program
from bareboat_cri_process.streams import MonitorStreams
from bareboat_cri_process.syscalls import CLONE_NEWNET

if TYPE_CHECKING:
    from bareboat.contracts.driver import Host
    from bareboat_cri_process.engine import Engine


class Sessions(Exec, Attach, PortForward, LogReopening):
    """Mixed into the driver, which has ``engine`` and ``host``."""

    engine: Engine
    host: Host

    async def exec(self, container_id: str, command: tuple[str, ...], *, tty: bool = False, stdin: bool = False) -> Streams:
        try:
            connection = await self.host.blocking(start_exec, self.engine, container_id, command, tty, stdin)
        except OSError as error:
            raise translate.machine_failure(error) from error
        return MonitorStreams(connection)

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> tuple[int, bytes, bytes]:
        return await finished(await self.exec(container_id, command), timeout)

    async def attach(self, container_id: str) -> MonitorStreams:
        record = self.engine.container_record(container_id)
        directory = os.open(self.engine.records.path(record.id), os.O_PATH | os.O_CLOEXEC)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            if monitors.life(self.engine.records.path(record.id)).exit is not None:  # the monitor is about to go
                raise NotFound(f"container {container_id} is not running")
            connection.connect(f"/proc/self/fd/{directory}/attach")  # a path of its own may be too long for a socket's address
        except NotFound:
            connection.close()
            raise
        except OSError as error:
            connection.close()
            raise NotFound(f"container {container_id} is not running") from error
        finally:
            os.close(directory)
        return MonitorStreams(connection)

    async def reopen_container_log(self, container_id: str) -> None:
        """The monitor goes on in a new file."""
        try:
            streams = await self.attach(container_id)
        except NotFound:
            return
        await streams.reopen_log()
        await streams.close()

    async def port_forward(self, sandbox_id: str, port: int) -> Streams:
        self.engine.sandbox_record(sandbox_id)
        return await connection(lambda: enter_network(self.engine, sandbox_id), port)


def start_exec(engine: Engine, container_id: str, command: tuple[str, ...], tty: bool, stdin: bool) -> socket.socket:
    """Run a command beside a running container's main process. Returns our end of its streams."""
    record = engine.container_record(container_id)
    target = monitors.main_fd(engine.records.path(container_id))
    if target >= 0 and record.engine == "crun" and not engine.crun.adopt(engine.records.path(container_id)):
        os.close(target)  # it is crun that runs, in the machine's namespaces
        target = -1
    if target < 0:
        raise NotFound(f"container {container_id} is not running")
    if not command:
        os.close(target)
        raise InvalidConfig("no command specified", reason="StartError")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sandbox = engine.sandbox_record(record.sandbox_id).config
        procs = engine.cgroups.procs(record.group)
        program = exec_program(record, sandbox, command, engine.node, target=target, procs=procs, tty=tty, stdin=stdin)
        start = monitors.launch(engine.executable, program, fds=[target], session=theirs.fileno())
    except BaseException:
        ours.close()
        raise
    finally:
        os.close(target)
        theirs.close()
    if start.error:
        ours.close()
        if not start.label.startswith("exec: ") and monitors.main_fd(engine.records.path(container_id)) < 0:
            raise NotFound(f"container {container_id} is not running")
        raise InvalidConfig(translate.start_failure(start.label, start.error), reason="StartError")
    return ours


def enter_network(engine: Engine, sandbox_id: str) -> None:
    """The calling thread is in the pod's network namespace afterwards: throw it away."""
    pause = monitors.monitor_fd(engine.sandboxes.path(sandbox_id))
    if pause < 0:
        raise Unavailable(f"sandbox {sandbox_id} is not ready", reason="SandboxNotReady")
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(pause, CLONE_NEWNET):
            raise Unavailable(f"cannot enter the network of sandbox {sandbox_id}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(pause)
