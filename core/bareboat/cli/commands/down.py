"""``bareboat down``."""

from __future__ import annotations

import argparse
import asyncio

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import Steps, print_json


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    parser.add_argument("--purge", action="store_true", help="also delete the data directory: all objects, certificates and volumes")
    parser.add_argument("--output", "-o", choices=["text", "json"], default="text")


def run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.down import down

    _, _, layout = cluster_of(arguments)
    steps = Steps(quiet=arguments.output == "json")
    asyncio.run(down(layout, steps, purge=arguments.purge))
    if arguments.output == "json":
        print_json(
            {"dataDir": str(layout.data_dir), "purged": arguments.purge, "seconds": {name: round(s, 3) for name, s in steps.timings}}
        )
    return 0
