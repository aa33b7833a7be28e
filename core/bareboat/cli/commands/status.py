"""``bareboat status``: what runs, and what it costs in memory."""

from __future__ import annotations

import argparse
from pathlib import Path

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import print_json, table
from bareboat.cluster import state as states
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.state import Process


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    parser.add_argument("--output", "-o", choices=["table", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    _, _, layout = cluster_of(arguments)
    state = states.load(layout)
    if state is None:
        raise ClusterError(f"no cluster was started from {layout.data_dir}: start one with `bareboat up`")
    rows = [("server", state.url, state.server), *((f"agent {n.name}", n.address or "-", n.process) for n in state.nodes)]
    described = [_describe(name, address, process) for name, address, process in rows]
    if arguments.output == "json":
        print_json(described)
    else:
        table(("COMPONENT", "ADDRESS", "STATE", "PID", "MEMORY (PSS)"), [tuple(d.values()) for d in described])
    return 0 if all(d["state"] == "running" for d in described) else 1


def _describe(name: str, address: str, process: Process | None) -> dict[str, str]:
    alive = process is not None and process.alive
    pid = process.pid if process else 0
    memory = f"{pss_bytes(pid) / 2**20:.0f} MiB" if alive else "-"
    return {"component": name, "address": address, "state": "running" if alive else "stopped", "pid": str(pid), "memory": memory}


def pss_bytes(pid: int) -> int:
    """Proportional set size of a process, from /proc."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return 0
