"""``bareboat down``."""

from __future__ import annotations

import argparse
import asyncio

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import Steps


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    parser.add_argument("--purge", action="store_true", help="also delete the data directory: all objects, certificates and volumes")


def run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.down import down

    _, _, layout = cluster_of(arguments)
    asyncio.run(down(layout, Steps(), purge=arguments.purge))
    return 0
