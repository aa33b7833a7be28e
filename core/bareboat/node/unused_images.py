"""Images that no container uses, and being rid of them.

What comes in: a runtime. What goes out: what was removed. Containers that have ended count as users: their image is what a restart needs.
"""

from __future__ import annotations

from collections.abc import Sequence

from bareboat.contracts import cri
from bareboat.contracts.errors import Conflict
from bareboat.node import image_names


async def unused(runtime: cri.RuntimeDriver) -> list[cri.Image]:
    """The machine's own file system (an image without a size) is always in use."""
    containers = await runtime.list_containers()
    ids = {c.image_id for c in containers} | {c.config.image for c in containers}
    names = {image_names.full(c.config.image) for c in containers}
    found = []
    for image in await runtime.list_images():
        known = {image_names.full(name) for name in (*image.tags, *image.digests)}
        if image.size and image.id not in ids and not known & names:
            found.append(image)
    return found


async def remove(runtime: cri.ImageRemoval, images: Sequence[cri.Image]) -> list[cri.Image]:
    """Those that are gone then; one that a container took meanwhile stays."""
    gone = []
    for image in images:
        try:
            await runtime.remove_image(image.id)
        except Conflict:
            continue
        gone.append(image)
    return gone
