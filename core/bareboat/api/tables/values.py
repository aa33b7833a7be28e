"""How single values are written in a table, as upstream writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from bareboat.models.selectors import from_label_selector, from_labels
from bareboat.models.times import parse

NONE, UNKNOWN, UNSET = "<none>", "<unknown>", "<unset>"


def age(timestamp: str | None, now: datetime) -> str:
    """Time since ``timestamp``: ``5s``, ``3m10s``, ``2d``."""
    if not timestamp:
        return UNKNOWN
    return duration((now - parse(timestamp)).total_seconds())


def duration(seconds: float) -> str:
    """Upstream's HumanDuration."""
    s = int(seconds)
    if s < -1:
        return "<invalid>"
    if s < 0:
        return "0s"
    m, h, d = s // 60, s // 3600, s // 86400
    if s < 120:
        return f"{s}s"
    if m < 10:
        return _two(m, "m", s % 60, "s")
    if m < 180:
        return f"{m}m"
    if h < 8:
        return _two(h, "h", m % 60, "m")
    if h < 48:
        return f"{h}h"
    if d < 8:
        return _two(d, "d", h % 24, "h")
    if d < 730:
        return f"{d}d"
    if d < 365 * 8:
        return _two(d // 365, "y", d % 365, "d")
    return f"{d // 365}y"


def _two(big: int, unit: str, small: int, smaller: str) -> str:
    return f"{big}{unit}{small}{smaller}" if small else f"{big}{unit}"


def labels(found: Mapping[str, str]) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(found.items())) or NONE


def selector(found: Any) -> str:
    if isinstance(found, dict):
        return str(from_labels(found)) or NONE
    return str(from_label_selector(found)) or NONE


def words(values: Iterable[str], empty: str = NONE) -> str:
    return ",".join(values) or empty


def several(values: list[str], limit: int = 3) -> str:
    """The first few, and how many more."""
    shown = ",".join(values[:limit])
    return f"{shown} + {len(values) - limit} more..." if len(values) > limit else shown or NONE


def containers(template: Any) -> tuple[str, str]:
    found = template.spec.containers
    return ",".join(c.name for c in found), ",".join(c.image for c in found)


def boolean(value: bool | None) -> bool:
    return bool(value)
