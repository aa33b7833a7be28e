"""A row: a workload, what upstream reached with it, how much better ours has to be, and how it is measured.

Rates are quoted in units of the yardstick Y, times in seconds of the machine on which upstream was measured (seconds × Y / 34,000);
memory as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bench.wire import PLAIN, Wire
from bench.yardstick import REFERENCE

if TYPE_CHECKING:
    from bench.bench import Bench

Sort = Literal["rate", "time", "memory"]


@dataclass
class Measured:
    """``value`` per second, in seconds or in MB. ``cpu``: CPU seconds of an own server per request; ``note``: what else is to be said."""

    value: float
    cpu: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """``upstream`` in the row's own unit; ``ratio`` how many times better ours has to be. ``own``: needs a server that we started.
    ``wired``: requests that any wire can carry."""

    name: str
    workload: str
    sort: Sort
    upstream: float
    ratio: float
    measure: Callable[[Bench], Measured]
    own: bool = False
    root: bool = False
    wired: bool = False
    #: an absolute goal, where the table has one
    at_most: float | None = None

    @property
    def goal(self) -> float:
        """In Y for rates, else in the row's own unit."""
        if self.sort == "rate":
            return self.upstream * self.ratio / REFERENCE
        return self.at_most if self.at_most is not None else self.upstream / self.ratio

    @property
    def goal_ratio(self) -> float:
        """How many times better than upstream the goal is."""
        return self.upstream / self.at_most if self.at_most is not None else self.ratio

    def normal(self, value: float, y: float) -> float:
        """A measured value in the unit of the goal."""
        if self.sort == "rate":
            return value / y
        return value * y / REFERENCE if self.sort == "time" else value

    def reached(self, normal: float) -> float:
        """How much of the goal: 1 or more is met."""
        return normal / self.goal if self.sort == "rate" else self.goal / normal


@dataclass
class Result:
    """One measured row, or why it could not be."""

    row: Row
    measured: Measured | None
    y: float
    problem: str = ""
    wire: Wire = PLAIN
    normal: float = field(init=False, default=0.0)
    reached: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if self.measured is not None:
            self.normal = self.row.normal(self.measured.value, self.y)
            self.reached = self.row.reached(self.normal)

    @property
    def judged(self) -> bool:
        """Whether the row's goal is one for it: goals are of HTTP/1.1 with JSON."""
        return self.measured is not None and self.wire == PLAIN

    @property
    def name(self) -> str:
        return self.row.name if self.wire == PLAIN else f"{self.row.name} {self.wire}"
