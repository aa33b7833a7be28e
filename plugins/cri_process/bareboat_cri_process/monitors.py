"""Monitors: starting one, and what the kernel and its files say about it later. Knows nothing of Bareboat's contracts.

What comes in: a Program. What goes out: a Start (pid and time, or which step failed), and for a directory its Life: whether the
monitor lives, and what it recorded. Whether it lives is asked of the kernel: a monitor holds a POSIX lock on ``lock``, which ends with
the process and names its pid, so a reused pid can never be mistaken for it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bareboat_cri_process.program import Program

_REPORT = struct.Struct("<iiIIQ")
_LOCK = struct.Struct("hhqqixxxx")


@dataclass(frozen=True, slots=True)
class Start:
    """``error`` 0: it runs. Otherwise an errno and the label of the step that failed."""

    pid: int
    started_at: int
    error: int = 0
    label: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    code: int
    finished_at: int
    error: int = 0
    label: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """``monitor`` is its pid, 0 when it is gone; ``pid`` of the main process and its start, 0 if it never ran; ``exit`` if recorded."""

    monitor: int = 0
    pid: int = 0
    started_at: int = 0
    exit: Exit | None = None


#: Monitors that this process started, to be reaped when they end. Those of an earlier process are the init process's.
_children: set[int] = set()
_children_lock = threading.Lock()


def launch(executable: Path, program: Program, *, fds: Sequence[int] = (), session: int = -1) -> Start:
    """Carry out the program. Returns when its process has been executed, or has failed to be."""
    code = program.encode()
    memory = os.memfd_create("program", os.MFD_CLOEXEC)
    ours, theirs = os.pipe()
    try:
        os.write(memory, code)
        _spawn(executable, [memory, theirs, *([session] if session >= 0 else [])], fds)
        os.close(theirs)
        theirs = -1
        answer = os.read(ours, _REPORT.size)
    finally:
        for fd in (memory, ours, theirs):
            if fd >= 0:
                os.close(fd)
    if len(answer) < _REPORT.size:
        return Start(0, 0, errno.EIO, "start the monitor")
    error, pid, label, _, started_at = _REPORT.unpack(answer)
    return Start(pid, started_at, error, _text(code, label) if label else "prepare")


def _spawn(executable: Path, numbers: list[int], fds: Sequence[int]) -> None:
    """In a session of its own, so that no terminal's Ctrl-C reaches it."""
    process = subprocess.Popen(  # noqa: S603  our own monitor, no shell
        [str(executable), *map(str, numbers)],
        pass_fds=[*numbers, *fds],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    process.returncode = 0  # we reap it ourselves: without this, Popen warns of every container that outlives us
    reap()
    with _children_lock:
        _children.add(process.pid)


def reap() -> None:
    """Collect the monitors that have ended."""
    with _children_lock:
        for pid in list(_children):
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0]
            except ChildProcessError:
                ended = pid
            if ended:
                _children.discard(pid)


def holder(directory: Path) -> int:
    """The pid that holds ``lock``, 0 for none."""
    try:
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    try:
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, _LOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
    finally:
        os.close(fd)
    kind, _, _, _, pid = _LOCK.unpack(answer)
    return 0 if kind == fcntl.F_UNLCK else int(pid)


def life(directory: Path) -> Life:
    """The order matters: a monitor records the end, then lets go of the lock. Unlocked without an end means that it was killed."""
    monitor = holder(directory)
    ended = _words(directory / "exit")
    running = _words(directory / "running")
    pid, started_at = (int(running[0]), int(running[1])) if running else (0, 0)
    if not ended:
        return Life(monitor, pid, started_at)
    return Life(monitor, pid, started_at, Exit(int(ended[0]), int(ended[1]), int(ended[2]), ended[3]))


def monitor_fd(directory: Path) -> int:
    """A pidfd of the monitor, readable once it is gone; -1 if it is gone already."""
    pid = holder(directory)
    if not pid:
        return -1
    fd = _pidfd(pid)
    if fd >= 0 and holder(directory) != pid:
        os.close(fd)
        return -1
    return fd


def main_fd(directory: Path) -> int:
    """A pidfd of the running main process; -1 if there is none. Its pid cannot be reused while the monitor lives, which reaps it."""
    state = life(directory)
    if not state.monitor or not state.pid or state.exit:
        return -1
    fd = _pidfd(state.pid)
    if fd >= 0 and holder(directory) != state.monitor:
        os.close(fd)
        return -1
    return fd


def signal_main(directory: Path, number: int) -> None:
    fd = main_fd(directory)
    if fd < 0:
        return
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(fd, number)
    os.close(fd)


def kill_monitor(directory: Path, patience: float = 5.0) -> None:
    """SIGKILL to the lock's holder, and wait until it is gone: for a pause process."""
    fd = monitor_fd(directory)
    if fd < 0:
        return
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        select.select([fd], [], [], patience)
    finally:
        os.close(fd)


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").rstrip("\n").split(" ", 3)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _text(code: bytes, offset: int) -> str:
    return os.fsdecode(code[offset : code.index(b"\0", offset)])
