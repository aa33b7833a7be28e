"""What a pod's volume means: from claim to volume to driver, or inline in the pod.

What comes in: a pod and one of its volumes. What goes out: ``Wanted``, all that the driver must be told, or MountFailed with the reason.
The API is asked, nothing is mounted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from bareboat.contracts import csi, csi_checks
from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.node.mount_errors import MountFailed

Find = Callable[[type[Any], str, str], Awaitable[Any]]


class Secret(msgspec.Struct, frozen=True):
    name: str
    namespace: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """``host_path`` instead of a driver: a directory of the node. ``volume`` is the PersistentVolume, "" for an inline one."""

    name: str
    driver: str = ""
    host_path: str = ""
    volume_id: str = ""
    volume: str = ""
    claim: str = ""
    modes: tuple[str, ...] = ()
    block: bool = False
    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()
    readonly: bool = False
    context: dict[str, str] = {}
    capacity: int = 0
    claimed: int = 0
    stage_secret: Secret | None = None
    publish_secret: Secret | None = None

    @property
    def shown(self) -> str:
        """Its name in messages."""
        return self.volume or self.name


async def wanted(pod: core_v1.Pod, volume: core_v1.Volume, find: Find) -> Wanted:
    """Raises MountFailed."""
    if volume.csi is not None:
        return _inline(pod, volume.name, volume.csi)
    name, readonly = claim_name(pod, volume)
    claim = await find(core_v1.PersistentVolumeClaim, name, pod.metadata.namespace)
    if claim is None:
        raise MountFailed(f'volume "{volume.name}": persistentvolumeclaim "{name}" not found')
    if volume.ephemeral is not None and pod.metadata.uid not in {o.uid for o in claim.metadata.ownerReferences if o.controller}:
        raise MountFailed(f'PVC "{claim.metadata.namespace}/{name}" was not created for pod "{pod.metadata.name}" (pod is not owner)')
    if claim.status.phase != "Bound" or not claim.spec.volumeName:
        raise MountFailed(f'volume "{volume.name}": PVC "{name}" is not bound')
    found = await find(core_v1.PersistentVolume, claim.spec.volumeName, "")
    if found is None:
        raise MountFailed(f'volume "{volume.name}": persistentvolume "{claim.spec.volumeName}" not found')
    if found.spec.claimRef is None or found.spec.claimRef.uid != claim.metadata.uid:
        raise MountFailed(f'volume "{volume.name}": persistentvolume "{claim.spec.volumeName}" is bound to another claim')
    return _persistent(volume.name, claim, found, readonly)


def claim_name(pod: core_v1.Pod, volume: core_v1.Volume) -> tuple[str, bool]:
    """Of the volume's claim, and whether it is used read-only."""
    if volume.ephemeral is not None:
        return f"{pod.metadata.name}-{volume.name}", False
    source = volume.persistentVolumeClaim
    assert source is not None
    return source.claimName, source.readOnly


def inline_id(pod: core_v1.Pod, name: str) -> str:
    """What an inline volume is called towards its driver."""
    return f"csi-{hashlib.sha256(f'{name}{pod.metadata.namespace}{pod.metadata.name}{pod.metadata.uid}'.encode()).hexdigest()}"


def attachment_name(volume_id: str, driver: str, node: str) -> str:
    """Of the VolumeAttachment of a volume and a node."""
    return f"csi-{hashlib.sha256(f'{volume_id}{driver}{node}'.encode()).hexdigest()}"


def _inline(pod: core_v1.Pod, name: str, source: core_v1.CSIVolumeSource) -> Wanted:
    secret = source.nodePublishSecretRef
    return Wanted(
        name=name,
        driver=source.driver,
        volume_id=inline_id(pod, name),
        modes=("ReadWriteOnce",),
        fs_type=source.fsType or "",
        readonly=bool(source.readOnly),
        context=dict(source.volumeAttributes),
        publish_secret=Secret(secret.name, pod.metadata.namespace) if secret is not None and secret.name else None,
    )


def _persistent(name: str, claim: Any, volume: core_v1.PersistentVolume, readonly: bool) -> Wanted:
    spec = volume.spec
    shared: dict[str, Any] = {
        "name": name,
        "volume": volume.metadata.name,
        "claim": f"{claim.metadata.namespace}/{claim.metadata.name}",
        "block": spec.volumeMode == "Block",
        "modes": tuple(spec.accessModes),
        "capacity": Quantity.parse(spec.capacity.get("storage", "0")).value(),
        "claimed": Quantity.parse(claim.status.capacity.get("storage", "0")).value(),
    }
    if spec.csi is None:
        place = spec.local.path if spec.local is not None else spec.hostPath.path if spec.hostPath is not None else ""
        if not place:
            raise MountFailed(f'volume "{name}": no storage driver for this kind of volume is installed on the node')
        return Wanted(host_path=place, readonly=readonly, **shared)
    source = spec.csi
    return Wanted(
        driver=source.driver,
        volume_id=source.volumeHandle,
        fs_type=source.fsType,
        mount_flags=tuple(spec.mountOptions),
        readonly=readonly or source.readOnly,
        context=dict(source.volumeAttributes),
        stage_secret=_secret(source.nodeStageSecretRef),
        publish_secret=_secret(source.nodePublishSecretRef),
        **shared,
    )


def _secret(reference: core_v1.SecretReference | None) -> Secret | None:
    return Secret(reference.name, reference.namespace) if reference is not None and reference.name else None


def capability(found: Wanted, *, precise: bool, group: int | None = None) -> csi.VolumeCapability:
    """``precise``: the driver knows the modes for one pod of a node. ``group`` where it mounts for a group itself."""
    mode = csi_checks.access_mode(found.modes, precise=precise)
    if found.block:
        return csi.VolumeCapability(access_mode=mode, block=True)
    gid = "" if group is None else str(group)
    return csi.VolumeCapability(access_mode=mode, fs_type=found.fs_type, mount_flags=found.mount_flags, volume_mount_group=gid)
