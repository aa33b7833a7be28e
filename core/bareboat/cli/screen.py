"""What people see: steps with their times, tables that align, colour where there is a terminal; plain lines elsewhere."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class Steps:
    """Prints one line per step when it ends; on a terminal a spinner while it runs. ``timings`` keeps (name, seconds)."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.timings: list[tuple[str, float]] = []
        self._console: Any = None

    @property
    def console(self) -> Any:
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False, soft_wrap=True, quiet=self.quiet)
        return self._console

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Run one step; an exception marks it failed and goes on up."""
        started, step = time.monotonic(), Step()
        try:
            if self.console.is_terminal:
                with self.console.status(name):
                    yield step
            else:
                yield step
        except BaseException:
            self.console.print(f"[red]✗[/red] {name} [dim]({time.monotonic() - started:.1f} s)[/dim]")
            raise
        seconds = time.monotonic() - started
        self.timings.append((name, seconds))
        detail = f" {step.detail}" if step.detail else ""
        self.console.print(f"[green]✓[/green] {name}{detail} [dim]({seconds:.2f} s)[/dim]")

    def say(self, text: str) -> None:
        self.console.print(text)


class Step:
    """``detail`` is shown behind the name when the step ends."""

    detail: str = ""


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """An aligned table on standard output, in the manner of kubectl."""
    widths = [max(_width(str(row[i])) for row in [headers, *rows]) for i in range(len(headers))]
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    print(bold + _line(headers, widths) + plain)
    for row in rows:
        print(_line(row, widths))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "   ".join(str(c) + " " * (w - _width(str(c))) for c, w in zip(cells, widths, strict=True)).rstrip()


_COLOURS = {"red": "31", "green": "32", "yellow": "33"}
_ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def toned(text: str, colour: str) -> str:
    """In that colour on a terminal that wants any (https://no-color.org), plain elsewhere."""
    if not colour or os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def _width(text: str) -> int:
    return len(_ESCAPE.sub("", text))


def print_json(value: Any) -> None:
    """For scripts: ``--output json``."""
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
