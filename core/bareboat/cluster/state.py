"""What `bareboat up` started, on disk, so that `down`, `status` and the next `up` find it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from bareboat.cluster.layout import Layout


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """``started`` is the kernel's start time of the process in clock ticks: a reused pid does not match it."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid=pid, started=start_ticks(pid))

    @property
    def alive(self) -> bool:
        return self.started != 0 and start_ticks(self.pid) == self.started


class NodeState(msgspec.Struct, kw_only=True):
    """``netns`` is the name of the network namespace that the node lives in ("" = the machine's own). ``stopped`` on purpose."""

    name: str
    netns: str = ""
    address: str = ""
    process: Process | None = None
    stopped: bool = False

    @property
    def alive(self) -> bool:
        """Its agent runs."""
        return self.process is not None and self.process.alive


class ClusterState(msgspec.Struct, kw_only=True):
    """``separate``: every node has a network namespace of its own. ``network`` is that of
    the node hosts. ``logging`` are options of every process that is started."""

    name: str
    url: str = ""
    fake: bool = False
    separate: bool = False
    network: str = ""
    logging: list[str] = []
    server: Process | None = None
    nodes: list[NodeState] = []


def load(layout: Layout) -> ClusterState | None:
    """None if nothing was ever started from this data directory."""
    try:
        found = msgspec.json.decode(layout.state_file.read_bytes(), type=ClusterState)
    except FileNotFoundError:
        return None
    found.separate = found.separate or any(n.netns for n in found.nodes)  # written before there was such a field
    return found


def save(layout: Layout, state: ClusterState) -> None:
    """Atomically, mode 0600. What is taken down and started again is no longer stopped."""
    layout.stopped_file.unlink(missing_ok=True)
    write_private(layout.state_file, msgspec.json.format(msgspec.json.encode(state), indent=2))


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600, durably, and so that a reader sees the old or the new content."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """So that names that were made or changed in it outlast a power cut."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def start_ticks(pid: int) -> int:
    """Field 22 of /proc/PID/stat; 0 if there is no such process or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])
