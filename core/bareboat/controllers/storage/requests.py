"""From claims and StorageClasses to what a driver is asked for, and from its answer to a PersistentVolume.

What comes in: objects of the API. What goes out: values of the contract. Parameters named ``csi.storage.k8s.io/…`` are the kernel's own and
not handed on; Secrets are read where they say so, and go to the driver only.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from bareboat.client.client import Client
from bareboat.contracts import csi, csi_checks
from bareboat.models import core_v1, meta_v1, storage_v1
from bareboat.models.quantity import Quantity
from bareboat.models.status import NotFound
from bareboat.models.volume_fit import class_of_claim

OWN = "csi.storage.k8s.io/"
FS_TYPE = f"{OWN}fstype"
DELETION = "volume.kubernetes.io/provisioner-deletion-secret-"
_TEMPLATE = re.compile(r"\$\{([^}]*)\}")


class NotPossible(Exception):
    """The claim or its class asks for something that cannot be; the text says what."""


async def create(
    client: Client,
    claim: core_v1.PersistentVolumeClaim,
    found: storage_v1.StorageClass,
    offers: csi.Capabilities,
    topology: csi.TopologyRequirement | None,
) -> csi.CreateVolume:
    """Raises NotPossible."""
    if claim.spec.selector is not None:
        raise NotPossible("claim Selector is not supported")
    sizes = claim.spec.resources
    capacity = csi.CapacityRange(required=_bytes(sizes.requests), limit=_bytes(sizes.limits))
    return csi.CreateVolume(
        name=f"pvc-{claim.metadata.uid}",
        capacity=capacity,
        capabilities=(_capability(claim, found, offers),),
        parameters={k: v for k, v in found.parameters.items() if not k.startswith(OWN)},
        secrets=await _secrets(client, _reference(found.parameters, "provisioner", claim)),
        source=await _source(client, claim, offers),
        topology=topology,
        mutable_parameters=await _mutable(client, claim),
    )


def _bytes(amounts: Mapping[str, str]) -> int:
    return Quantity.parse(amounts.get("storage", "0")).value()


def _capability(claim: core_v1.PersistentVolumeClaim, found: storage_v1.StorageClass, offers: csi.Capabilities) -> csi.VolumeCapability:
    mode = csi_checks.access_mode(claim.spec.accessModes, precise=offers.single_node_multi_writer)
    if claim.spec.volumeMode == "Block":
        return csi.VolumeCapability(access_mode=mode, block=True)
    return csi.VolumeCapability(access_mode=mode, fs_type=found.parameters.get(FS_TYPE, ""), mount_flags=tuple(found.mountOptions))


async def _source(client: Client, claim: core_v1.PersistentVolumeClaim, offers: csi.Capabilities) -> csi.ContentSource | None:
    wanted = claim.spec.dataSourceRef or claim.spec.dataSource
    if wanted is None:
        return None
    if wanted.kind != "PersistentVolumeClaim" or wanted.apiGroup:
        raise NotPossible(f"data source {wanted.kind} is not supported: name a PersistentVolumeClaim")
    if not offers.cloning:
        raise NotPossible("the driver makes no copies of volumes")
    try:
        origin = await client.get(core_v1.PersistentVolumeClaim, wanted.name, claim.metadata.namespace)
        volume = await client.get(core_v1.PersistentVolume, origin.spec.volumeName) if origin.spec.volumeName else None
    except NotFound as error:
        raise NotPossible(f"data source: {error}") from error
    if volume is None or volume.spec.csi is None:
        raise NotPossible(f'data source PersistentVolumeClaim "{wanted.name}" is not bound to a volume of a driver')
    if (origin.spec.volumeMode or "Filesystem") != (claim.spec.volumeMode or "Filesystem"):
        raise NotPossible("the source and destination have different volumeMode")
    return csi.ContentSource(volume_id=volume.spec.csi.volumeHandle)


async def _mutable(client: Client, claim: core_v1.PersistentVolumeClaim) -> dict[str, str]:
    name = claim.spec.volumeAttributesClassName
    if not name:
        return {}
    try:
        return dict((await client.get(storage_v1.VolumeAttributesClass, name)).parameters)
    except NotFound as error:
        raise NotPossible(f'volumeattributesclass.storage.k8s.io "{name}" not found') from error


def _reference(parameters: Mapping[str, str], kind: str, claim: core_v1.PersistentVolumeClaim) -> core_v1.SecretReference | None:
    """As the class says it, with ``${pvc.name}``, ``${pvc.namespace}``, ``${pv.name}`` and ``${pvc.annotations['…']}`` filled in."""
    name, namespace = parameters.get(f"{OWN}{kind}-secret-name"), parameters.get(f"{OWN}{kind}-secret-namespace")
    if not name or not namespace:
        return None
    meta = claim.metadata
    known = {"pvc.name": meta.name, "pvc.namespace": meta.namespace, "pv.name": f"pvc-{meta.uid}"}
    known |= {f"pvc.annotations['{k}']": v for k, v in meta.annotations.items()}

    def filled(text: str) -> str:
        unknown = [t for t in _TEMPLATE.findall(text) if t not in known]
        if unknown:
            raise NotPossible(f"secret name {text!r} of the StorageClass: {unknown[0]!r} cannot be filled in")
        return _TEMPLATE.sub(lambda found: known[found[1]], text)

    return core_v1.SecretReference(name=filled(name), namespace=filled(namespace))


async def _secrets(client: Client, reference: core_v1.SecretReference | None) -> dict[str, str]:
    if reference is None:
        return {}
    try:
        found = await client.get(core_v1.Secret, reference.name, reference.namespace)
    except NotFound as error:
        raise NotPossible(str(error)) from error
    return {k: base64.b64decode(v).decode("utf-8", "surrogateescape") for k, v in found.data.items()}


def deletion_notes(found: storage_v1.StorageClass, claim: core_v1.PersistentVolumeClaim) -> dict[str, str]:
    """Where the Secret is that deleting will need."""
    reference = _reference(found.parameters, "provisioner", claim)
    return {f"{DELETION}name": reference.name, f"{DELETION}namespace": reference.namespace} if reference is not None else {}


async def deletion_secrets(client: Client, volume: core_v1.PersistentVolume) -> dict[str, str]:
    notes = volume.metadata.annotations
    name, namespace = notes.get(f"{DELETION}name"), notes.get(f"{DELETION}namespace")
    return await _secrets(client, core_v1.SecretReference(name=name, namespace=namespace) if name and namespace else None)


async def expansion_secrets(client: Client, volume: core_v1.PersistentVolume) -> dict[str, str]:
    assert volume.spec.csi is not None
    return await _secrets(client, volume.spec.csi.controllerExpandSecretRef)


async def attaching_secrets(client: Client, volume: core_v1.PersistentVolume) -> dict[str, str]:
    assert volume.spec.csi is not None
    return await _secrets(client, volume.spec.csi.controllerPublishSecretRef)


def volume(
    claim: core_v1.PersistentVolumeClaim, found: storage_v1.StorageClass, request: csi.CreateVolume, made: csi.Volume, driver: str
) -> core_v1.PersistentVolume:
    """Reserved for its claim from the start."""
    meta, size = claim.metadata, made.capacity_bytes or request.capacity.required

    def secret(kind: str) -> core_v1.SecretReference | None:
        return _reference(found.parameters, kind, claim)

    source = core_v1.CSIPersistentVolumeSource(
        driver=driver,
        volumeHandle=made.volume_id,
        fsType=request.capabilities[0].fs_type,
        volumeAttributes={**made.context, "storage.kubernetes.io/csiProvisionerIdentity": driver},
        controllerPublishSecretRef=secret("controller-publish"),
        nodeStageSecretRef=secret("node-stage"),
        nodePublishSecretRef=secret("node-publish"),
        controllerExpandSecretRef=secret("controller-expand"),
    )
    spec = core_v1.PersistentVolumeSpec(
        capacity={"storage": str(Quantity.of_bytes(size))},
        accessModes=list(claim.spec.accessModes),
        persistentVolumeReclaimPolicy=found.reclaimPolicy or "Delete",
        storageClassName=class_of_claim(claim),
        mountOptions=list(found.mountOptions),
        volumeMode=claim.spec.volumeMode,
        volumeAttributesClassName=claim.spec.volumeAttributesClassName or None,
        claimRef=core_v1.ObjectReference(
            kind="PersistentVolumeClaim", apiVersion="v1", namespace=meta.namespace, name=meta.name, uid=meta.uid
        ),
        nodeAffinity=_affinity(made.topology),
        csi=source,
    )
    return core_v1.PersistentVolume(metadata=meta_v1.ObjectMeta(name=request.name), spec=spec)


def _affinity(topology: tuple[csi.Segments, ...]) -> core_v1.VolumeNodeAffinity | None:
    if not topology:
        return None
    terms = [
        core_v1.NodeSelectorTerm(
            matchExpressions=[core_v1.NodeSelectorRequirement(key=k, operator="In", values=[v]) for k, v in sorted(segments.items())]
        )
        for segments in topology
    ]
    return core_v1.VolumeNodeAffinity(required=core_v1.NodeSelector(nodeSelectorTerms=terms))
