"""``bareboat uninstall``: no systemd service any more."""

from __future__ import annotations

import argparse

from bareboat.cli.commands.install import add_unit_options, show
from bareboat.cli.options import add_cluster_options, cluster_of


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    add_unit_options(parser)


def run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.unit import uninstall

    cluster, _, _ = cluster_of(arguments)
    show(uninstall(cluster.name, arguments.unit_dir), arguments.output)
    return 0
