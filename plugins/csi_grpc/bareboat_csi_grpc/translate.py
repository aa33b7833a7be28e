"""Contract values ↔ messages, contract errors ↔ gRPC status codes. Pure functions."""

from __future__ import annotations

from typing import Any

import grpc
from bareboat_csi_protocol import csi_pb2 as pb

from bareboat.contracts import csi, errors

#: Trailing metadata that carries the contract's reason between two ends that are ours.
MODES = {name: getattr(pb.VolumeCapability.AccessMode, name) for name in csi.AccessMode.__args__}  # type: ignore[attr-defined]
NAMES = {number: name for name, number in MODES.items()}
Code = grpc.StatusCode
TO_CODE: list[tuple[type[errors.DriverError], Any]] = [
    (csi.VolumeInUse, Code.FAILED_PRECONDITION),
    (errors.InvalidConfig, Code.INVALID_ARGUMENT),
    (errors.NotFound, Code.NOT_FOUND),
    (errors.Conflict, Code.ALREADY_EXISTS),
    (errors.Unsupported, Code.UNIMPLEMENTED),
    (errors.InProgress, Code.ABORTED),
    (errors.Exhausted, Code.RESOURCE_EXHAUSTED),
    (errors.Unavailable, Code.UNAVAILABLE),
    (errors.DriverError, Code.INTERNAL),
]
FROM_CODE: dict[Any, type[errors.DriverError]] = {
    Code.INVALID_ARGUMENT: errors.InvalidConfig,
    Code.OUT_OF_RANGE: errors.InvalidConfig,
    Code.NOT_FOUND: errors.NotFound,
    Code.ALREADY_EXISTS: errors.Conflict,
    Code.UNIMPLEMENTED: errors.Unsupported,
    Code.ABORTED: errors.InProgress,
    Code.RESOURCE_EXHAUSTED: errors.Exhausted,
    Code.FAILED_PRECONDITION: csi.VolumeInUse,
    Code.UNAVAILABLE: errors.Unavailable,
    Code.DEADLINE_EXCEEDED: errors.Unavailable,
    Code.CANCELLED: errors.Unavailable,
}


def code_of(error: errors.DriverError) -> Any:
    if error.reason == "InvalidToken":
        return Code.ABORTED
    if error.reason == "VolumeInUse":
        return Code.FAILED_PRECONDITION
    return next(code for cls, code in TO_CODE if isinstance(error, cls))


def error_of(code: Any, message: str, reason: str, *, listing: bool) -> errors.DriverError:
    """``listing``: the verb takes a token, and ABORTED means that it is none."""
    if code is Code.ABORTED and listing:
        return errors.InvalidConfig(message, reason="InvalidToken")
    cls = FROM_CODE.get(code, errors.DriverError)
    return cls(message, reason=reason)


def capability(value: csi.VolumeCapability | None) -> Any:
    if value is None:
        return None
    mode = pb.VolumeCapability.AccessMode(mode=MODES[value.access_mode])
    if value.block:
        return pb.VolumeCapability(block=pb.VolumeCapability.BlockVolume(), access_mode=mode)
    mount = pb.VolumeCapability.MountVolume(
        fs_type=value.fs_type, mount_flags=list(value.mount_flags), volume_mount_group=value.volume_mount_group
    )
    return pb.VolumeCapability(mount=mount, access_mode=mode)


def from_capability(message: Any) -> csi.VolumeCapability:
    """Raises InvalidConfig."""
    mode = NAMES.get(message.access_mode.mode)
    kind = message.WhichOneof("access_type")
    if mode is None or kind is None:
        raise errors.InvalidConfig("a capability needs an access mode, and block or mount")
    if kind == "block":
        return csi.VolumeCapability(access_mode=mode, block=True)
    return csi.VolumeCapability(
        access_mode=mode,
        fs_type=message.mount.fs_type,
        mount_flags=tuple(message.mount.mount_flags),
        volume_mount_group=message.mount.volume_mount_group,
    )


def optional_capability(message: Any, field: str = "volume_capability") -> csi.VolumeCapability | None:
    return from_capability(getattr(message, field)) if message.HasField(field) else None


def capacity(value: csi.CapacityRange) -> Any:
    return pb.CapacityRange(required_bytes=value.required, limit_bytes=value.limit)


def from_capacity(message: Any) -> csi.CapacityRange:
    return csi.CapacityRange(required=message.required_bytes, limit=message.limit_bytes)


def source(value: csi.ContentSource | None) -> Any:
    if value is None:
        return None
    if value.snapshot_id:
        return pb.VolumeContentSource(snapshot=pb.VolumeContentSource.SnapshotSource(snapshot_id=value.snapshot_id))
    return pb.VolumeContentSource(volume=pb.VolumeContentSource.VolumeSource(volume_id=value.volume_id))


def from_source(message: Any, field: str) -> csi.ContentSource | None:
    if not message.HasField(field):
        return None
    found = getattr(message, field)
    return csi.ContentSource(snapshot_id=found.snapshot.snapshot_id, volume_id=found.volume.volume_id)


def topologies(values: tuple[csi.Segments, ...]) -> list[Any]:
    return [pb.Topology(segments=segments) for segments in values]


def from_topologies(messages: Any) -> tuple[csi.Segments, ...]:
    return tuple(dict(m.segments) for m in messages)


def requirement(value: csi.TopologyRequirement | None) -> Any:
    if value is None:
        return None
    return pb.TopologyRequirement(requisite=topologies(value.requisite), preferred=topologies(value.preferred))


def from_requirement(message: Any) -> csi.TopologyRequirement | None:
    if not message.HasField("accessibility_requirements"):
        return None
    found = message.accessibility_requirements
    return csi.TopologyRequirement(requisite=from_topologies(found.requisite), preferred=from_topologies(found.preferred))


def volume(value: csi.Volume) -> Any:
    return pb.Volume(
        capacity_bytes=value.capacity_bytes,
        volume_id=value.volume_id,
        volume_context=value.context,
        content_source=source(value.source),
        accessible_topology=topologies(value.topology),
    )


def from_volume(message: Any) -> csi.Volume:
    return csi.Volume(
        volume_id=message.volume_id,
        capacity_bytes=message.capacity_bytes,
        context=dict(message.volume_context),
        source=from_source(message, "content_source"),
        topology=from_topologies(message.accessible_topology),
    )


def snapshot(value: csi.Snapshot) -> Any:
    found = pb.Snapshot(
        size_bytes=value.size_bytes,
        snapshot_id=value.snapshot_id,
        source_volume_id=value.source_volume_id,
        ready_to_use=value.ready_to_use,
    )
    found.creation_time.FromNanoseconds(value.created_at)
    return found


def from_snapshot(message: Any) -> csi.Snapshot:
    return csi.Snapshot(
        snapshot_id=message.snapshot_id,
        source_volume_id=message.source_volume_id,
        size_bytes=message.size_bytes,
        created_at=message.creation_time.ToNanoseconds(),
        ready_to_use=message.ready_to_use,
    )


def usage(value: csi.VolumeUsage) -> Any:
    kinds = pb.VolumeUsage
    found = [kinds(total=value.total_bytes, available=value.available_bytes, used=value.used_bytes, unit=kinds.BYTES)]
    if value.total_inodes:
        found.append(kinds(total=value.total_inodes, available=value.available_inodes, used=value.used_inodes, unit=kinds.INODES))
    condition = pb.VolumeCondition(abnormal=True, message=value.abnormal) if value.abnormal else None
    return pb.NodeGetVolumeStatsResponse(usage=found, volume_condition=condition)


def from_usage(message: Any) -> csi.VolumeUsage:
    units = {u.unit: u for u in message.usage}
    size, count = units.get(pb.VolumeUsage.BYTES, pb.VolumeUsage()), units.get(pb.VolumeUsage.INODES, pb.VolumeUsage())
    condition = message.volume_condition
    return csi.VolumeUsage(
        total_bytes=size.total,
        available_bytes=size.available,
        used_bytes=size.used,
        total_inodes=count.total,
        available_inodes=count.available,
        used_inodes=count.used,
        abnormal=(condition.message or "abnormal") if condition.abnormal else "",
    )
