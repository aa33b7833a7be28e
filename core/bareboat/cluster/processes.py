"""Starting the kernel's own processes so that they outlive the command line, and stopping them.

A child tells that it is ready by one line on a pipe of its own (``--ready-fd``); all else it prints goes to its log file.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bareboat.cluster.state import Process


class StartFailed(Exception):
    """The child ended, or was not ready in time; the text ends with the tail of its log."""


async def start(arguments: Sequence[str], log: Path, *, netns: str = "", timeout: float = 60.0) -> tuple[Process, str]:
    """Run ``bareboat ARGUMENTS`` detached, in network namespace ``netns`` if given; the process and its ready line."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "bareboat", *arguments, "--ready-fd", str(writer)]
    if netns:
        command = ["nsenter", f"--net=/run/netns/{netns}", "--", *command]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(  # noqa: ASYNC220, S603  fork and exec of ourselves takes a millisecond
            command, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, pass_fds=[writer], start_new_session=True
        )
    finally:
        os.close(descriptor)
        os.close(writer)
    try:
        line = await asyncio.wait_for(_first_line(reader), timeout)
    except TimeoutError:
        child.kill()
        raise StartFailed(f"{arguments[0]} was not ready in {timeout:g} s\n{tail(log)}") from None
    if not line:
        code = await asyncio.to_thread(child.wait)
        raise StartFailed(f"{arguments[0]} ended with exit code {code}\n{tail(log)}")
    return Process.of(child.pid), line


async def _first_line(descriptor: int) -> str:
    stream = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
    try:
        return (await stream.readline()).decode().strip()
    finally:
        transport.close()


async def stop(process: Process, grace: float = 10.0) -> None:
    """SIGTERM, then SIGKILL after ``grace`` seconds; returns when it is gone. Gone already: nothing to do."""
    if not process.alive:
        return
    os.kill(process.pid, signal.SIGTERM)
    if not await _gone(process, grace):
        os.kill(process.pid, signal.SIGKILL)
        await _gone(process, 5.0)


async def _gone(process: Process, seconds: float) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while process.alive:
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def announce(ready_fd: int | None, line: str) -> None:
    """Say once that this process is ready: to the parent's pipe if there is one, and to standard output."""
    print(line, flush=True)
    if ready_fd is not None:
        os.write(ready_fd, line.encode() + b"\n")
        os.close(ready_fd)


def tail(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
