"""``python -m bareboat.testing.torture``: rounds of faults against a server, counted and checked; a table, or JSON.

Ends with 0 if nothing was violated, 3 if something was. The data are on a small file system of their own if that can be mounted.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bareboat.base.ids import SystemIds
from bareboat.testing.torture.disk import Disk
from bareboat.testing.torture.faults import FAULTS, Fault, possible
from bareboat.testing.torture.rounds import Line, Report, Torture, schedule
from bareboat.testing.torture.subject import COMMAND, Subject

HEADERS = ("FAULT", "ROUNDS", "OPERATIONS", "ACKNOWLEDGED", "REFUSED", "UNKNOWN", "WATCH EVENTS", "TOLD 410", "VIOLATIONS")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m bareboat.testing.torture", description="Strike a server with faults and check what its clients saw."
    )
    made.add_argument(
        "--rounds", type=int, default=200, metavar="N", help="of the first fault, a tenth of them of each other (default: 200)"
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
    seed = arguments.seed or 1 + int(SystemIds().fraction() * 1_000_000)
    with _disk(arguments.size) as (data, disk):
        subject = Subject(data, tuple(shlex.split(arguments.command)) if arguments.command else COMMAND, disk)
        order = schedule(choose(arguments.faults, subject), arguments.rounds)

        def tell(number: int, line: Line) -> None:
            if not arguments.quiet:
                found = f"{len(line.violations)} violations" if line.violations else "well"
                print(f"round {number + 1}/{len(order)}: {line.fault}: {found}", file=sys.stderr, flush=True)

        torture = Torture(subject, seed=seed, clients=arguments.clients, tell=tell)
        report = torture.report
        try:
            asyncio.run(torture.run(order))
        finally:  # what was found until then
            if arguments.output == "json":
                print(msgspec.json.format(msgspec.json.encode(report)).decode())
            else:
                show(report)
    return 3 if report.violations else 0


def choose(names: str, subject: Subject) -> list[Fault]:
    """Instances, in the order of FAULTS; a name that there is not ends the program."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    unknown = wanted - {fault.name for fault in FAULTS}
    if unknown:
        raise SystemExit(f"no fault is called {', '.join(sorted(unknown))}; there are: {', '.join(f.name for f in FAULTS)}")
    return [fault() for fault in FAULTS if possible(fault, subject) and (not wanted or fault.name in wanted)]


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
