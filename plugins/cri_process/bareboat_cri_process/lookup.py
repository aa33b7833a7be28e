"""Where a file of an image is among its layers, without mounting them.

What comes in: the directories of a container's root, topmost first. What goes out: a path on this machine, never one that a link leads to.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_OPAQUE = "trusted.overlay.opaque"
#: Links that are followed at most: more are a circle.
_HOPS = 40


def find(layers: Sequence[Path], path: str) -> Path | None:
    """Where a file of an image is, top layer first; None if it is not there, or behind a link."""
    for layer in layers:
        place = layer
        for part in path.strip("/").split("/"):
            place = place / part
            try:
                found = place.lstat()
            except OSError:
                break
            if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
                return None
            if stat.S_ISLNK(found.st_mode) and place != layer / path.strip("/"):
                return None
        else:
            return place
        if _is_opaque(layer, path):
            return None
    return None


def _is_opaque(layer: Path, path: str) -> bool:
    """Whether a directory on the way hides what is below it."""
    place = layer
    for part in path.strip("/").split("/"):
        place = place / part
        with suppress(OSError):
            if os.getxattr(place, _OPAQUE, follow_symlinks=False) == b"y":
                return True
    return False


def resolved(layers: Sequence[Path], path: str) -> str:
    """The same place without links, as the image's own root has it. What is not there stays as it is written."""
    done, left, hops = "", posixpath.normpath("/" + path).split("/")[1:], 0
    while left:
        place = find(layers, f"{done}/{left[0]}")
        if place is None or not place.is_symlink() or hops > _HOPS:
            done, left = f"{done}/{left[0]}", left[1:]
            continue
        hops += 1
        target = posixpath.normpath(posixpath.join(done or "/", os.readlink(place)))
        done, left = "", [part for part in [*target.split("/"), *left[1:]] if part]
    return done or "/"
