"""Two commits, row by row and turn about: their servers run the same load within seconds of each other, so what disturbs the machine
disturbs both.

    python bench/compare.py main HEAD --row create-pod get-pod [--rounds 3] [--seconds 3] [--output table|json]

Each commit is checked out into a worktree of its own and served by this checkout's environment (the packages have to fit both).
What comes out, per row: the median of each, the median of the ratios of the rounds, and the CPU time of a request on each side.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from bench.bench import Bench  # noqa: E402
from bench.row import Row  # noqa: E402
from bench.rows import ROWS  # noqa: E402


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """The commit's files, in a worktree that is removed afterwards."""
    subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "--detach", "--quiet", str(folder), commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(folder)], check=True)


def compared(row: Row, sides: tuple[Bench, Bench], rounds: int) -> dict[str, Any]:
    """``ratio`` above 1: the second side is better."""
    found: tuple[list[float], list[float]] = ([], [])
    costs: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 else (1, 0):
            measured = row.measure(sides[side])
            found[side].append(measured.value)
            costs[side].append((measured.cpu or 0.0) * 1e6)
    ratios = [b / a if row.sort == "rate" else a / b for a, b in zip(*found, strict=True)]
    middle = statistics.median
    cpu = [round(middle(cost), 1) for cost in costs]
    return {"row": row.name, "a": middle(found[0]), "b": middle(found[1]), "ratio": middle(ratios), "cpu_us": cpu}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--row", nargs="+", required=True, help="rows whose name starts so")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    chosen = parser.parse_args()
    rows = [row for row in ROWS if any(row.name.startswith(name) for name in chosen.row)]
    if not rows or any(row.root for row in rows):
        parser.error(f"give rows that need no root: {', '.join(row.name for row in ROWS if not row.root)}")
    with tempfile.TemporaryDirectory(prefix="bareboat-compare-") as name:
        folder = Path(name)
        with checked_out(chosen.a, folder / "a") as first, checked_out(chosen.b, folder / "b") as second:
            results = _run(rows, (_bench(folder, "data-a", first, chosen), _bench(folder, "data-b", second, chosen)), chosen.rounds)
    _show(chosen, results)
    return 0


def _bench(folder: Path, name: str, source: Path, chosen: argparse.Namespace) -> Bench:
    (folder / name).mkdir()
    return Bench(folder / name, chosen.seconds, source=source)


def _run(rows: list[Row], sides: tuple[Bench, Bench], rounds: int) -> list[dict[str, Any]]:
    try:
        return [compared(row, sides, rounds) for row in rows]
    finally:
        for side in sides:
            side.close()


def _show(chosen: argparse.Namespace, results: list[dict[str, Any]]) -> None:
    if chosen.output == "json":
        print(json.dumps(results, indent=2))
        return
    print(f"{'row':22} {chosen.a[:12]:>12} {chosen.b[:12]:>12} {'better by':>10}   CPU µs per request")
    for r in results:
        print(f"{r['row']:22} {r['a']:12,.4g} {r['b']:12,.4g} {r['ratio']:9.2f}×   {r['cpu_us'][0]:,.0f} → {r['cpu_us'][1]:,.0f}")


if __name__ == "__main__":
    sys.exit(main())
