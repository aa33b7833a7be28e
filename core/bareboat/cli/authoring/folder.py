"""A plugin's folder, not installed: its entry points as its pyproject.toml declares them, importable for as long as it is looked at.

In: a path. Out: an ``Inventory`` of nothing but that distribution, or ClusterError with what the folder lacks.
"""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bareboat.cluster.errors import ClusterError
from bareboat.plugins.inventory import GROUPS, Inventory

PYPROJECT = "pyproject.toml"


class _Distribution:
    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version


def is_folder(text: str) -> bool:
    """Whether a word of the command line means a folder rather than the name of a plugin."""
    return "/" in text or text in (".", "..") or (Path(text) / PYPROJECT).exists()


@contextmanager
def opened(path: Path) -> Iterator[Inventory]:
    """Raises ClusterError."""
    project = _project(path)
    points = []
    for group, entries in project.get("entry-points", {}).items():
        for name, value in entries.items():
            point = importlib.metadata.EntryPoint(name=name, value=value, group=group)
            vars(point)["dist"] = _Distribution(project.get("name", "?"), str(project.get("version", "?")))
            points.append(point)
    inventory = Inventory(points)
    if not inventory.all():
        known = ", ".join(sorted(GROUPS.values()))
        declared = ", ".join(sorted(project.get("entry-points", {}))) or "none"
        raise ClusterError(f'{path / PYPROJECT}: no [project.entry-points."…"] of Bareboat (declared: {declared}); the groups are {known}')
    sys.path.insert(0, str(path.resolve()))
    try:
        yield inventory
    finally:
        sys.path.remove(str(path.resolve()))


def _project(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads((path / PYPROJECT).read_text())
    except FileNotFoundError as error:
        raise ClusterError(f"{path} has no {PYPROJECT}: give the folder of a plugin, such as `bareboat plugin new` makes") from error
    except tomllib.TOMLDecodeError as error:
        raise ClusterError(f"{path / PYPROJECT} is not TOML: {error}") from error
    found: dict[str, Any] = document.get("project", {})
    return found
