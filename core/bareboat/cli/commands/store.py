"""``bareboat store``: back up, restore, verify, compact, look into and seal again what the cluster keeps."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import print_json, table

if TYPE_CHECKING:
    from bareboat.cluster.storekeeping import Sink

#: exit code of ``verify`` when something is wrong
DAMAGED = 3


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    backup = verbs.add_parser("backup", help="write all objects, as they are at one revision, to a file, while the server runs or not")
    backup.add_argument("file", type=Path, metavar="FILE")
    restore = verbs.add_parser("restore", help="fill the store of a stopped cluster from a backup, with new revisions")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument("--force", action="store_true", help="replace what is in the store")
    verify = verbs.add_parser("verify", help=f"check the store, or a backup; ends with code {DAMAGED} if something is wrong")
    verify.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a backup (default: the store)")
    verify.add_argument("--full", action="store_true", help="on a running server too: the back end's own check; writes wait meanwhile")
    compact = verbs.add_parser("compact", help="forget history, and give unused space back")
    compact.add_argument("--revision", type=int, default=0, metavar="R", help="up to this one (default: all of it)")
    verbs.add_parser("stats", help="objects and bytes per resource, the largest objects, revisions")
    get = verbs.add_parser("get", help="print one object, now or as it was")
    get.add_argument("key", metavar="KEY", help="a stored key (core/secrets/NAMESPACE/NAME), or a kind and NAMESPACE/NAME or NAME")
    get.add_argument("object", nargs="?", default="", metavar="NAME")
    get.add_argument("--at-revision", type=int, default=0, metavar="R", help="as it was at that revision (default: now)")
    verbs.add_parser("reencrypt", help="write again every object that is not sealed as it would be now, after keys were changed")
    for verb in verbs.choices.values():
        add_cluster_options(verb)
        verb.add_argument("--output", "-o", choices=["table", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    from bareboat.contracts.store import Compacted

    try:
        return asyncio.run(_VERBS[arguments.verb](arguments))
    except Compacted as error:
        print(f"bareboat store: {error}", file=sys.stderr)
        return 1


async def _ask(arguments: argparse.Namespace, verb: str, sink: Sink | None = None, **fields: Any) -> tuple[Any, bool]:
    """The result, and whether a running server gave it."""
    from bareboat.cluster.file.choices import server_plugins
    from bareboat.cluster.storekeeping import Request, reached
    from bareboat.plugins.loader import Loader

    cluster, lines, layout = cluster_of(arguments)
    _must_exist(layout.data_dir)
    async with reached(cluster, layout, lambda: server_plugins(cluster, Loader(), lines).store) as door:
        if verb == "verify" and not door.live:  # nobody has to wait for it
            fields["file"] = True
        with _Progress(verb, quiet=arguments.output == "json") as progress:
            return await door.ask(Request(verb=verb, **fields), progress, sink or _nowhere), door.live


def _must_exist(directory: Path) -> None:
    from bareboat.cluster.errors import ClusterError

    if not (directory / "server").is_dir():
        raise ClusterError(f"there is no cluster in {directory}: give --data-dir or --name")


async def _nowhere(data: bytes) -> None:
    raise AssertionError(f"{len(data)} bytes that nobody asked for")


async def _backup(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.errors import ClusterError
    from bareboat.cluster.state import sync_directory

    target: Path = arguments.file
    temporary = target.with_name(f".{target.name}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ClusterError(f"{temporary} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:

            async def sink(data: bytes) -> None:
                await asyncio.to_thread(file.write, data)

            header, _ = await _ask(arguments, "backup", sink)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        raise ClusterError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    size = target.stat().st_size
    if arguments.output == "json":
        print_json({**header, "file": str(target), "bytes": size})
        return 0
    print(f"{header['objects']} objects at revision {header['head']} are in {target} ({_size(size)})")
    if header.get("keys"):
        print(f"Some are sealed with {', '.join(header['keys'])}: keep a copy of the key file elsewhere, without it they cannot be read")
    return 0


async def _restore(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.file.choices import server_plugins
    from bareboat.cluster.restoring import restore
    from bareboat.plugins.loader import Loader
    from bareboat.store.backup import Backup

    backup = Backup(arguments.file)
    cluster, lines, layout = cluster_of(arguments)
    driver = server_plugins(cluster, Loader(), lines).store
    with _Progress("restore", quiet=arguments.output == "json") as progress:
        done = await restore(backup, cluster, layout, driver, progress, force=arguments.force)
    if arguments.output == "json":
        print_json(done)
    else:
        print(f"{done.objects} objects are in the store of {layout.data_dir}, at revisions {done.compacted + 1} to {done.head}")
    return 0


async def _verify(arguments: argparse.Namespace) -> int:
    found, live = _verified(arguments.file) if arguments.file else await _verified_store(arguments)
    if arguments.output == "json":
        print_json(found)
    else:
        for problem in found["problems"]:
            print(problem)
        whole = f"{found['objects']} objects" + (f", {found['rows']} revisions" if found["rows"] else "")
        print(f"{len(found['problems'])} problems" if found["problems"] else f"whole: {whole}")
        if live and not arguments.full:
            print("The back end's own check was left out while the server runs: --full makes it, and lets writes wait")
    return DAMAGED if found["problems"] else 0


async def _verified_store(arguments: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from bareboat.contracts.errors import InvalidConfig

    try:
        return await _ask(arguments, "verify", file=arguments.full)
    except InvalidConfig as error:
        return {"problems": [error.message], "rows": 0, "objects": 0}, False


def _verified(path: Path) -> tuple[dict[str, Any], bool]:
    from bareboat.contracts.errors import InvalidConfig
    from bareboat.store.backup import Backup

    try:
        count = sum(1 for _ in Backup(path).rows())
    except InvalidConfig as error:
        return {"problems": [error.message], "rows": 0, "objects": 0}, False
    return {"problems": [], "rows": 0, "objects": count}, False


async def _compact(arguments: argparse.Namespace) -> int:
    before, _ = await _ask(arguments, "stats")
    reached, _ = await _ask(arguments, "compact", revision=arguments.revision)
    after, _ = await _ask(arguments, "stats")
    if arguments.output == "json":
        print_json({"compacted": reached, "rows": after["rows"], "bytesUsed": after["bytesUsed"], "bytesBefore": before["bytesUsed"]})
    else:
        print(f"compacted to revision {reached}: {before['rows']} → {after['rows']} rows, ", end="")
        print(f"{_size(before['bytesUsed'])} → {_size(after['bytesUsed'])}")
    return 0


async def _stats(arguments: argparse.Namespace) -> int:
    found, _ = await _ask(arguments, "stats")
    if arguments.output == "json":
        print_json(found)
        return 0
    print(f"Store {found['store']}: {_size(found['bytesUsed'])}, revision {found['head']}, history after {found['compacted']}, ", end="")
    print(f"{found['rows']} rows, {found['objects']} objects")
    if found["sealed"]:
        print(f"Sealed: {', '.join(found['sealed'])}; {found['stale']} objects to seal again")
    print()
    rows = [(name, str(count), _size(size)) for name, (count, size) in found["resources"].items()]
    table(("RESOURCE", "OBJECTS", "SIZE"), rows)
    print()
    table(("LARGEST", "SIZE"), [(key, _size(size)) for key, size in found["largest"]])
    return 0


async def _get(arguments: argparse.Namespace) -> int:
    found, _ = await _ask(arguments, "get", key=_key(arguments.key, arguments.object), revision=arguments.at_revision)
    print_json(found["object"])
    return 0


def _key(first: str, name: str) -> str:
    """KEY, or a kind (or plural, or short name) and NAMESPACE/NAME."""
    from bareboat.models.scheme import Scheme

    if not name:
        return first
    wanted, _, group = first.lower().partition(".")
    for resource in Scheme.builtin().resources():
        names = {resource.kind.lower(), resource.plural, resource.singular, *resource.short_names}
        if wanted in names and group in ("", resource.group):
            namespaced = name if "/" in name else f"default/{name}"
            return f"{resource.key}/{namespaced if resource.namespaced else '/' + name}"
    return f"{group or 'core'}/{wanted}/{name if '/' in name else '/' + name}"


async def _reencrypt(arguments: argparse.Namespace) -> int:
    count, _ = await _ask(arguments, "reencrypt")
    if arguments.output == "json":
        print_json({"written": count})
    else:
        print(f"{count} objects were written again" if count else "every object is stored as it would be now")
    return 0


class _Progress:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name = name
        self._shown = not quiet and sys.stderr.isatty()
        self._bar: Any = None

    def __enter__(self) -> Callable[[int, int], None]:
        return self._tell

    def _tell(self, done: int, of: int) -> None:
        if not self._shown:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=of)
        self._bar.update(self._task, completed=done, total=of)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


_VERBS = {
    "backup": _backup,
    "restore": _restore,
    "verify": _verify,
    "compact": _compact,
    "stats": _stats,
    "get": _get,
    "reencrypt": _reencrypt,
}
