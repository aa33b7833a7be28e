"""``python -m bareboat.testing.torture``: rounds of faults against a server, then against three over PostgreSQL; a table, or JSON.

Ends with 0 if nothing was violated, 3 if something was. The data are on a small file system of their own if that can be mounted.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bareboat.base.ids import SystemIds
from bareboat.testing.postgres import Postgres, place, programs
from bareboat.testing.torture.disk import Disk
from bareboat.testing.torture.faults import FAULTS, Fault, possible
from bareboat.testing.torture.fleet import FAULTS as FLEET_FAULTS
from bareboat.testing.torture.fleet import Fleet
from bareboat.testing.torture.rounds import Line, Report, Torture, schedule
from bareboat.testing.torture.subject import COMMAND, Subject

F = TypeVar("F", bound=Fault[Any])
HEADERS = ("FAULT", "ROUNDS", "OPERATIONS", "ACKNOWLEDGED", "REFUSED", "UNKNOWN", "WATCH EVENTS", "TOLD 410", "VIOLATIONS")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m bareboat.testing.torture", description="Strike a server with faults and check what its clients saw."
    )
    made.add_argument(
        "--rounds", type=int, default=200, metavar="N", help="of the first fault, a tenth of them of each other (default: 200)"
    )
    made.add_argument(
        "--store",
        choices=["sqlite", "postgres", "all"],
        default="all",
        help="one server on local files, three over PostgreSQL (a tenth of the rounds), or one after the other (default: all)",
    )
    made.add_argument("--faults", default="", metavar="LIST", help="names, comma separated (default: all that this machine can do)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="for the same choices again (default: any)")
    made.add_argument("--command", default="", help="what starts the server; {data} and {port} are filled in")
    made.add_argument("--clients", type=int, default=6)
    made.add_argument("--size", default="96m", help="of the file system that holds the data (default: 96m)")
    made.add_argument("--output", "-o", choices=["table", "json"], default="table")
    made.add_argument("--quiet", "-q", action="store_true", help="no line per round")
    return made


def main(words: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(words)
    check(arguments)
    seed = arguments.seed or 1 + int(SystemIds().fraction() * 1_000_000)
    report = Report(seed=seed)
    try:
        if arguments.store in ("sqlite", "all"):
            _files(arguments, report)
        if arguments.store in ("postgres", "all") and not arguments.command:
            _fleet(arguments, report)
    finally:  # what was found until then
        if arguments.output == "json":
            print(msgspec.json.format(msgspec.json.encode(report)).decode())
        else:
            show(report)
    return 3 if report.violations else 0


def check(arguments: argparse.Namespace) -> None:
    """Ends the program for what would strike nothing."""
    if arguments.command and arguments.store == "postgres":
        raise SystemExit("--command is for one server on local files: it cannot be had with --store postgres")
    one = arguments.store != "postgres" and bool(chosen(FAULTS, arguments.faults))
    several = arguments.store != "sqlite" and not arguments.command and bool(chosen(FLEET_FAULTS, arguments.faults))
    if not one and not several:
        raise SystemExit(f"--faults {arguments.faults!r} names none of the faults of --store {arguments.store}")
    if arguments.store == "postgres" and programs() is None:
        raise SystemExit("PostgreSQL is not installed (Debian: postgresql)")


def _files(arguments: argparse.Namespace, report: Report) -> None:
    """One server on local files."""
    with _disk(arguments.size) as (data, disk):
        subject = Subject(data, tuple(shlex.split(arguments.command)) if arguments.command else COMMAND, disk)
        wanted = chosen(FAULTS, arguments.faults)
        faults = [fault() for fault in wanted if possible(fault, subject)]
        missing = ", ".join(fault.name for fault in wanted if not possible(fault, subject))
        if missing:
            print(f"left out, as this machine has not what they need (root, strace): {missing}", file=sys.stderr)
        if faults:
            order = schedule(faults, arguments.rounds)
            asyncio.run(Torture(subject, report=report, clients=arguments.clients, tell=_teller(arguments, len(order))).run(order))


def _fleet(arguments: argparse.Namespace, report: Report) -> None:
    """Three over PostgreSQL."""
    faults = [fault() for fault in chosen(FLEET_FAULTS, arguments.faults)]
    if not faults:
        return
    if programs() is None:
        print("three servers are left out: PostgreSQL is not installed (Debian: postgresql)", file=sys.stderr)
        return
    database = Postgres(place())
    database.create()
    try:
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            order = schedule(faults, -(-arguments.rounds // 10))
            fleet = Fleet(Path(folder), database)
            asyncio.run(Torture(fleet, report=report, clients=arguments.clients, tell=_teller(arguments, len(order))).run(order))
    finally:
        database.stop("immediate")
        shutil.rmtree(database.folder)


def _teller(arguments: argparse.Namespace, rounds: int) -> Callable[[int, Line], None]:
    def tell(number: int, line: Line) -> None:
        if not arguments.quiet:
            found = f"{len(line.violations)} violations" if line.violations else "well"
            print(f"round {number + 1}/{rounds}: {line.fault}: {found}", file=sys.stderr, flush=True)

    return tell


def chosen(faults: Sequence[type[F]], names: str) -> list[type[F]]:
    """Those of ``faults`` that are named, all if none is; a name that no fault has ends the program."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    every = [*(fault.name for fault in FAULTS), *(fault.name for fault in FLEET_FAULTS)]
    unknown = wanted - set(every)
    if unknown:
        raise SystemExit(f"no fault is called {', '.join(sorted(unknown))}; there are: {', '.join(every)}")
    return [fault for fault in faults if not wanted or fault.name in wanted]


def show(report: Report) -> None:
    rows = [_row(line.fault, line.rounds, line) for line in report.lines.values()]
    total = [sum(int(row[i]) for row in rows) for i in range(1, len(HEADERS))]
    rows.append(("all", *(str(n) for n in total)))
    widths = [max(len(row[i]) for row in [HEADERS, *rows]) for i in range(len(HEADERS))]
    for row in [HEADERS, *rows]:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"seed {report.seed}")
    for text in report.violations:
        print(text)


def _row(name: str, rounds: int, line: Line) -> tuple[str, ...]:
    o = line.operations
    unknown = o.unknown + o.failed
    figures = (rounds, o.ok + o.refused + unknown, o.ok, o.refused, unknown, o.events, o.relists, len(line.violations))
    return (name, *map(str, figures))


@contextmanager
def _disk(size: str) -> Iterator[tuple[Path, Disk | None]]:
    """Where the data are: a disk of their own if this machine lets us have one, else a plain directory."""
    with tempfile.TemporaryDirectory(prefix="torture-") as base:
        disk = Disk(Path(base), size)
        mounted = disk.mount()
        try:
            yield disk.data, disk if mounted else None
        finally:
            disk.unmount()


if __name__ == "__main__":
    sys.exit(main())
