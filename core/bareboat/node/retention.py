"""What a node keeps and for how long: containers that have ended, and images, after upstream's rules.

What comes in: the runtime's lists, and how full the disk is. What goes out: removals. Of every container the attempt that counts and the
one before it stay, for `logs --previous`. When the disk is fuller than ``HIGH`` per cent, images that nothing uses go, those that were
not used for the longest time first, until it is no fuller than ``LOW``; none that is younger than two minutes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from bareboat.base.clock import Clock
from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError
from bareboat.node import log_rotation, unused_images
from bareboat.node.config import POD_UID

log = logging.getLogger("bareboat.node")
CONTAINERS_EVERY, IMAGES_EVERY = 60.0, 300.0
#: Upstream's defaults: imageGCHighThresholdPercent, imageGCLowThresholdPercent, imageMinimumGCAge in seconds.
HIGH, LOW, YOUNG = 85, 80, 120.0
KEPT_ATTEMPTS = 2


class Disk(msgspec.Struct, frozen=True):
    """In bytes."""

    capacity: int
    available: int

    @classmethod
    def of(cls, path: Path) -> Disk:
        found = os.statvfs(path)
        return cls(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    def excess(self, high: int, low: int) -> int:
        """How many bytes must go: 0 while it is less full than ``high`` per cent."""
        used = 100 - self.available * 100 // self.capacity if self.capacity else 0
        return max(0, self.capacity * (100 - low) // 100 - self.available) if used >= high else 0


class Retention:
    """``disk`` tells how full the images' file system is; ``tell`` records a warning about the node: reason, message."""

    def __init__(self, runtime: cri.RuntimeDriver, clock: Clock, disk: Callable[[], Disk], tell: Callable[[str, str], None]) -> None:
        self._runtime = runtime
        self._clock = clock
        self._disk = disk
        self._tell = tell
        self._seen: dict[str, float] = {}
        self._used: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        images_at = 0.0
        while True:
            try:
                await self.look_at_containers()
                if self._clock.monotonic() >= images_at:
                    images_at = self._clock.monotonic() + IMAGES_EVERY
                    await self.look_at_images()
            except DriverError as error:
                log.warning("nothing is cleaned up: %s", error)
            await self._clock.sleep(CONTAINERS_EVERY)

    async def look_at_containers(self) -> None:
        attempts: dict[tuple[str, str], list[cri.Container]] = {}
        for container in await self._runtime.list_containers():
            owner = container.config.labels.get(POD_UID) or container.sandbox_id
            attempts.setdefault((owner, container.config.name), []).append(container)
        for found in attempts.values():
            found.sort(key=lambda c: (c.config.attempt, c.created_at))
            for old in found[:-KEPT_ATTEMPTS]:
                if old.state == "EXITED":
                    await self._runtime.remove_container(old.id)
                    if old.config.log_path:
                        log_rotation.remove(Path(old.config.log_path))

    async def look_at_images(self) -> None:
        if not isinstance(self._runtime, cri.ImageRemoval):
            return
        now = self._clock.monotonic()
        images = {image.id: image for image in await self._runtime.list_images()}
        idle = {image.id: image for image in await unused_images.unused(self._runtime)}
        self._seen = {name: self._seen.get(name, now) for name in images}
        self._used = {name: self._used.get(name, 0.0) if name in idle else now for name in images}
        excess = self._disk().excess(HIGH, LOW)
        if excess:
            await self._free(self._runtime, list(idle.values()), excess, now)

    async def _free(self, runtime: cri.ImageRemoval, idle: list[cri.Image], excess: int, now: float) -> None:
        freed = 0
        for image in sorted(idle, key=lambda i: (self._used[i.id], self._seen[i.id])):
            if freed >= excess:
                return
            if now - self._seen[image.id] >= YOUNG and now - self._used[image.id] >= YOUNG:
                freed += sum(gone.size for gone in await unused_images.remove(runtime, [image]))
        if freed < excess:
            eligible = f"only found {freed} bytes eligible to free"
            text = f"Failed to garbage collect required amount of images. Attempted to free {excess} bytes, but {eligible}."
            self._tell("FreeDiskSpaceFailed", text)
