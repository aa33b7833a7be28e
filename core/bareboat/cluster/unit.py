"""The cluster as a systemd service: ``bareboat up`` in the foreground, started with the machine.

systemd ends and restarts only that process (KillMode=process): server and agents are ended by it, containers go on and are found again.
Writing the same unit twice changes nothing. Where no systemd runs, the unit is written and the commands are told instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bareboat.cluster.errors import ClusterError
from bareboat.cluster.layout import Layout
from bareboat.cluster.state import write_private

UNITS = Path("/etc/systemd/system")


class Done(msgspec.Struct, kw_only=True):
    """``actions`` is what was done, ``todo`` the commands that are left to whoever administers the machine."""

    unit: str
    path: str
    changed: bool
    systemd: bool
    actions: list[str] = []
    todo: list[str] = []


def name_of(cluster: str) -> str:
    return f"bareboat-{cluster}.service"


def text(cluster: str, command: Sequence[str]) -> str:
    """The unit."""
    return f"""[Unit]
Description=Bareboat cluster {cluster}
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={" ".join(quoted(word) for word in command)}
KillMode=process
Delegate=yes
Restart=on-failure
RestartSec=2
TimeoutStartSec=180
TimeoutStopSec=60
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""


def quoted(word: str) -> str:
    """As systemd reads command lines: specifiers and variables taken literally, quoted where it splits."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if any(c in word for c in " \t\"'\\;") else plain


def command_of(layout: Layout, cluster: str, options: Sequence[str]) -> list[str]:
    """What the service runs: this interpreter's Bareboat."""
    words = [sys.executable, "-m", "bareboat", "up", "--foreground", "--keep", "--name", cluster]
    return [*words, "--data-dir", str(layout.data_dir), *options]


def runs_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def install(layout: Layout, cluster: str, options: Sequence[str], directory: Path | None) -> Done:
    """``directory`` other than systemd's own: only write. Raises ClusterError."""
    place, unit = directory or UNITS, name_of(cluster)
    path, content = place / unit, text(cluster, command_of(layout, cluster, options)).encode()
    changed = not path.exists() or path.read_bytes() != content
    done = Done(unit=unit, path=str(path), changed=changed, systemd=directory is None and runs_systemd())
    if changed:
        _write(path, content)
        done.actions.append(f"wrote {path}")
    commands = [["systemctl", "daemon-reload"]] if changed else []
    _carry_out(done, [*commands, ["systemctl", "enable", "--now", unit]])
    if directory is not None:
        done.todo.insert(0, f"cp {path} {UNITS}")
    return done


def uninstall(cluster: str, directory: Path | None) -> Done:
    """The service stops and its unit goes; the cluster's containers and data stay (``down`` removes them)."""
    place, unit = directory or UNITS, name_of(cluster)
    path = place / unit
    done = Done(unit=unit, path=str(path), changed=path.exists(), systemd=directory is None and runs_systemd())
    if not path.exists():
        return done
    _carry_out(done, [["systemctl", "disable", "--now", unit]])
    path.unlink()
    done.actions.append(f"removed {path}")
    _carry_out(done, [["systemctl", "daemon-reload"]])
    return done


def _write(path: Path, content: bytes) -> None:
    if not path.parent.is_dir():
        raise ClusterError(f"{path.parent} does not exist: name another place with --unit-dir")
    if not os.access(path.parent, os.W_OK):
        raise ClusterError(f"{path.parent} is not writable: run it with sudo, or name another place with --unit-dir")
    write_private(path, content)
    path.chmod(0o644)


def _carry_out(done: Done, commands: list[list[str]]) -> None:
    for command in commands:
        line = " ".join(command)
        if not done.systemd:
            done.todo.append(line)
            continue
        ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own words
        if ran.returncode:
            raise ClusterError(f"{line} failed: {ran.stderr.strip()}")
        done.actions.append(line)
