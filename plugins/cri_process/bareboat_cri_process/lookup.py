"""Where a file of an image is among its layers, without mounting them.

What comes in: the directories of a container's root, topmost first. What goes out: a path on this machine, never one that a link leads to.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_OPAQUE = "trusted.overlay.opaque"


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
