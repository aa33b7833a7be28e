"""Containers through crun: our monitor owns the streams and the record of the end, crun makes the container.

What comes in: a record and its place. What goes out: a Program whose last step is ``crun run``, and, once the container's own process has
been executed, its pid in place of crun's. crun stays in between and passes on the exit code. It would not pass on the size of a
terminal: containers with one are not made by it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bareboat.contracts.cri import SandboxConfig
from bareboat.contracts.errors import InvalidConfig, Unavailable
from bareboat_cri_process import monitors, translate
from bareboat_cri_process import syscalls as sys
from bareboat_cri_process.container import Node, Place, join_groups, stream_flags
from bareboat_cri_process.program import ANY, STDIN_ONCE, Program, Table
from bareboat_cri_process.records import ContainerRecord
from bareboat_cri_process.rootfs import Root, attributes, mount_root
from bareboat_cri_process.spec import runtime_spec

NAME = "crun"
_PATIENCE = 60.0
_MISSING = re.compile(r"executable file `[^`]*` not found|(?:exec|stat) `[^`]*`: No such file")
_DENIED = re.compile(r"open executable.*: Permission denied|exec.*: (?:Permission denied|Exec format)")


class _Line(msgspec.Struct):
    msg: str = ""


def executable() -> str:
    """Where crun is, "" if it is not installed."""
    return shutil.which(NAME, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") or ""


@dataclass(frozen=True, slots=True)
class Crun:
    """``path`` of the program; ``state`` is where it keeps what it knows of its containers."""

    path: str
    state: Path

    def program(self, record: ContainerRecord, sandbox: SandboxConfig, place: Place, root: Root, node: Node, pause: int) -> Program:
        """In a mount namespace of its own, without the second of the machine's cgroup hierarchies: crun refuses to see both."""
        directory = place.directory
        spec = runtime_spec(record, sandbox, directory, pause, place.shm, node)
        (directory / "config.json").write_bytes(msgspec.json.encode(spec))
        config = record.config
        flags = stream_flags(config.tty, config.stdin) | (STDIN_ONCE if config.stdin_once else 0)
        program = Program(flags=flags, clone_flags=sys.CLONE_NEWNS, directory=str(directory), log=config.log_path)
        program.procs = place.procs[0] if place.procs else ""
        steps = program.inner
        join_groups(steps, place.procs, config.resources.oom_score_adj)
        steps.mount("none", "/", "", sys.MS_REC | sys.MS_SLAVE)
        if not node.unified:
            steps.call("umount2", "/sys/fs/cgroup/unified", sys.MNT_DETACH, label="hide the unified cgroups", ok=(ANY,))
        mount_root(steps, root, directory, nodev=not config.security.privileged)
        for path in root.paths if root.is_host and config.security.readonly_rootfs else ():
            if os.path.isdir(path) and not os.path.islink(path):
                attributes(steps, f"{directory}/fs{path}", readonly=True, nodev=False, deep=False)
        options = ("--root", str(self.state), "--cgroup-manager", "disabled", "--log", str(directory / "crun.log"), "--log-format", "json")
        run = ("run", "--bundle", str(directory), "--pid-file", str(directory / "init.pid"), record.id)
        steps.call("prctl", sys.PR_SET_PDEATHSIG, 9, 0, 0, 0, label="end with the monitor")
        environment = Table(("PATH=/usr/sbin:/usr/bin:/sbin:/bin",))
        steps.call("execve", self.path, Table((NAME, *options, *run)), environment, label="run crun")
        return program

    def forget(self, record: ContainerRecord) -> None:
        """What crun left, where it was killed."""
        shutil.rmtree(self.state / record.id, ignore_errors=True)

    def await_start(self, record: ContainerRecord, directory: Path) -> None:
        """Until the container's own process has been executed. Raises InvalidConfig if it cannot be."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            state = monitors.life(directory)
            if state.exit is not None or not state.monitor:
                self._judge(record, directory)
                return
            if self.adopt(directory):
                return
            time.sleep(0.002)
        raise Unavailable(f"crun did not start a container within {_PATIENCE:.0f} s", reason="StartError")

    def adopt(self, directory: Path) -> bool:
        """Let the container's process stand where crun's does, once it is no longer crun that it executes."""
        state = monitors.life(directory)
        init = _number(directory / "init.pid")
        if not state.pid or not init or state.exit:
            return False
        if state.pid == init:
            return True
        theirs, own = _executed(init), _executed(state.pid)
        if not theirs or not own or theirs == own:
            return False
        partial = directory / "running.new"
        partial.write_text(f"{init} {state.started_at} 0 -\n")
        partial.rename(directory / "running")
        return True

    def _judge(self, record: ContainerRecord, directory: Path) -> None:
        """It has ended already: by itself, or because crun could not start it."""
        said = _complaint(directory / "crun.log")
        state = monitors.life(directory)
        if not said or state.exit is None:
            return
        error, label = _cause(said, record.argv[0])
        partial = directory / "exit.new"
        partial.write_text(f"128 {state.exit.finished_at} {error} {label[:180]}\n")
        partial.rename(directory / "exit")
        raise InvalidConfig(translate.start_failure(label, error), reason="StartError")


def _cause(said: str, command: str) -> tuple[int, str]:
    """An errno and a label as the monitor would have recorded them."""
    for pattern, error in ((_MISSING, errno.ENOENT), (_DENIED, errno.EACCES)):
        if pattern.search(said):
            return error, f"exec: {command}"
    return errno.EIO, said.replace("\n", " ")


def _complaint(path: Path) -> str:
    """The last error in crun's log."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ""
    return msgspec.json.decode(lines[-1], type=_Line).msg if lines else ""


def _number(path: Path) -> int:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return 0
    return int(text) if text.strip().isdigit() else 0


def _executed(pid: int) -> tuple[int, int]:
    """The file that a process executes, (0, 0) if there is none: its number tells a copy in memory from any other file."""
    try:
        found = os.stat(f"/proc/{pid}/exe")
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
