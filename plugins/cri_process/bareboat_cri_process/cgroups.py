"""Control groups of version 1 and 2: limits, membership, what was used, and killing what is inside.

What comes in: a group's name, ``bareboat-<instance>/<sandbox>/<container>``, and numbers. What goes out: directories below the
machine's cgroup mounts and what the kernel says in them. The version is detected; a machine without a controller simply has no such
limit. Not here: which limits a pod asked for.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from bareboat.contracts.cri import Resources

_WANTED = ("cpu", "cpuacct", "memory", "pids")


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_nanos: int = 0
    memory: int = 0
    working_set: int = 0
    pids: int = 0


class Cgroups:
    """The groups of one driver instance. ``mounts`` maps a version 1 controller to its mount, or "" to that of version 2."""

    def __init__(self, instance: str, mounts: dict[str, Path]) -> None:
        self.base = f"bareboat-{instance}"
        self.mounts = mounts
        self.unified = "" in mounts

    def hierarchies(self) -> dict[str, str]:
        """Of version 1: what each is called below /sys/fs/cgroup, and what to mount there."""
        found: dict[Path, list[str]] = {}
        for controller, mount in self.mounts.items():
            if controller:
                found.setdefault(mount, []).append(controller)
        return {mount.name: ",".join(sorted(controllers)) for mount, controllers in found.items()}

    def roots(self) -> list[Path]:
        return [mount / self.base for mount in dict.fromkeys(self.mounts.values())]

    def directories(self, group: str) -> list[Path]:
        return [root / group for root in self.roots()]

    def procs(self, group: str) -> list[str]:
        """The files that a process writes itself into."""
        return [str(d / "cgroup.procs") for d in self.directories(group)]

    def create(self, group: str, resources: Resources) -> None:
        if self.unified:
            self._delegate(group)
        for directory in self.directories(group):
            directory.mkdir(parents=True, exist_ok=True)
        self.limit(group, resources)

    def limit(self, group: str, resources: Resources) -> None:
        for controller, name, value in _settings(self.unified, resources):
            mount = self.mounts.get("" if self.unified else controller)
            if mount is not None:
                _write(mount / self.base / group / name, value)

    def pids(self, group: str) -> list[int]:
        """The processes inside, by the first hierarchy: a container's process is in all of them or has not started."""
        for directory in self.directories(group):
            try:
                return [int(p) for p in (directory / "cgroup.procs").read_text().split()]
            except OSError:
                continue
        return []

    def kill(self, group: str) -> bool:
        """SIGKILL to all inside. Returns whether it was empty."""
        pids = self.pids(group)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not pids

    def remove(self, group: str, patience: float = 5.0) -> None:
        """Remove the group and those below it; what still runs inside is killed. The kernel needs a moment after the last exit."""
        deadline = time.monotonic() + patience
        for directory in self.directories(group):
            for path, _, _ in os.walk(directory, topdown=False):
                _remove(Path(path), deadline)

    def remove_base(self) -> None:
        """Remove the instance's own group once it is empty."""
        for root in self.roots():
            try:
                root.rmdir()
            except OSError:
                pass

    def groups(self) -> set[str]:
        """The sandboxes that have a group, whoever made it."""
        return {d.name for root in self.roots() if root.is_dir() for d in root.iterdir() if d.is_dir()}

    def oom_kills(self, group: str) -> int:
        name = "memory.events" if self.unified else "memory.oom_control"
        return _field(self._file("memory", group, name), "oom_kill")

    def usage(self, group: str) -> Usage:
        if self.unified:
            nanos = _field(self._file("cpu", group, "cpu.stat"), "usage_usec") * 1000
            memory = _number(self._file("memory", group, "memory.current"))
            inactive = _field(self._file("memory", group, "memory.stat"), "inactive_file")
        else:
            nanos = _number(self._file("cpuacct", group, "cpuacct.usage"))
            memory = _number(self._file("memory", group, "memory.usage_in_bytes"))
            inactive = _field(self._file("memory", group, "memory.stat"), "total_inactive_file")
        pids = _number(self._file("pids", group, "pids.current"))
        return Usage(nanos, memory, max(0, memory - inactive), pids)

    def _file(self, controller: str, group: str, name: str) -> Path | None:
        mount = self.mounts.get("" if self.unified else controller)
        return mount / self.base / group / name if mount is not None else None

    def _delegate(self, group: str) -> None:
        """Version 2 hands controllers down one level at a time."""
        mount = self.mounts[""]
        levels = [mount, mount / self.base, *(mount / self.base / p for p in Path(group).parents if str(p) != ".")]
        for level in levels:
            level.mkdir(exist_ok=True)
            for controller in ("cpu", "memory", "pids"):
                _write(level / "cgroup.subtree_control", f"+{controller}")


def detect(instance: str, mountinfo: str | None = None) -> Cgroups:
    """Version 1 where its memory or pids controller is mounted, else version 2."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    mounts: dict[str, Path] = {}
    unified: Path | None = None
    for line in text.splitlines():
        place, _, kind = line.partition(" - ")
        path = Path(place.split()[4])
        if place.split()[5].split(",")[0] == "ro":  # within another container: seen, but not ours to use
            continue
        if kind.startswith("cgroup2 "):
            unified = path
        elif kind.startswith("cgroup "):
            mounts |= dict.fromkeys(set(kind.split()[2].split(",")) & set(_WANTED), path)
    if {"memory", "pids"} & set(mounts):
        return Cgroups(instance, {c: mounts[c] for c in ("pids", "memory", "cpu", "cpuacct") if c in mounts})
    return Cgroups(instance, {"": unified} if unified else {})


def _settings(unified: bool, r: Resources) -> list[tuple[str, str, str]]:
    period = r.cpu_period or 100_000
    if unified:
        weight = 1 + ((max(r.cpu_shares, 2) - 2) * 9999) // 262142 if r.cpu_shares else 100
        return [
            ("cpu", "cpu.weight", str(weight)),
            ("cpu", "cpu.max", f"{r.cpu_quota if r.cpu_quota > 0 else 'max'} {period}"),
            ("memory", "memory.max", str(r.memory_limit or "max")),
            ("pids", "pids.max", str(r.pids_limit or "max")),
        ]
    return [
        ("cpu", "cpu.shares", str(r.cpu_shares or 1024)),
        ("cpu", "cpu.cfs_period_us", str(period)),
        ("cpu", "cpu.cfs_quota_us", str(r.cpu_quota if r.cpu_quota > 0 else -1)),
        ("memory", "memory.limit_in_bytes", str(r.memory_limit or -1)),
        ("pids", "pids.max", str(r.pids_limit or "max")),
    ]


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except (FileNotFoundError, PermissionError):
        return  # a kernel without this controller or file has no such limit
    except OSError as error:
        if error.errno not in (16, 22, 95):  # busy, invalid, not supported: the value in force stays
            raise


def _remove(path: Path, deadline: float) -> None:
    while path.exists():
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            for pid in (path / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.002)


def _number(path: Path | None) -> int:
    try:
        return int(path.read_text()) if path else 0
    except (OSError, ValueError):
        return 0


def _field(path: Path | None, name: str) -> int:
    try:
        lines = path.read_text().splitlines() if path else []
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name + " ")), 0)
