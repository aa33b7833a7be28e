"""Volumes that are the files of an image: pulled as their pull policy says, mounted by the runtime.

What comes in: a pod's volume and where it is to be. What goes out: a mount there, or MountFailed with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.node.images import ImageFailure
from bareboat.node.mount_errors import MountFailed

if TYPE_CHECKING:
    from bareboat.node.services import NodeServices


async def mount_image(
    node: NodeServices, pod: core_v1.Pod, volume: core_v1.Volume, path: Path, event: Callable[[core_v1.Pod, str, str, str], None]
) -> None:
    """Once. Raises MountFailed."""
    source, runtime = volume.image, node.runtime
    assert source is not None
    if os.path.ismount(path):
        return
    if not isinstance(runtime, cri.ImageVolumes):
        raise MountFailed(f'volume "{volume.name}": the runtime does not offer images as volumes')
    asked = core_v1.Container(name=volume.name, image=source.reference, imagePullPolicy=source.pullPolicy or "")
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        reference = await node.handlers.images("").ensure(pod, asked, event)
        await runtime.mount_image(reference, str(path))
    except ImageFailure as error:
        raise MountFailed(f'volume "{volume.name}": {error.reason}: {error.message}') from error
    except DriverError as error:
        raise MountFailed(f'MountVolume.SetUp failed for volume "{volume.name}" : {error.message}') from error
