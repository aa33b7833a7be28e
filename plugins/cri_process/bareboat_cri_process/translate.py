"""Contract values ↔ this driver's own: what a container runs, states, and failures in words. Pure functions."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping

from bareboat.contracts.cri import Container, ContainerConfig, Sandbox
from bareboat.contracts.errors import DriverError, Exhausted, InvalidConfig, Unavailable
from bareboat_cri_process.container import DEFAULT_PATH
from bareboat_cri_process.monitors import Life
from bareboat_cri_process.records import ContainerRecord, SandboxRecord

_LOST = "the end was not recorded: its monitor was killed, or the machine went down"
LOST_CODE = 137
EXHAUSTED = frozenset((errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN))


def argv_of(config: ContainerConfig, entrypoint: tuple[str, ...], cmd: tuple[str, ...]) -> tuple[str, ...]:
    """``command`` replaces the entry point and, without ``args``, drops the image's own arguments too."""
    argv = (*config.command, *config.args) if config.command else (*entrypoint, *(config.args or cmd))
    if not argv:
        raise InvalidConfig("no command specified", reason="CreateContainerError")
    return argv


def environment(image: tuple[str, ...], config: ContainerConfig, hostname: str, home: str) -> tuple[tuple[str, str], ...]:
    """In order, later wins: defaults, the image's, the container's."""
    merged = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    merged |= {name: value for name, _, value in (e.partition("=") for e in image)}
    merged |= dict(config.env)
    merged.setdefault("HOME", home)
    for name, value in merged.items():
        if "\0" in name + value or "=" in name or not name:
            raise InvalidConfig(f"environment variable {name!r} cannot be set", reason="CreateContainerError")
    return tuple(merged.items())


def signal_number(name: str) -> int:
    """``SIGTERM``, ``TERM``, ``15``, ``SIGRTMIN+3``; empty is SIGTERM."""
    text = name.upper().removeprefix("SIG") or "TERM"
    base, _, offset = text.partition("+")
    if text.isdigit() and 0 < int(text) < 65:
        return int(text)
    try:
        return int(signal.Signals["SIG" + base]) + int(offset or 0)
    except (KeyError, ValueError) as error:
        raise InvalidConfig(f"unknown stop signal {name!r}", reason="CreateContainerError") from error


def start_failure(label: str, error: int) -> str:
    """The words that users know for a command that cannot be executed; for anything else the step that failed and why."""
    reason = os.strerror(error).lower()
    if not label.startswith("exec: "):
        return f"unable to start container process: {label}: {reason}"
    command = label.removeprefix("exec: ")
    if error == 2 and "/" not in command:
        return f'unable to start container process: exec: "{command}": executable file not found in $PATH'
    if error == 2:
        return f'unable to start container process: exec: "{command}": stat {command}: no such file or directory'
    return f'unable to start container process: exec: "{command}": {reason}'


def machine_failure(error: OSError) -> DriverError:
    """What the machine refused: full or out of something, or not to be reached now."""
    if error.errno in EXHAUSTED:
        return Exhausted(f"the machine has run out: {error}")
    return Unavailable(str(error))


def sandbox_of(record: SandboxRecord, pid: int) -> Sandbox:
    netns = "" if record.config.host_network or not pid else f"/proc/{pid}/ns/net"
    state = "READY" if pid else "NOTREADY"
    return Sandbox(id=record.id, config=record.config, state=state, created_at=record.created_at, netns=netns, pid=pid)  # type: ignore[arg-type]


def container_of(record: ContainerRecord, life: Life, *, oom: bool) -> Container:
    facts: Mapping[str, object] = {}
    if life.exit is not None:
        facts = _ended(life, oom=oom)
    elif life.monitor and life.pid:
        facts = {"state": "RUNNING", "started_at": life.started_at, "pid": life.pid}
    elif life.pid:
        end = {"finished_at": life.started_at, "exit_code": LOST_CODE, "reason": "Error", "message": _LOST}
        facts = {"state": "EXITED", "started_at": life.started_at} | end
    known = {"state": "CREATED", "id": record.id, "sandbox_id": record.sandbox_id, "config": record.config}
    return Container(**{**known, "image_id": record.image_id, "created_at": record.created_at, **facts})  # type: ignore[arg-type]


def _ended(life: Life, *, oom: bool) -> dict[str, object]:
    end = life.exit
    assert end is not None
    facts: dict[str, object] = {"state": "EXITED", "started_at": life.started_at, "finished_at": end.finished_at, "exit_code": end.code}
    if end.error:
        return facts | {"reason": "StartError", "message": start_failure(end.label, end.error)}
    if oom and end.code:
        return facts | {"reason": "OOMKilled"}
    return facts | {"reason": "Error" if end.code else "Completed"}
