"""Results as an aligned table, as JSON and as a plot (SVG, drawn by hand: bars of how much of each goal was reached)."""

from __future__ import annotations

import json
import math
from html import escape

from bench.row import Result

_UNITS = {"rate": "/s", "time": " s", "memory": " MB"}
_HEAD = ("row", "measured", "CPU/request", "Y", "in Y", "goal", "reached", "")


def line(result: Result) -> tuple[str, ...]:
    row = result.row
    if result.measured is None:
        return result.name, "–", "", f"{result.y:,.0f}", "–", _number(row.goal, row.sort), "–", result.problem
    cpu = f"{result.measured.cpu * 1e6:,.0f} µs" if result.measured.cpu else ""
    cells = (
        _amount(result.measured.value, row.sort),
        cpu,
        f"{result.y:,.0f}",
        _number(result.normal, row.sort),
    )
    against = (_number(row.goal, row.sort), f"{result.reached:.2f}") if result.judged else ("", "")
    return result.name, *cells, *against, result.measured.note


def table(results: list[Result]) -> str:
    lines = [_HEAD, *map(line, results)]
    widths = [max(len(cells[column]) for cells in lines) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(_padded(cell, width, at) for at, (cell, width) in enumerate(zip(cells, widths, strict=True))).rstrip() for cells in lines
    )


def _padded(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column in (0, len(_HEAD) - 1) else cell.rjust(width)


def _amount(value: float, sort: str) -> str:
    return (f"{value:,.0f}" if value >= 100 else f"{value:.3g}") + _UNITS[sort]


def _number(value: float, sort: str) -> str:
    return f"{value:.4f}" if sort == "rate" else _amount(value, sort)


def geometric_mean(results: list[Result]) -> float:
    """Of how many times upstream ours is, over the measured rows."""
    ratios = [r.reached * r.row.goal_ratio for r in results if r.judged]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else 0.0


def document(results: list[Result], yardsticks: list[float]) -> str:
    rows = [
        {
            "row": r.row.name,
            "wire": str(r.wire),
            "workload": r.row.workload,
            "sort": r.row.sort,
            "value": r.measured.value if r.measured else None,
            "cpu_seconds": r.measured.cpu if r.measured else None,
            "y": r.y,
            "normal": r.normal,
            "goal": r.row.goal,
            "reached": r.reached if r.judged else None,
            "problem": r.problem,
        }
        for r in results
    ]
    return json.dumps({"yardsticks": yardsticks, "times_upstream": geometric_mean(results), "rows": rows}, indent=2)


def plot(results: list[Result]) -> str:
    """One bar a row that has a goal, logarithmic, the goal as a line at 1."""
    results = [result for result in results if result.judged or result.measured is None]
    left, wide, high = 330, 420, 22
    low, top = math.log(0.1), math.log(10)

    def across(value: float) -> float:
        return left + wide * (min(max(math.log(max(value, 0.01)), low), top) - low) / (top - low)

    height = high * (len(results) + 2)
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 70}" height="{height}" font-family="sans-serif" font-size="12">'
    ]
    shapes.append('<rect width="100%" height="100%" fill="white"/>')
    for number, result in enumerate(results):
        y = high * (number + 1)
        shapes.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(result.row.workload)}</text>')
        color = "#2a7f62" if result.reached >= 1 else "#c8553d"
        shapes.append(f'<rect x="{left}" y="{y + 2}" width="{max(1.0, across(result.reached) - left):.0f}" height="15" fill="{color}"/>')
        shapes.append(f'<text x="{across(result.reached) + 5:.0f}" y="{y + 14}">{result.reached:.2f}</text>')
    shapes.append(f'<line x1="{across(1):.0f}" x2="{across(1):.0f}" y1="8" y2="{height - 8}" stroke="black" stroke-dasharray="4"/>')
    shapes.append(f'<text x="{across(1):.0f}" y="{high - 8}" text-anchor="middle">goal</text></svg>')
    return "\n".join(shapes)
