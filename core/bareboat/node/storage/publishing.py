"""A pod's volumes of drivers: attached, staged, published, given to the pod's group; and all of it undone.

What comes in: what ``wanted`` found, and the drivers of the node. What goes out: the path to mount into containers, or MountFailed. Calls
on one volume come one after the other. What was published is on disk (``records``), so that undoing needs neither API nor memory.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bareboat.base.clock import Clock
from bareboat.contracts import csi
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1, storage_v1
from bareboat.node.mount_errors import MountFailed, NotYet
from bareboat.node.storage import ownership
from bareboat.node.storage.context import Find, PodContext, Token
from bareboat.node.storage.growing import Growing
from bareboat.node.storage.records import Published, Records, below
from bareboat.node.storage.wanted import Wanted, attachment_name, capability, wanted

log = logging.getLogger("bareboat.storage")
#: Seconds for which a CSIDriver is believed to be as it was.
BELIEVED = 10.0
#: Seconds between looks at a volume that is there.
LOOK_EVERY = 8.0


class NodeStorage:
    """``drivers`` by the name that StorageClasses use. ``directory`` is the node's."""

    def __init__(
        self,
        node: str,
        directory: Path,
        drivers: Mapping[str, csi.VolumeDriver],
        find: Find,
        token: Token,
        clock: Clock,
        growing: Growing | None = None,
    ) -> None:
        self.drivers = drivers
        self._growing = growing
        self._shown: dict[Path, tuple[float, Path, Wanted]] = {}
        self.records = Records(directory / "pods", directory / "staging")
        self._node = node
        self._find = find
        self._context = PodContext(find, token)
        self._clock = clock
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._known: dict[str, tuple[float, storage_v1.CSIDriverSpec | None]] = {}

    async def set_up(self, pod: core_v1.Pod, volume: core_v1.Volume, directory: Path) -> tuple[Path, Wanted]:
        """Where the volume is on the node. Again is fine, and cheap. Raises MountFailed."""
        place, now = self.records.place(directory, volume.name), self._clock.monotonic()
        known = self._shown.get(place)
        if known is not None and now - known[0] < LOOK_EVERY:
            return known[1], known[2]
        found = await wanted(pod, volume, self._find)
        path = await self._refresh(pod, found, known[1]) if known is not None else await self._first(pod, found, directory)
        self._shown[place] = (now, path, found)
        return path, found

    async def _first(self, pod: core_v1.Pod, found: Wanted, directory: Path) -> Path:
        if found.host_path:
            if not Path(found.host_path).exists():
                raise MountFailed(f'MountVolume.SetUp failed for volume "{found.shown}" : path "{found.host_path}" does not exist')
            return Path(found.host_path)
        path = await self._publish(pod, found, directory)
        await self._grow(pod, found, path)
        return path

    async def _refresh(self, pod: core_v1.Pod, found: Wanted, path: Path) -> Path:
        """It is there already: new tokens for drivers that want them, and what the volume has grown by."""
        if found.host_path:
            return path
        rules = await self._rules(found.driver)
        if rules is not None and rules.requiresRepublish:
            await self._publish(pod, found, path.parents[2])
        await self._grow(pod, found, path)
        return path

    async def _grow(self, pod: core_v1.Pod, found: Wanted, path: Path) -> None:
        if self._growing is not None:
            async with self._locks[found.driver, found.volume_id]:
                await self._growing.follow(pod, found, self._driver(found), str(path))

    async def _publish(self, pod: core_v1.Pod, found: Wanted, directory: Path) -> Path:
        driver = self._driver(found)
        rules = await self._rules(found.driver)
        self._check_lifecycle(found, driver, rules)
        attached = await self._attached(found, rules)
        try:
            async with self._locks[found.driver, found.volume_id]:
                return await self._show(pod, found, driver, rules, attached, directory)
        except (DriverError, OSError) as error:
            raise MountFailed(f'MountVolume.SetUp failed for volume "{found.shown}" : {_told(error)}') from error

    def _driver(self, found: Wanted) -> csi.VolumeDriver:
        driver = self.drivers.get(found.driver)
        if driver is None:
            known = ", ".join(sorted(self.drivers)) or "none"
            message = f"driver name {found.driver} not found in the list of registered CSI drivers (of this node: {known})"
            raise MountFailed(f'MountVolume.SetUp failed for volume "{found.shown}" : {message}')
        return driver

    async def _rules(self, driver: str) -> storage_v1.CSIDriverSpec | None:
        """The CSIDriver's, None if nobody made one."""
        now = self._clock.monotonic()
        known = self._known.get(driver)
        if known is not None and now - known[0] < BELIEVED:
            return known[1]
        found = await self._find(storage_v1.CSIDriver, driver, "")
        self._known[driver] = (now, found.spec if found is not None else None)
        return self._known[driver][1]

    def _check_lifecycle(self, found: Wanted, driver: csi.VolumeDriver, rules: storage_v1.CSIDriverSpec | None) -> None:
        mode = "Persistent" if found.volume else "Ephemeral"
        modes = rules.volumeLifecycleModes if rules is not None else ["Persistent"]
        if mode not in (modes or ["Persistent"]) or (mode == "Ephemeral" and not driver.capabilities.ephemeral):
            raise MountFailed(f'volume "{found.name}": driver {found.driver} does not support volume mode "{mode}"')

    async def _attached(self, found: Wanted, rules: storage_v1.CSIDriverSpec | None) -> dict[str, str] | None:
        """What the attacher said; None if nothing needs to be attached. Raises NotYet."""
        if not found.volume or (rules is not None and rules.attachRequired is False):
            return None
        name = attachment_name(found.volume_id, found.driver, self._node)
        seen = await self._find(storage_v1.VolumeAttachment, name, "")
        if seen is None or not seen.status.attached:
            error = seen.status.attachError if seen is not None else None
            why = f": {error.message}" if error is not None else ""
            raise NotYet(f'AttachVolume.Attach of volume "{found.shown}" to node {self._node} is not through{why}')
        return dict(seen.status.attachmentMetadata)

    async def _show(
        self,
        pod: core_v1.Pod,
        found: Wanted,
        driver: csi.VolumeDriver,
        rules: storage_v1.CSIDriverSpec | None,
        attached: dict[str, str] | None,
        directory: Path,
    ) -> Path:
        place = self.records.place(directory, found.name)
        target, security = place / "mount", pod.spec.securityContext
        group = security.fsGroup if security is not None else None
        mounts_for = group if driver.capabilities.mount_group else None
        wish = capability(found, precise=driver.capabilities.single_node_multi_writer, group=mounts_for)
        staging = self.records.staging(found.driver, found.volume_id) if found.volume and isinstance(driver, csi.Staging) else None
        if not driver.capabilities.staging:
            staging = None
        record = Published(
            driver=found.driver,
            volume_id=found.volume_id,
            target=str(target),
            staging=str(staging or ""),
            volume=found.volume,
            attached=attached is not None,
            block=found.block,
        )
        if staging is not None:
            await self._stage(driver, found, wish, staging, record, attached or {})
        self.records.put(place, record)
        await driver.node_publish_volume(
            csi.NodePublish(
                volume_id=found.volume_id,
                target_path=str(target),
                staging_target_path=record.staging,
                capability=wish,
                readonly=found.readonly,
                publish_context=attached or {},
                volume_context={**found.context, **await self._context.of(pod, found, rules)},
                secrets=await self._context.secret(found.publish_secret),
            )
        )
        if group is not None and mounts_for is None and not found.block and not found.readonly:
            await self._give(found, rules, target, group, (security.fsGroupChangePolicy if security else "") or "Always")
        return target

    async def _stage(
        self, driver: Any, found: Wanted, wish: csi.VolumeCapability, staging: Path, record: Published, attached: dict[str, str]
    ) -> None:
        self.records.put(staging.parent, record)
        staging.mkdir(mode=0o750, exist_ok=True)
        await driver.node_stage_volume(
            csi.NodeStage(
                volume_id=found.volume_id,
                staging_target_path=str(staging),
                capability=wish,
                publish_context=attached,
                volume_context=found.context,
                secrets=await self._context.secret(found.stage_secret),
            )
        )

    async def _give(self, found: Wanted, rules: storage_v1.CSIDriverSpec | None, target: Path, group: int, change: str) -> None:
        policy = (rules.fsGroupPolicy if rules is not None else "") or "ReadWriteOnceWithFSType"
        once = set(found.modes) <= {"ReadWriteOnce", "ReadWriteOncePod"}
        if ownership.wants(policy, fs_type=found.fs_type, once=once):
            await asyncio.to_thread(ownership.give, target, group, change, readonly=False)

    async def tear_down(self, directory: Path) -> None:
        """Everything of the pod. Twice is fine. Raises MountFailed if a driver does not let go."""
        for shown in [p for p in self._shown if p.is_relative_to(directory)]:
            del self._shown[shown]
        for place, record in list(self.records.of_pod(directory)):
            await self._undo(place, record)
        if (directory / "csi").exists() and not below(directory / "csi"):
            shutil.rmtree(directory / "csi")

    async def _undo(self, place: Path, record: Published) -> None:
        driver = self.drivers.get(record.driver)
        if driver is None:
            raise MountFailed(
                f"UnmountVolume.TearDown failed : driver name {record.driver} not found in the list of registered CSI drivers"
            )
        async with self._locks[record.key]:
            try:
                await driver.node_unpublish_volume(record.volume_id, record.target)
                self.records.remove(place)
                await self._unstage(driver, record)
            except (DriverError, OSError) as error:
                shown = record.volume or place.name
                raise MountFailed(f'UnmountVolume.TearDown failed for volume "{shown}" : {_told(error)}') from error

    async def _unstage(self, driver: csi.VolumeDriver, record: Published) -> None:
        """When the last pod of the node has let go of it."""
        if not record.staging or any(other.key == record.key for _, other in self.records.all()):
            return
        if isinstance(driver, csi.Staging):
            await driver.node_unstage_volume(record.volume_id, record.staging)
        self.records.remove(Path(record.staging).parent)

    async def sweep(self, alive: set[str], pods: Path) -> None:
        """Undo what pods left that are gone, and staging that nobody uses; an earlier agent may have died in between."""
        for uid in self.records.uids() - alive:
            try:
                await self.tear_down(pods / uid)
            except MountFailed as error:
                log.warning("volumes of pod %s that is gone: %s", uid, error)
        used = {record.key for _, record in self.records.all()}
        for _, record in list(self.records.staged()):
            driver = self.drivers.get(record.driver)
            lock = self._locks[record.key]
            if record.key in used or driver is None or lock.locked():
                continue
            async with lock:
                try:
                    await self._unstage(driver, record)
                except (DriverError, OSError) as error:
                    log.warning("volume %s is not unstaged: %s", record.volume_id, error)

    def in_use(self) -> list[str]:
        """Names of attached volumes for the Node's status: what must not be detached now."""
        return sorted(
            {f"kubernetes.io/csi/{r.driver}^{r.volume_id}" for _, r in (*self.records.all(), *self.records.staged()) if r.attached}
        )


def _told(error: Exception) -> str:
    return f"{error.reason}: {error.message}" if isinstance(error, DriverError) else str(error)
