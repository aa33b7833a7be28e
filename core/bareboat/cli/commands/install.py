"""``bareboat install``: the cluster as a systemd service."""

from __future__ import annotations

import argparse
from pathlib import Path

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import print_json


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    add_unit_options(parser)
    parser.add_argument("--nodes", type=int, metavar="N", help="as for `bareboat up`")
    parser.add_argument("--port", type=int, metavar="N", help="as for `bareboat up`")
    parser.add_argument("--fake", action="store_true", help="nodes as data")


def add_unit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--unit-dir", type=Path, metavar="DIR", help="write the unit there and call no systemctl (default: /etc/systemd/system)"
    )
    parser.add_argument("--output", "-o", choices=["text", "json"], default="text")


def run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.unit import install

    cluster, _, layout = cluster_of(arguments)
    options: list[str] = []
    if arguments.config is not None:
        options += ["--config", str(arguments.config.expanduser().resolve())]
    options += ["--nodes", str(arguments.nodes)] if arguments.nodes is not None else []
    options += ["--port", str(arguments.port)] if arguments.port is not None else []
    options += ["--fake"] if arguments.fake else []
    show(install(layout, cluster.name, options, arguments.unit_dir), arguments.output)
    return 0


def show(done: object, output: str) -> None:
    """What was done, and what is left to do."""
    from bareboat.cluster.unit import Done

    assert isinstance(done, Done)
    if output == "json":
        print_json(done)
        return
    for action in done.actions:
        print(action)
    if not done.changed:
        print(f"{done.path} is as it should be")
    if done.todo:
        print("left to do, where systemd runs:")
        for line in done.todo:
            print(f"  {line}")
