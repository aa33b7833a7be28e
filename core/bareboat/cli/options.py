"""Options that several subcommands share, and what they mean."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from bareboat.cluster.file.reading import ClusterFileError, Lines, read
from bareboat.cluster.file.shape import RUNTIMES, STORAGE, STORAGE_OBJECTS, ClusterFile, Node, Runtime, Use, fake
from bareboat.cluster.layout import Layout


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """--config, --name, --data-dir."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="cluster file (default: DATA/cluster.yaml if it exists, else the built-in defaults)"
    )
    parser.add_argument("--name", help="cluster name (default: the cluster file's, else bareboat)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the cluster keeps its files (default: /var/lib/bareboat/NAME)")


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """--port, --address, --write-kubeconfig, --store, --store-option, --controllers."""
    parser.add_argument(
        "--port", type=int, metavar="N", help="port of the API server, 0 for any free one (default: the cluster file's, else 6443)"
    )
    parser.add_argument("--address", help="address to listen on (default: the cluster file's, else all)")
    parser.add_argument("--write-kubeconfig", type=Path, metavar="FILE", help="also write the administrator's kubeconfig here, mode 0600")
    parser.add_argument(
        "--store",
        metavar="NAME",
        help="where objects are kept: sqlite, memory, postgres, etcd … (default: the cluster file's, else sqlite)",
    )
    parser.add_argument(
        "--store-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the store, e.g. url=postgresql://bareboat@db/bareboat; may be repeated",
    )
    parser.add_argument(
        "--controllers",
        metavar="LIST",
        help='controllers to run, comma separated: names, "*" for all, "-NAME" for all but one, "" for an API server alone '
        "(default: the cluster file's, else all)",
    )


def cluster_of(arguments: argparse.Namespace) -> tuple[ClusterFile, Lines | None, Layout]:
    """The cluster file in force, its lines (None for the defaults) and the layout. Raises ClusterFileError."""
    name = arguments.name or "bareboat"
    layout = Layout(arguments.data_dir) if arguments.data_dir else Layout.default(name)
    path: Path | None = arguments.config
    if path is None and layout.cluster_file.exists():
        path = layout.cluster_file
    lines: Lines | None = None
    if path is not None:
        cluster, lines = read(path)
        if not arguments.data_dir and not arguments.name:
            layout = Layout.default(cluster.name)
    else:
        cluster = fake(name) if getattr(arguments, "fake", False) else _usual(name, alone=getattr(arguments, "command", "") == "server")
    if arguments.name:
        cluster = msgspec.structs.replace(cluster, name=arguments.name)
    return _with_server(cluster, arguments), lines, layout


def _usual(name: str, *, alone: bool) -> ClusterFile:
    """The built-in defaults, with the runtime that is installed, and local storage where that is; ``alone``: a server without nodes."""
    from bareboat.contracts.hooks import GROUP
    from bareboat.plugins.inventory import DRIVER_GROUPS, Inventory

    inventory = Inventory()
    installed = inventory.names(DRIVER_GROUPS["runtime"])
    runtime = next((r for r in RUNTIMES if r in installed), RUNTIMES[0])
    cluster = ClusterFile(name=name, node=Node(runtimes=[Runtime(use=runtime)]))
    if alone or STORAGE not in inventory.names(DRIVER_GROUPS["storage"]) or STORAGE_OBJECTS not in inventory.names(GROUP):
        return cluster
    node = msgspec.structs.replace(cluster.node, storage=[Use(use=STORAGE)])
    return msgspec.structs.replace(cluster, node=node, plugins=[*cluster.plugins, Use(use=STORAGE_OBJECTS)])


def _with_server(cluster: ClusterFile, arguments: argparse.Namespace) -> ClusterFile:
    port = getattr(arguments, "port", None)
    address = getattr(arguments, "address", None)
    server = msgspec.structs.replace(
        cluster.server, port=cluster.server.port if port is None else port, address=address or cluster.server.address
    )
    wanted = getattr(arguments, "controllers", None)
    controllers = cluster.controllers if wanted is None else [name.strip() for name in wanted.split(",") if name.strip()]
    return msgspec.structs.replace(cluster, server=server, controllers=controllers, store=_store(cluster.store, arguments))


def _store(store: Use, arguments: argparse.Namespace) -> Use:
    """The cluster file's, unless another is wanted; options are added to its own. Raises ClusterFileError."""
    name = getattr(arguments, "store", None)
    if name and name != store.use:
        store = Use(use=name)
    options = dict(store.options)
    for text in getattr(arguments, "store_option", []):
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise ClusterFileError("--store-option", 0, f"{text}: KEY=VALUE is wanted")
        try:
            options[key] = msgspec.yaml.decode(value.encode())
        except msgspec.MsgspecError:
            options[key] = value
    return msgspec.structs.replace(store, options=options)
