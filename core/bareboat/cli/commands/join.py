"""``bareboat join``: make this machine a node of a cluster that runs elsewhere."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from bareboat.cli.logs import add_logging_options, configure, passed_on
from bareboat.cli.screen import Steps, print_json


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", metavar="HOST:PORT", help="the API server")
    parser.add_argument("--token", default="", metavar="ID.SECRET", help="a bootstrap token of the cluster")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="read the token from a file, so that no process list shows it")
    parser.add_argument(
        "--ca-cert-hash", action="append", default=[], metavar="sha256:HEX", help="hash of the key of the cluster's CA; may be repeated"
    )
    parser.add_argument(
        "--unsafe-skip-ca-verification",
        action="store_true",
        help="trust the token's signature alone: whoever has the token can be the cluster",
    )
    parser.add_argument("--node", default="", metavar="NAME", help="name of the node (default: the machine's)")
    parser.add_argument("--node-address", default="", metavar="IP", help="the node's address, if it is not the machine's first")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the node keeps its files (default: /var/lib/bareboat/joined)")
    add_logging_options(parser)
    parser.add_argument("--output", "-o", choices=["text", "json"], default="text")


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    import socket

    from bareboat.base.ids import SystemIds
    from bareboat.cluster.joining.join import Join, Plan
    from bareboat.cluster.layout import Layout

    configure(arguments)
    layout = Layout(arguments.data_dir) if arguments.data_dir else Layout.default("joined")
    plan = Plan(
        address=arguments.address.removeprefix("https://").rstrip("/"),
        token=_token(arguments),
        node=arguments.node or socket.gethostname().lower(),
        pins=_pins(arguments),
        node_address=arguments.node_address,
        logging=passed_on(arguments),
    )
    steps = Steps(quiet=arguments.output == "json")
    state = await Join(layout, plan, SystemIds()).run(steps)
    if arguments.output == "json":
        print_json(state)
    else:
        steps.say(f"\n`bareboat down --data-dir {layout.data_dir}` takes the node away again")
    return 0


def _token(arguments: argparse.Namespace) -> str:
    from bareboat.cluster.errors import ClusterError

    if arguments.token_file is None:
        return str(arguments.token)
    try:
        return str(arguments.token_file.read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(f"{arguments.token_file} cannot be read: {type(error).__name__}") from error


def _pins(arguments: argparse.Namespace) -> list[str]:
    from bareboat.cluster.errors import ClusterError

    if not arguments.ca_cert_hash and not arguments.unsafe_skip_ca_verification:
        raise ClusterError(
            "--ca-cert-hash is needed (`bareboat token create --print-join-command` shows it), or --unsafe-skip-ca-verification"
        )
    return list(arguments.ca_cert_hash)
