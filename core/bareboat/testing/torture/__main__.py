"""``python -m bareboat.testing.torture``: rounds of faults against a server, counted and checked; a table, or JSON.

Ends with 0 if nothing was violated, 3 if something was. The data are on a small file system of their own if that can be mounted.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bareboat.base.ids import SystemIds
from bareboat.testing.torture.faults import FAULTS, DiskFull, Fault, possible
from bareboat.testing.torture.rounds import Line, Report, Torture, mounted, schedule
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
    with _directory(arguments.size) as data:
        order = schedule(choose(arguments.faults, data), arguments.rounds)
        subject = Subject(data, tuple(shlex.split(arguments.command)) if arguments.command else COMMAND)

        def tell(number: int, line: Line) -> None:
            if not arguments.quiet:
                found = f"{len(line.violations)} violations" if line.violations else "well"
                print(f"round {number + 1}/{len(order)}: {line.fault}: {found}", file=sys.stderr, flush=True)

        report = asyncio.run(Torture(subject, seed=seed, clients=arguments.clients, tell=tell).run(order))
    if arguments.output == "json":
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        show(report)
    return 3 if report.violations else 0


def choose(names: str, data: Path) -> list[Fault]:
    """Instances, in the order of FAULTS; a name that there is not ends the program."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    unknown = wanted - {fault.name for fault in FAULTS}
    if unknown:
        raise SystemExit(f"no fault is called {', '.join(sorted(unknown))}; there are: {', '.join(f.name for f in FAULTS)}")
    able = [f for f in FAULTS if possible(f) and (f is not DiskFull or mounted(data))]
    return [fault() for fault in able if not wanted or fault.name in wanted]


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
def _directory(size: str) -> Iterator[Path]:
    """A small ext4 in a file, mounted, as far as this machine lets us; else a plain directory."""
    with tempfile.TemporaryDirectory(prefix="torture-") as base:
        image, data = Path(base) / "disk", Path(base) / "data"
        data.mkdir()
        made = mount(image, data, size)
        try:
            yield data
        finally:
            if made:
                subprocess.run(["umount", "--lazy", str(data)], check=False)  # noqa: S603, S607


def mount(image: Path, data: Path, size: str) -> bool:
    """Whether it could be done; root is needed."""
    steps = (
        ["truncate", "-s", size, str(image)],
        ["mkfs.ext4", "-q", "-m", "0", str(image)],
        ["mount", "-o", "loop", str(image), str(data)],
    )
    try:
        return all(subprocess.run(step, check=False, capture_output=True).returncode == 0 for step in steps)  # noqa: S603
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
