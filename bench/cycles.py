"""Pods made and deleted again and again on one node: what is left on the machine, and how much memory the agent takes.

    python bench/cycles.py [--pods 50] [--rounds 10] [--output table|json]

Brings a cluster up in a folder of its own and takes it down again. Needs root.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bareboat.client import kubeconfig
from bareboat.client.client import Client
from bareboat.cluster.layout import Layout
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.scheme import Scheme

BAREBOAT = [sys.executable, "-m", "bareboat"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cluster"
        subprocess.run([*BAREBOAT, "up", "--port", "0", "--data-dir", str(data)], check=True, capture_output=True)
        try:
            found = asyncio.run(measure(data, arguments.pods, arguments.rounds))
        finally:
            subprocess.run([*BAREBOAT, "down", "--purge", "--data-dir", str(data)], check=True, capture_output=True)
        found["left after down"] = left(data)
    if arguments.output == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:32} {value}")
    return 0


def left(data: Path) -> dict[str, int]:
    """What carries the cluster's instance ids, by kind."""
    layout = Layout(data)
    instances = [layout.instance(), layout.instance("n1")]
    texts = {
        "links": subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout,
        "rules": subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout,
        "namespaces": subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout,
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "processes": subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout,
    }
    counts = {kind: sum(text.count(i) for i in instances) for kind, text in texts.items()}
    groups = [p for p in Path("/sys/fs/cgroup").glob("*/**/") if any(i in p.name for i in instances)]
    return {**counts, "cgroups": len(groups)}


def agent_memory(data: Path) -> float:
    """PSS of the agents, in MiB."""
    pids = subprocess.run(["pgrep", "-f", f"bareboat agent --data-dir {data}"], capture_output=True, text=True, check=True).stdout.split()
    lines = (line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return round(sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024, 1)


def pod(name: str) -> core_v1.Pod:
    containers = [{"name": "c", "image": "host", "command": ["sleep", "100000"]}]
    tree = {"metadata": {"name": name, "namespace": "default"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": containers}}
    return from_tree(core_v1.Pod, tree)


async def measure(data: Path, pods: int, rounds: int) -> dict[str, object]:
    transport = kubeconfig.load(data / "kubeconfig")
    client = Client(transport, Scheme.builtin())
    found: dict[str, object] = {"agent, 0 pods (MiB)": agent_memory(data)}
    idle = left(data)
    began = time.monotonic()
    for number in range(rounds):
        names = [f"p{number}-{i}" for i in range(pods)]
        await asyncio.gather(*(client.create(pod(name)) for name in names))
        await until(client, lambda items: sum(p.status.phase == "Running" for p in items) == pods)
        if number == 0:
            found[f"agent, {pods} pods (MiB)"] = agent_memory(data)
        await asyncio.gather(*(client.delete(core_v1.Pod, name, "default") for name in names))
        await until(client, lambda items: not items)
    found["pod cycles"] = pods * rounds
    found["seconds"] = round(time.monotonic() - began, 1)
    await asyncio.sleep(5)
    after = left(data)
    found["agent after the cycles (MiB)"] = agent_memory(data)
    found["left by the cycles"] = {kind: after[kind] - idle[kind] for kind in after}
    await transport.close()
    return found


async def until(client: Client, holds: object) -> None:
    async with asyncio.timeout(120):
        while not holds((await client.list(core_v1.Pod, "default")).items):  # type: ignore[operator]
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
