"""``bareboat demo``: the main job from nothing to clean again, every step shown with its time."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

import msgspec

from bareboat.cli.screen import Steps, print_json, table
from bareboat.cluster.file.shape import ClusterFile, fake


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--examples", type=Path, default=Path("examples/hello"), metavar="DIR", help="manifests to run (default: examples/hello)"
    )
    parser.add_argument("--fake", action="store_true", help="nodes as data, as without root")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port of the API server (default: any free one)")
    parser.add_argument("--output", "-o", choices=["text", "json"], default="text")


def run(arguments: argparse.Namespace) -> int:
    as_data = arguments.fake or os.geteuid() != 0
    steps = Steps(quiet=arguments.output == "json")
    if as_data and not arguments.fake:
        steps.say("Not root: running on fake nodes. Left out: real processes, the network, calls to the Service.")
    with tempfile.TemporaryDirectory(prefix="bareboat-demo-") as directory:
        asyncio.run(_run(arguments, steps, Path(directory), as_data))
    if arguments.output == "json":
        print_json({name: round(seconds, 3) for name, seconds in steps.timings})
    else:
        print()
        table(("STEP", "SECONDS"), [(name, f"{seconds:.2f}") for name, seconds in steps.timings])
    return 0


async def _run(arguments: argparse.Namespace, steps: Steps, directory: Path, as_data: bool) -> None:
    from bareboat.cluster.demo import Demo
    from bareboat.cluster.down import down
    from bareboat.cluster.layout import Layout
    from bareboat.cluster.up import Up

    layout = Layout(directory / "demo")
    cluster = fake("demo") if as_data else ClusterFile(name="demo")
    cluster = msgspec.structs.replace(cluster, server=msgspec.structs.replace(cluster.server, port=arguments.port))
    up = Up(layout, cluster, count=1, fake=as_data)
    try:
        await up.run(steps)
        demo = Demo(layout, arguments.examples, steps, real=not as_data)
        try:
            await demo.run()
        finally:
            await demo.close()
    finally:
        await down(layout, steps, purge=True)
