"""What a storage suite is about: the subject a driver's author describes, and the driver under test in the words of the rules.

What comes in: a subclass of ``VolumeSubject`` with a factory. What goes out: the ``storage`` fixture, which cleans up through the driver
and then looks whether it left a mount or a loop device behind. The rules are in ``csi_suite`` and ``csi_suite_features``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest_asyncio

from bareboat.contracts import csi
from bareboat.testing.cri_suite_subject import settled
from bareboat.testing.driver_suite import Soundness
from bareboat.testing.host import FakeHost

MIB = 1024 * 1024


class Storage:
    """One driver under test, with the shorthand that the rules are written in."""

    def __init__(self, suite: VolumeSubject, host: FakeHost) -> None:
        self.suite, self.host = suite, host
        self.root = host.state_dir.parent
        self.driver: Any = suite.make_driver(host)
        self._published: dict[Path, str] = {}
        self._staged: dict[Path, str] = {}

    @property
    def offers(self) -> csi.Capabilities:
        found: csi.Capabilities = self.driver.capabilities
        return found

    async def restart(self) -> None:
        """What a new agent process does: nothing but the host's directories carries over."""
        await self.driver.close()
        self.driver = self.suite.make_driver(self.suite.make_host(self.root))
        await self.driver.open()

    def capability(self, **fields: Any) -> csi.VolumeCapability:
        return csi.VolumeCapability(**{"access_mode": "SINGLE_NODE_WRITER", "fs_type": self.suite.fs_type} | fields)

    def request(self, name: str = "pvc-1", size: int = 0, **fields: Any) -> csi.CreateVolume:
        wanted: dict[str, Any] = {
            "name": name,
            "capacity": csi.CapacityRange(required=size or self.suite.size),
            "capabilities": (self.capability(),),
            "parameters": dict(self.suite.parameters),
        }
        return csi.CreateVolume(**wanted | fields)

    async def create(self, name: str = "pvc-1", size: int = 0, **fields: Any) -> csi.Volume:
        volume: csi.Volume = await self.driver.create_volume(self.request(name, size, **fields))
        return volume

    def staging(self, volume_id: str) -> Path:
        path = self.root / "staging" / f"{abs(hash(volume_id)):x}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def target(self, name: str) -> Path:
        path = self.root / "pods" / name / "mount"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    async def stage(self, volume: csi.Volume, **fields: Any) -> Path:
        """Where the driver stages; else only the path."""
        path = self.staging(volume.volume_id)
        if self.offers.staging:
            wanted: dict[str, Any] = {"volume_id": volume.volume_id, "staging_target_path": str(path), "volume_context": volume.context}
            await self.driver.node_stage_volume(csi.NodeStage(**wanted | {"capability": self.capability()} | fields))
            self._staged[path] = volume.volume_id
        return path

    async def publish(self, volume: csi.Volume, pod: str = "p1", *, capability: csi.VolumeCapability | None = None, **fields: Any) -> Path:
        """Staged first, where the driver wants that."""
        capability = capability or self.capability()
        staging = await self.stage(volume, capability=capability)
        path = self.target(pod)
        wanted: dict[str, Any] = {
            "volume_id": volume.volume_id,
            "target_path": str(path),
            "staging_target_path": str(staging) if self.offers.staging else "",
            "capability": capability,
            "volume_context": volume.context,
        }
        await self.driver.node_publish_volume(csi.NodePublish(**wanted | fields))
        self._published[path] = volume.volume_id
        return path

    async def unpublish(self, volume: csi.Volume, pod: str = "p1") -> None:
        path = self.target(pod)
        await settled(lambda: self.driver.node_unpublish_volume(volume.volume_id, str(path)))
        self._published.pop(path, None)

    async def unstage(self, volume: csi.Volume) -> None:
        path = self.staging(volume.volume_id)
        if self.offers.staging:
            await settled(lambda: self.driver.node_unstage_volume(volume.volume_id, str(path)))
        self._staged.pop(path, None)

    async def listed(self) -> dict[str, csi.Volume]:
        return {e.volume.volume_id: e.volume for e in (await self.driver.list_volumes()).entries}

    async def clean_up(self) -> None:
        for path, volume in list(self._published.items()):
            await settled(lambda v=volume, p=path: self.driver.node_unpublish_volume(v, str(p)))  # type: ignore[misc]
        for path, volume in list(self._staged.items()):
            await settled(lambda v=volume, p=path: self.driver.node_unstage_volume(v, str(p)))  # type: ignore[misc]
        if self.offers.listing and self.offers.provisioning:
            for volume in await self.listed():
                await settled(lambda v=volume: self.driver.delete_volume(v))  # type: ignore[misc]
        if self.offers.snapshots:
            for snapshot in (await self.driver.list_snapshots()).entries:
                await settled(lambda s=snapshot.snapshot_id: self.driver.delete_snapshot(s))  # type: ignore[misc]


def left_behind(root: Path) -> list[str]:
    """Mounts below the directory, and loop devices over files in it."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found = [f"mount {path}" for path in mounts if path.startswith(f"{root}/")]
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = backing.read_text().strip()
        except OSError:  # detached meanwhile
            continue
        if file.startswith(f"{root}/"):
            found.append(f"{backing.parent.parent.name} over {file}")
    return found


def writes(path: Path, text: str) -> None:
    (path / "data").write_text(text)
    descriptor = os.open(path / "data", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reads(path: Path) -> str:
    return (path / "data").read_text()


class VolumeSubject(Soundness):
    """What a suite asks of its subclass. ``size`` in bytes is the smallest volume that the driver makes gladly; ``rules`` grow from it.

    ``impossible`` is a size that there cannot be. ``block``: whether it makes raw devices. ``unsupported`` a capability it cannot have.
    """

    group = csi.GROUP
    size: ClassVar[int] = 16 * MIB
    impossible: ClassVar[int] = 1 << 60
    fs_type: ClassVar[str] = ""
    parameters: ClassVar[dict[str, str]] = {}
    unsupported: ClassVar[csi.VolumeCapability] = csi.VolumeCapability(access_mode="MULTI_NODE_MULTI_WRITER")
    #: Refuses parameters that it does not know; csi_grpc cannot know what is behind the socket.
    checks_parameters: ClassVar[bool] = True

    @pytest_asyncio.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        storage = Storage(self, self.make_host(tmp_path))
        await storage.driver.open()
        yield storage
        await storage.clean_up()
        await storage.driver.close()
        for _ in range(50):  # a loop device goes when the last who has it open lets go
            if not left_behind(tmp_path):
                break
            await asyncio.sleep(0.1)
        assert left_behind(tmp_path) == []


def round_trips(value: msgspec.Struct) -> bool:
    return bool(msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value)
