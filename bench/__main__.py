"""The whole table, or some of its rows, in units of the yardstick.

    python -m bench [--row create-pod …] [--seconds 3] [--output table|json] [--file F.json] [--plot F.svg]
    python -m bench --server https://10.0.0.1:6443 --token …          any Kubernetes API server
    python -m bench --wire http1/json http2/protobuf                  rows of requests over each of these, beside each other
    python -m bench --stages                                          what each stage of a create and of a change costs, in process

``--row`` takes the beginning of a row's name. Without ``--server`` each run has servers of its own in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from bench.bench import Bench
from bench.connection import Refused
from bench.load import NoLoad
from bench.report import document, geometric_mean, plot, table
from bench.row import Measured, Result, Row
from bench.rows import ROWS
from bench.server import NotStarted
from bench.wire import PLAIN, WIRES, Wire, offers_http2
from bench.yardstick import Yardstick


def main() -> int:
    chosen = _arguments()
    if chosen.stages:
        from bench.stages import show

        return show(chosen.output)
    rows = [row for row in ROWS if not chosen.row or any(row.name.startswith(name) for name in chosen.row)]
    if not rows:
        print(f"no such row; there are: {', '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no server is left behind
    with tempfile.TemporaryDirectory(prefix="bareboat-bench-") as name:
        folder = Path(name)
        bench = Bench(folder, chosen.seconds, chosen.server, chosen.token, controllers=chosen.controllers, source=chosen.source)
        yardstick = Yardstick(folder)
        try:
            results, yardsticks = _measure(rows, [WIRES[name] for name in chosen.wire], bench, yardstick)
        finally:
            bench.close()
            yardstick.stop()
    _report(chosen, results, yardsticks)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", nargs="*", default=[], metavar="NAME", help="only rows whose name starts so")
    parser.add_argument("--seconds", type=float, default=3, help="of load for a row (default: 3)")
    parser.add_argument("--server", default="", metavar="URL", help="measure this server instead of one of our own")
    parser.add_argument("--token", default="", help="bearer token for --server; it has to be allowed everything")
    names = f"of the requests and objects: {', '.join(WIRES)} (default: {PLAIN}); HTTP/2 where the server offers it"
    parser.add_argument("--wire", nargs="+", choices=WIRES, default=[str(PLAIN)], metavar="PROTOCOL/ENCODING", help=names)
    parser.add_argument("--controllers", metavar="LIST", help="what `bareboat server --controllers` gets (default: all)")
    parser.add_argument("--source", type=Path, metavar="DIR", help="the checkout whose server is measured (default: this one)")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    parser.add_argument("--file", type=Path, help="also write the results there, as JSON")
    parser.add_argument("--plot", type=Path, help="also draw them there, as SVG")
    parser.add_argument("--stages", action="store_true", help="what each stage of a create and of a change costs, in process")
    chosen = parser.parse_args()
    if bool(chosen.server) != bool(chosen.token):
        parser.error("--server and --token go together")
    return chosen


def _measure(rows: list[Row], wires: list[Wire], bench: Bench, yardstick: Yardstick) -> tuple[list[Result], list[float]]:
    """Every row between two measurements of the yardstick; its Y is their mean."""
    yardsticks, results = [yardstick.measure()], []
    for row in rows:
        for wire in _carrying(row, wires, bench):
            measured, problem = _one(row, wire, bench)
            yardsticks.append(yardstick.measure())
            results.append(Result(row, measured, (yardsticks[-1] + yardsticks[-2]) / 2, problem, wire))
            print(table([results[-1]]).splitlines()[1], file=sys.stderr, flush=True)
    return results, yardsticks


def _carrying(row: Row, wires: list[Wire], bench: Bench) -> list[Wire]:
    """What a row goes over: HTTP/2 only where the server offers it, else HTTP/1.1 in its place."""
    if not row.wired:
        return [PLAIN]
    if all(wire.protocol == "http1" for wire in wires):
        return wires
    bench.ready()
    if offers_http2(bench.url):
        return wires
    print(f"{bench.url} offers no HTTP/2 (h2 is not in its ALPN): HTTP/1.1 is measured", file=sys.stderr, flush=True)
    wires[:] = dict.fromkeys(Wire("http1", wire.encoding) for wire in wires)
    return wires


def _one(row: Row, wire: Wire, bench: Bench) -> tuple[Measured | None, str]:
    """What came out, or why nothing did."""
    if row.own and bench.foreign:
        return None, "needs a server of our own"
    if row.root and os.geteuid() != 0:
        return None, "needs root"
    bench.wire = wire
    try:
        return row.measure(bench), ""
    except (NoLoad, NotStarted, Refused, TimeoutError) as error:
        return None, f"failed: {error}"


def _report(chosen: argparse.Namespace, results: list[Result], yardsticks: list[float]) -> None:
    if chosen.output == "json":
        print(document(results, yardsticks))
    else:
        print(table(results))
        times = f"{geometric_mean(results):.1f} times upstream in the geometric mean of these rows"
        print(f"\nY {min(yardsticks):,.0f} to {max(yardsticks):,.0f}; {times}")
    if chosen.file:
        chosen.file.write_text(document(results, yardsticks))
    if chosen.plot:
        chosen.plot.write_text(plot(results))


if __name__ == "__main__":
    sys.exit(main())
