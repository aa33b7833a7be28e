"""Layers of an image as a volume, for runtimes that keep each layer as a directory: overlaid, read-only, at a directory of the machine.

What comes in: directories, the uppermost first, and the image that they are. What goes out: a mount that carries the image's name, which
the node takes away with the volume; and whether an image is mounted anywhere, so that it is not removed meanwhile.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bareboat.contracts.errors import Unavailable

REASON = "ImageVolumeMountFailed"


def mount_layers(layers: Sequence[Path], image: str, path: str) -> None:
    """``path`` is an empty directory. Mounted already: nothing. Raises Unavailable."""
    if os.path.ismount(path):
        return
    directories = list(map(str, layers)) if len(layers) > 1 else [str(layers[0]), path]  # an overlay has two at least: the other is empty
    common = os.path.commonpath([os.path.dirname(d) for d in directories])  # what the kernel is told has to fit into one page
    lowers = ":".join(_escaped(os.path.relpath(d, common)) for d in directories)
    command = ["mount", "-t", "overlay", "-o", f"ro,nodev,nosuid,lowerdir={lowers}", _source(image), path]
    done = subprocess.run(command, cwd=common, capture_output=True, text=True, check=False)  # noqa: S603  no shell
    if done.returncode:
        raise Unavailable(done.stderr.strip(), reason=REASON)


def mounted(image: str) -> bool:
    """Whether ``mount_layers`` has shown it somewhere, and that is still there."""
    wanted = _source(image)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        return any(line.partition(" - ")[2].split(" ")[1:2] == [wanted] for line in mounts)


def _source(image: str) -> str:
    return f"image:{image}"


def _escaped(directory: str) -> str:
    return directory.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
