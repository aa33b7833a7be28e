"""What is installed, without importing any of it.

What comes in: the entry points of the installed distributions. What goes out: one ``Installed`` per entry point of a
Bareboat group, with the distribution and version it comes from. Loading is ``plugins.loader``'s.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable

import msgspec

from bareboat.contracts import face, hooks

#: Entry-point groups of drivers, by the word the cluster file and the command line use.
DRIVER_GROUPS: dict[str, str] = {
    "runtime": "bareboat.cri.v1",
    "network": "bareboat.cni.v1",
    "proxy": "bareboat.proxy.v1",
    "networkPolicy": "bareboat.netpolicy.v1alpha1",
    "storage": "bareboat.csi.v1alpha1",
    "buckets": "bareboat.cosi.v1alpha1",
    "store": "bareboat.store.v1",
}
GROUPS: dict[str, str] = {**DRIVER_GROUPS, "face": face.GROUP, "plugin": hooks.GROUP}
_ANY_VERSION = re.compile(r"^bareboat\.[a-z]+\.v\d+((alpha|beta)\d+)?$")


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """One entry point. ``target`` is ``module:attribute``."""

    group: str
    name: str
    distribution: str
    version: str
    target: str

    @property
    def label(self) -> str:
        return f"{self.name} ({self.group}, from {self.distribution} {self.version})"


class Inventory:
    """The installed plugins of one environment; immutable once made."""

    def __init__(self, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> None:
        points = _installed() if entry_points is None else entry_points
        self._points: dict[Installed, importlib.metadata.EntryPoint] = {}
        for point in points:
            if point.group == hooks.GROUP or _ANY_VERSION.match(point.group):
                self._points[_describe(point)] = point

    def all(self) -> list[Installed]:
        return sorted(self._points, key=lambda p: (p.group, p.name, p.distribution))

    def named(self, group: str, name: str, distribution: str = "") -> list[Installed]:
        """Every plugin of that name in that group (more than one is a clash), of one distribution if that is pinned."""
        found = [p for p in self.all() if p.group == group and p.name == name]
        return [p for p in found if _same(p.distribution, distribution)] if distribution else found

    def names(self, group: str) -> list[str]:
        return sorted({p.name for p in self._points if p.group == group})

    def other_versions(self, group: str, name: str) -> list[Installed]:
        """The same name in the same contract's other versions."""
        family = group.rsplit(".", 1)[0] + "."
        return [p for p in self.all() if p.name == name and p.group != group and p.group.startswith(family)]

    def entry_point(self, plugin: Installed) -> importlib.metadata.EntryPoint:
        return self._points[plugin]


def _installed() -> Iterable[importlib.metadata.EntryPoint]:
    points = importlib.metadata.entry_points()
    return (point for group in points.groups for point in points.select(group=group))


def _describe(point: importlib.metadata.EntryPoint) -> Installed:
    dist = point.dist
    return Installed(
        group=point.group,
        name=point.name,
        distribution=dist.name if dist else "unknown",
        version=dist.version if dist else "unknown",
        target=point.value,
    )


def _same(left: str, right: str) -> bool:
    return re.sub(r"[-_.]+", "-", left).lower() == re.sub(r"[-_.]+", "-", right).lower()
