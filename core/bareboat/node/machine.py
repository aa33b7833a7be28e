"""What the machine that a node lives on uses: CPU, memory, file system, network. Read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One look. ``booted`` in nanoseconds since the epoch, CPU in cumulative nanoseconds over all cores, the rest in bytes;
    ``faults``: pages that were not there, and those of them that had to be read; ``interfaces`` by name: received, sent, errors of both.
    """

    booted: int
    cpu_nanos: int
    memory_total: int
    memory_available: int
    memory_usage: int
    memory_rss: int
    faults: tuple[int, int]
    swap_usage: int
    disk_total: int
    disk_available: int
    inodes: int
    inodes_free: int
    interfaces: dict[str, tuple[int, int, int, int]]

    @property
    def working_set(self) -> int:
        return self.memory_total - self.memory_available


def look(directory: Path) -> Machine:
    """``directory`` is on the file system that counts."""
    memory = _memory()
    disk = os.statvfs(directory)
    return Machine(
        booted=_booted(),
        cpu_nanos=_cpu_nanos(),
        memory_total=memory["MemTotal"],
        memory_available=memory["MemAvailable"],
        memory_usage=memory["MemTotal"] - memory["MemFree"],
        memory_rss=memory["AnonPages"],
        faults=_faults(),
        swap_usage=memory.get("SwapTotal", 0) - memory.get("SwapFree", 0),
        disk_total=disk.f_blocks * disk.f_frsize,
        disk_available=disk.f_bavail * disk.f_frsize,
        inodes=disk.f_files,
        inodes_free=disk.f_ffree,
        interfaces=interfaces(),
    )


def _cpu_nanos() -> int:
    """All but idle and iowait; guest time is in user time already."""
    user, nice, system, _, _, irq, softirq, steal = (int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) * 1_000_000_000 // _TICKS


def _booted() -> int:
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return int(line.split()[1]) * 1_000_000_000


def _memory() -> dict[str, int]:
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {name.rstrip(":"): int(value) * 1024 for name, value, *unit in lines if unit}


def _faults() -> tuple[int, int]:
    counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return int(counts["pgfault"]), int(counts["pgmajfault"])


def interfaces(pid: int = 0) -> dict[str, tuple[int, int, int, int]]:
    """Of this process's network namespace, or of another process's; empty if that one is gone. The one with the default route is
    first, the loopback left out."""
    try:
        text = Path(f"/proc/{pid or 'self'}/net/dev").read_text()
    except OSError:
        return {}
    found = {}
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        counts = [int(n) for n in numbers.split()]
        if name.strip() != "lo":
            found[name.strip()] = (counts[0], counts[8], counts[2], counts[10])
    first = _default_interface(pid)
    return dict(sorted(found.items(), key=lambda item: item[0] != first))


def _default_interface(pid: int) -> str:
    try:
        rows = [line.split() for line in Path(f"/proc/{pid or 'self'}/net/route").read_text().splitlines()[1:]]
    except OSError:
        return ""
    return next((row[0] for row in rows if row[1] == "00000000"), "")
