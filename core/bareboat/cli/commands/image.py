"""``bareboat image load|list|prune``: the images of a running cluster's nodes."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import print_json, table
from bareboat.cluster.errors import ClusterError

if TYPE_CHECKING:
    from bareboat.cluster.node_images import Answer, NodeImages


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    load = verbs.add_parser("load", help="load a `docker save` archive or an OCI layout (a tar, or a directory) into the nodes")
    load.add_argument("file", type=Path, metavar="FILE")
    load.add_argument("--tag", default="", help="name for an image that the file does not name")
    verbs.add_parser("list", help="show what images the nodes have")
    prune = verbs.add_parser("prune", help="remove images that no container uses and no name leads to")
    prune.add_argument("--all", "-a", action="store_true", help="named images too")
    for verb in verbs.choices.values():
        add_cluster_options(verb)
        verb.add_argument("--node", action="append", default=[], metavar="NAME", help="this node only; may be repeated (default: all)")
        verb.add_argument("--output", "-o", choices=["table", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.node_images import NodeImages

    _, _, layout = cluster_of(arguments)
    images = NodeImages(layout, arguments.node)
    try:
        answers = await _VERBS[arguments.verb](images, arguments)
    finally:
        await images.close()
    failed = [answer for answer in answers if answer.error]
    for answer in failed:
        print(f"bareboat image: node {answer.node}: {answer.error}", file=sys.stderr)
    return 1 if failed else 0


async def _list(images: NodeImages, arguments: argparse.Namespace) -> list[Answer]:
    answers = await images.listed()
    _show(answers, arguments.output, ("NODE", "IMAGE", "ID", "SIZE"))
    return answers


async def _prune(images: NodeImages, arguments: argparse.Namespace) -> list[Answer]:
    answers = await images.prune(everything=arguments.all)
    _show(answers, arguments.output, ("NODE", "REMOVED", "ID", "SIZE"))
    return answers


async def _load(images: NodeImages, arguments: argparse.Namespace) -> list[Answer]:
    nodes = await images.names()
    with _sendable(arguments.file) as path, _progress(path.stat().st_size * len(nodes), quiet=arguments.output == "json") as sent:
        answers = await images.load(path, arguments.tag, sent)
    if arguments.output == "json":
        print_json([{"node": a.node, "ids": a.content["ids"]} for a in answers if not a.error])
    else:
        table(("NODE", "LOADED"), [(a.node, found) for a in answers if not a.error for found in a.content["ids"]])
    return answers


_VERBS = {"load": _load, "list": _list, "prune": _prune}


def _show(answers: list[Answer], output: str, headers: tuple[str, ...]) -> None:
    rows: list[dict[str, Any]] = [{"node": a.node, **image} for a in answers for image in a.content.get("images", ())]
    if output == "json":
        print_json(rows)
        return
    table(headers, [(r["node"], name, short(r["id"]), size(r["size"])) for r in rows for name in r["tags"] or r["digests"] or ("<none>",)])


def short(identity: str) -> str:
    """As people tell images apart."""
    return identity.removeprefix("sha256:")[:12] if identity.startswith("sha256:") else identity


def size(count: int) -> str:
    """Bytes in the largest unit that leaves at least one: 3.2MB."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g}{units[0]}" if count else "-"


@contextmanager
def _sendable(path: Path) -> Iterator[Path]:
    """A file; a directory is packed into one first."""
    import tarfile
    import tempfile

    if not path.exists():
        raise ClusterError(f"{path} does not exist")
    if not path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as directory:
        packed = Path(directory) / "layout.tar"
        with tarfile.open(packed, "w") as archive:
            archive.add(path, arcname=".")
        yield packed


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere; over all nodes."""
    if quiet or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("sending"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("sending", total=total)
        yield lambda count: progress.update(task, advance=count)
