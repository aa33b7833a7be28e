"""Making, copying, growing and deleting volumes and snapshots. Blocking; one call at a time on one volume.

What comes in: the contract's requests. What goes out: records, and files below one directory. A *directory* volume is as big as the disk
and says a size; an *image* volume is a file with a file system in it, or a raw device, and can hold no more than its size.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from bareboat.contracts import csi, csi_checks
from bareboat.contracts.errors import Conflict, Exhausted, InvalidConfig
from bareboat_csi_local import host
from bareboat_csi_local.records import Kind, Shelf, SnapshotRecord, VolumeRecord, id_of

PARAMETERS = ("kind",)
UNIT = 1 << 20
#: Of a claim that says no size.
DEFAULT_SIZE = 1 << 30


class Making:
    """``topology`` is where this node is."""

    def __init__(self, directory: Path, capacity: int, topology: csi.Segments) -> None:
        self._directory = directory
        self._capacity = capacity
        self._topology = topology
        self.volumes = Shelf(directory / "volumes", VolumeRecord)
        self.snapshots = Shelf(directory / "snapshots", SnapshotRecord)

    def open(self) -> None:
        self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.volumes.open()
        self.snapshots.open()

    def create(self, request: csi.CreateVolume) -> csi.Volume:
        csi_checks.check_create(request, PARAMETERS)
        kind, fs = shape(request)
        block = request.capabilities[0].block
        known = self.volumes.find(id_of("vol", request.name))
        if known is not None:
            csi_checks.check_same(request, known.volume)
            if (known.kind, known.fs, known.block) != (kind, fs, block):
                raise Conflict(f"volume {request.name!r} exists with another kind of access")
            return known.volume
        unsupported = next((why for c in request.capabilities if (why := refusal(c))), "")
        if unsupported:
            raise InvalidConfig(unsupported)
        if not csi_checks.reachable(self._topology, request.topology):
            raise Exhausted("volumes of this node are reachable from this node only")
        return self._make(request, kind, fs, block)

    def _make(self, request: csi.CreateVolume, kind: Kind, fs: str, block: bool) -> csi.Volume:
        origin, least = self._origin(request.source, kind, fs)
        size = self._size(request.capacity, max(least, host.SMALLEST.get(fs, UNIT)))
        self._check_room(size)
        identity = id_of("vol", request.name)
        draft = self.volumes.drafted(identity)
        if origin is not None:
            self._copy(origin, draft / origin.name, request.source)
            if kind == "image":
                host.grow_image(draft / "image", size)
        elif kind == "image":
            host.make_image(draft / "image", size, fs)
        else:
            (draft / "data").mkdir()
            (draft / "data").chmod(0o777)
        volume = csi.Volume(
            volume_id=identity, capacity_bytes=size, context={"kind": kind}, source=request.source, topology=(self._topology,)
        )
        record = VolumeRecord(name=request.name, volume=volume, kind=kind, fs=fs, block=block, grow=bool(origin and fs))
        self.volumes.publish(identity, draft, record)
        return volume

    def _origin(self, source: csi.ContentSource | None, kind: Kind, fs: str) -> tuple[Path | None, int]:
        """What to copy, and how big the copy is at least."""
        if source is None:
            return None, 0
        if source.snapshot_id:
            snapshot = self.snapshots.get(source.snapshot_id)
            like, least, origin = (snapshot.kind, snapshot.fs), snapshot.snapshot.size_bytes, self.snapshots.data(source.snapshot_id)
        else:
            record = self.volumes.get(source.volume_id)
            like, least, origin = (record.kind, record.fs), record.volume.capacity_bytes, self.volumes.data(source.volume_id)
        if like != (kind, fs):
            raise InvalidConfig(
                f"the source is {' '.join(filter(None, like))}, the new volume would be {' '.join(filter(None, (kind, fs)))}"
            )
        return origin, least

    def _copy(self, origin: Path, target: Path, source: csi.ContentSource | None) -> None:
        live = self.volumes.find(source.volume_id) if source is not None and source.volume_id else None
        with host.Frozen(mounted_at(origin) if live is not None and live.kind == "image" else ""):
            host.copy(origin, target)

    def _size(self, capacity: csi.CapacityRange, least: int) -> int:
        wanted = capacity.required or capacity.limit or max(least, DEFAULT_SIZE)
        size = -(-max(wanted, least if not capacity.required else 0) // UNIT) * UNIT
        if size < least or (capacity.required and capacity.required < least):
            size = least
        if capacity.limit and size > capacity.limit:
            raise InvalidConfig(f"at least {size} bytes are needed but the limit is {capacity.limit}")
        return size

    def _check_room(self, more: int) -> None:
        left = self.left()
        if more > left:
            raise Exhausted(f"{more} bytes are more than the {left} that are left on the node")

    def left(self) -> int:
        """Bytes for new volumes: what the disk has beyond what images may still grow into, and what the options allow."""
        disk = os.statvfs(self._directory)
        free = disk.f_bavail * disk.f_frsize
        promised = used = 0
        for record in self.volumes.all():
            used += record.volume.capacity_bytes
            if record.kind == "image":
                promised += max(0, record.volume.capacity_bytes - self.volumes.data(record.volume.volume_id).stat().st_blocks * 512)
        left = free - promised
        return max(0, min(left, self._capacity - used) if self._capacity else left)

    def delete(self, volume_id: str) -> None:
        csi_checks.given(volume_id=volume_id)
        record = self.volumes.find(volume_id)
        if record is None:
            return
        if in_use(self.volumes.data(volume_id)):
            raise csi.VolumeInUse(f"{volume_id} is mounted")
        self.volumes.remove(volume_id)

    def expand(self, volume_id: str, capacity: csi.CapacityRange) -> csi.Expanded:
        csi_checks.given(volume_id=volume_id, capacity=capacity.required)
        csi_checks.check_capacity(capacity)
        record = self.volumes.get(volume_id)
        now = record.volume.capacity_bytes
        if capacity.required > now:
            size = self._size(capacity, now)
            self._check_room(size - now)
            if record.kind == "image":
                host.grow_image(self.volumes.data(volume_id), size)
            volume = msgspec.structs.replace(record.volume, capacity_bytes=size)
            self.volumes.rewrite(volume_id, msgspec.structs.replace(record, volume=volume, grow=bool(record.fs)))
            now = size
        return csi.Expanded(capacity_bytes=now, node_expansion_required=record.kind == "image")

    def grown(self, record: VolumeRecord) -> None:
        """Its file system fills its file now."""
        self.volumes.rewrite(record.volume.volume_id, msgspec.structs.replace(record, grow=False))

    def snapshot(self, name: str, source: str, created_at: int) -> csi.Snapshot:
        csi_checks.given(name=name, source_volume_id=source)
        identity = id_of("snap", name)
        known = self.snapshots.find(identity)
        if known is not None:
            if known.snapshot.source_volume_id != source:
                raise Conflict(f"snapshot {name!r} exists of another volume")
            return known.snapshot
        record, data = self.volumes.get(source), self.volumes.data(source)
        draft = self.snapshots.drafted(identity)
        self._copy(data, draft / data.name, csi.ContentSource(volume_id=source))
        size = record.volume.capacity_bytes
        made = csi.Snapshot(snapshot_id=identity, source_volume_id=source, size_bytes=size, created_at=created_at)
        self.snapshots.publish(identity, draft, SnapshotRecord(name=name, snapshot=made, kind=record.kind, fs=record.fs))
        return made


def shape(request: csi.CreateVolume) -> tuple[Kind, str]:
    """Kind and file system: an image where a device or a file system is asked for, else what the parameter says."""
    capability, wanted = request.capabilities[0], request.parameters.get("kind", "")
    if wanted not in ("", "directory", "image"):
        raise InvalidConfig(f"parameter kind is {wanted!r}; allowed are: directory, image")
    if capability.block:
        return "image", ""
    fs = capability.fs_type
    if wanted == "directory" or (not wanted and not fs):
        return "directory", ""
    if fs and fs not in host.FILE_SYSTEMS:
        raise InvalidConfig(f"file system {fs!r} is not offered; offered are: {', '.join(host.FILE_SYSTEMS)}")
    return "image", fs or "ext4"


def refusal(capability: csi.VolumeCapability) -> str:
    """Why a volume of one node cannot be used so; "" if it can."""
    if capability.access_mode not in csi.SINGLE_NODE:
        return f"access mode {capability.access_mode} needs more than one node: volumes of this driver are one node's"
    return ""


def mounted_at(data: Path) -> str:
    """Where an image is mounted, "" if nowhere."""
    for device in host.devices_of(data):
        number = (host.SYS_BLOCK / Path(device).name / "dev").read_text().strip()
        found = next((m.path for m in host.mounts() if m.device == number), "")
        if found:
            return found
    return ""


def in_use(data: Path) -> bool:
    return bool(host.places_of(data) if data.is_dir() else host.devices_of(data))


def check_device(record: VolumeRecord, capability: csi.VolumeCapability) -> None:
    if record.block != capability.block:
        raise InvalidConfig(f"{record.volume.volume_id} is {'a device' if record.block else 'a mount'} and cannot be the other")
