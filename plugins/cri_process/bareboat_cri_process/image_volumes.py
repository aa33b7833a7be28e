"""The files of an image as a volume: its layers, read-only, at a directory of the machine.

What comes in: an image that is here, and an empty directory. What goes out: a mount, which the node takes away with the volume.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bareboat.contracts.errors import InvalidConfig, Unavailable
from bareboat_cri_process.images import ImageStore


def mount_layers(images: ImageStore, reference: str, path: str) -> None:
    """Raises NotFound for an image that is not here, InvalidConfig for the machine's own file system."""
    if os.path.ismount(path):
        return
    layers = images.roots(images.get(reference))
    if layers == (Path("/"),):
        raise InvalidConfig("the image of this machine's own file system is no volume", reason="ImageVolumeMountFailed")
    if len(layers) == 1:
        _mount("--bind", str(layers[0]), path)
        _mount("-o", "remount,bind,ro,nodev,nosuid", path)
    else:
        lowers = ":".join(str(layer).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for layer in layers)
        _mount("-t", "overlay", "-o", f"ro,nodev,nosuid,lowerdir={lowers}", "overlay", path)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607  no shell
    if done.returncode:
        raise Unavailable(done.stderr.strip(), reason="ImageVolumeMountFailed")
