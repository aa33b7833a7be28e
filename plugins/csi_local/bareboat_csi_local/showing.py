"""Staging and publishing: a volume's files or device at the paths where the kernel wants them. Blocking.

What comes in: the contract's node requests. What goes out: bind mounts and loop devices. What is mounted is read from the machine each
time: an earlier process may have done it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from bareboat.contracts import csi, csi_checks
from bareboat.contracts.errors import Conflict, InvalidConfig, NotFound
from bareboat.models.quantity import Quantity
from bareboat_csi_local import host, making
from bareboat_csi_local.making import Making
from bareboat_csi_local.records import VolumeRecord, id_of

INLINE_SIZE = 64 << 20
#: Flags that a bind mount can have of its own.
BIND_FLAGS = frozenset({"noatime", "nodev", "noexec", "nosuid", "nodiratime", "relatime"})


class Showing:
    def __init__(self, made: Making) -> None:
        self._made = made

    def stage(self, request: csi.NodeStage) -> None:
        capability = csi_checks.check_stage(request)
        record = self._made.volumes.get(request.volume_id)
        making.check_device(record, capability)
        data, path = self._made.volumes.data(request.volume_id), request.staging_target_path
        if record.block:
            if not self._device(data):
                host.attach(data)
        elif host.mounted(path) is None:
            self._mount(record, data, path, capability.mount_flags)

    def _mount(self, record: VolumeRecord, data: Path, path: str, flags: tuple[str, ...]) -> None:
        if record.kind == "directory":
            unknown = sorted(set(flags) - BIND_FLAGS)
            if unknown:
                raise InvalidConfig(
                    f"mount option {unknown[0]!r} has no meaning for a directory; known are: {', '.join(sorted(BIND_FLAGS))}"
                )
            host.bind(str(data), path)
            if flags:
                host.remount(path, flags)
        else:
            if record.grow and not host.devices_of(data):
                host.grow_unmounted(data, record.fs)
            host.mount_image(data, path, record.fs, flags)
            if record.grow:
                if record.fs == "xfs":
                    host.grow_file_system(path, data, record.fs)
                self._made.grown(record)
            self._open_to_all(Path(path))

    def _open_to_all(self, path: Path) -> None:
        """A file system that was never used is open to whoever the pod runs as."""
        if {p.name for p in path.iterdir()} <= {"lost+found"} and path.stat().st_mode & 0o7777 == 0o755:
            path.chmod(0o777)

    def _device(self, image: Path) -> str:
        """The writable loop device of a raw volume."""
        return next((d for d in host.devices_of(image) if not host.is_readonly(d)), "")

    def unstage(self, volume_id: str, path: str) -> None:
        csi_checks.given(volume_id=volume_id, staging_target_path=path)
        record = self._made.volumes.find(volume_id)
        if record is None:
            host.unmount(path)
            return
        data = self._made.volumes.data(volume_id)
        if record.block:
            if any(host.device_at(m.path) in host.devices_of(data) for m in host.mounts() if m.root.startswith("/loop")):
                raise csi.VolumeInUse(f"{volume_id} is published")
            for device in host.devices_of(data):
                host.detach(device)
        else:
            staged = host.mounted(path)
            if staged is not None and self._published(data, staged):
                raise csi.VolumeInUse(f"{volume_id} is published")
            host.unmount(path)
        _until_let_go(data)

    def _published(self, data: Path, staged: host.Mount) -> bool:
        return any(host.same(m, staged) and m.path not in (staged.path, os.path.realpath(data)) for m in host.mounts())

    def publish(self, request: csi.NodePublish) -> None:
        capability = csi_checks.check_publish(request)
        target = request.target_path
        if request.volume_context.get(csi.EPHEMERAL) == "true":
            self._publish_inline(request, capability)
            return
        record = self._made.volumes.get(request.volume_id)
        making.check_device(record, capability)
        if record.block:
            self._publish_device(record, target, request.readonly)
            return
        staged = host.mounted(request.staging_target_path) if request.staging_target_path else None
        if staged is None:
            raise InvalidConfig(f"{request.volume_id} is not staged at {request.staging_target_path!r}")
        there = host.mounted(target)
        if there is None:
            Path(target).mkdir(exist_ok=True)
            host.bind(request.staging_target_path, target)
            if request.readonly:
                host.make_readonly(target, [f for f in capability.mount_flags if f in BIND_FLAGS])
        elif not host.same(there, staged) or there.readonly != request.readonly:
            raise Conflict(f"something else is mounted at {target}")

    def _publish_device(self, record: VolumeRecord, target: str, readonly: bool) -> None:
        data = self._made.volumes.data(record.volume.volume_id)
        there = host.device_at(target)
        if there:
            if there not in host.devices_of(data) or host.is_readonly(there) != readonly:
                raise Conflict(f"another device is at {target}")
            return
        device = host.attach(data, readonly=True) if readonly else self._device(data)
        if not device:
            raise InvalidConfig(f"{record.volume.volume_id} is not staged")
        Path(target).touch()
        host.bind(device, target)

    def _publish_inline(self, request: csi.NodePublish, capability: csi.VolumeCapability) -> None:
        """Made here, with the pod's attributes: ``size`` and ``kind``."""
        given = {k: v for k, v in request.volume_context.items() if not k.startswith("csi.storage.k8s.io/")}
        size = _bytes(given.pop("size", ""))
        wanted = csi.CreateVolume(
            name=f"inline:{request.volume_id}", capacity=csi.CapacityRange(required=size), capabilities=(capability,), parameters=given
        )
        known = self._made.volumes.find(id_of("vol", wanted.name))
        identity = known.volume.volume_id if known is not None else self._made.create(wanted).volume_id
        if host.mounted(request.target_path) is None:
            Path(request.target_path).mkdir(exist_ok=True)
            self._mount(self._made.volumes.get(identity), self._made.volumes.data(identity), request.target_path, capability.mount_flags)
            if request.readonly:
                host.make_readonly(request.target_path)

    def unpublish(self, volume_id: str, target: str) -> None:
        csi_checks.given(volume_id=volume_id, target_path=target)
        path, device = Path(target), host.device_at(target)
        host.unmount(target)
        if device and host.is_readonly(device):
            host.detach(device)
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        inline = id_of("vol", f"inline:{volume_id}")
        if self._made.volumes.find(inline) is not None:
            _until_let_go(self._made.volumes.data(inline))
            self._made.delete(inline)

    def expand(self, volume_id: str, path: str, capacity: csi.CapacityRange) -> int:
        record = self._at(volume_id, path)
        csi_checks.check_capacity(capacity)
        if record.grow and record.fs:
            host.grow_file_system(path, self._made.volumes.data(volume_id), record.fs)
            self._made.grown(record)
        return record.volume.capacity_bytes

    def usage(self, volume_id: str, path: str) -> csi.VolumeUsage:
        record = self._at(volume_id, path)
        size = record.volume.capacity_bytes
        if record.block:
            return csi.VolumeUsage(total_bytes=size)
        disk = os.statvfs(path)
        total, free, used = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize, (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        if record.kind == "directory":
            used = int(host.run("du", "-sB1", "--one-file-system", path).split()[0])
            total = max(size, used)
            free = min(free, total - used)
        return csi.VolumeUsage(
            total_bytes=total,
            available_bytes=free,
            used_bytes=used,
            total_inodes=disk.f_files,
            available_inodes=disk.f_ffree,
            used_inodes=disk.f_files - disk.f_ffree,
        )

    def _at(self, volume_id: str, path: str) -> VolumeRecord:
        csi_checks.given(volume_id=volume_id, volume_path=path)
        record = self._made.volumes.find(volume_id) or self._made.volumes.get(id_of("vol", f"inline:{volume_id}"))
        if not host.device_at(path) and host.mounted(path) is None:
            raise NotFound(f"{volume_id} is not at {path}")
        return record


def _bytes(text: str) -> int:
    if not text:
        return INLINE_SIZE
    try:
        return Quantity.parse(text).value()
    except ValueError as error:
        raise InvalidConfig(f"size {text!r} is no quantity such as 64Mi") from error


def _until_let_go(data: Path) -> None:
    """The kernel lets go of a loop device a moment after its mount."""
    for _ in range(40):
        if data.is_dir() or not host.devices_of(data):
            return
        time.sleep(0.05)
