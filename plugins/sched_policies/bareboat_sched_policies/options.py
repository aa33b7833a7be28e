"""What the cluster file may say to the policies."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``score`` (0..10) of a node of which ``utilization`` percent are requested."""

    utilization: Annotated[int, msgspec.Meta(ge=0, le=100)]
    score: Annotated[int, msgspec.Meta(ge=0, le=10)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``resources``: which are looked at, and their weights; ``shape``: points by growing utilization, for ``requested-to-capacity``."""

    resources: dict[str, Annotated[int, msgspec.Meta(ge=1, le=100)]] = msgspec.field(default_factory=lambda: {"cpu": 1, "memory": 1})
    shape: tuple[Point, ...] = (Point(utilization=0, score=0), Point(utilization=100, score=10))

    def __post_init__(self) -> None:
        at = [point.utilization for point in self.shape]
        if not at or at != sorted(set(at)):
            raise ValueError("shape: points must have growing utilization, and there must be one")
