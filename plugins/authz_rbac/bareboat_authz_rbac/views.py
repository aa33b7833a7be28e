"""What the node authorizer sees of objects: only the references that lead from a node to what it may read."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

#: (resource, namespace, name)
Key = tuple[str, str, str]
MIRROR = "kubernetes.io/config.mirror"
SECRET, MAP, CLAIM, ACCOUNT, DEVICES, POD = "secrets", "configmaps", "persistentvolumeclaims", "serviceaccounts", "resourceclaims", "pods"


class Ref(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class _SecretSource(msgspec.Struct):
    secretName: str = ""


class _ClaimSource(msgspec.Struct):
    claimName: str = ""


class _WithSecret(msgspec.Struct):
    secretRef: Ref | None = None


class _Csi(msgspec.Struct):
    nodePublishSecretRef: Ref | None = None
    nodeStageSecretRef: Ref | None = None
    nodeExpandSecretRef: Ref | None = None


class _AzureFile(msgspec.Struct):
    secretName: str = ""
    secretNamespace: str | None = None


class _Projection(msgspec.Struct):
    secret: Ref | None = None
    configMap: Ref | None = None


class _Projected(msgspec.Struct):
    sources: list[_Projection] = []


class _Storage(msgspec.Struct, kw_only=True):
    """Kinds of volumes that need a secret; of pods and of PersistentVolumes alike."""

    azureFile: _AzureFile | None = None
    cephfs: _WithSecret | None = None
    cinder: _WithSecret | None = None
    flexVolume: _WithSecret | None = None
    rbd: _WithSecret | None = None
    scaleIO: _WithSecret | None = None
    iscsi: _WithSecret | None = None
    storageos: _WithSecret | None = None
    csi: _Csi | None = None

    def secrets(self, namespace: str) -> Iterator[tuple[str, str]]:
        """(namespace, name), without one in ``namespace``."""
        if self.azureFile is not None:
            yield self.azureFile.secretNamespace or namespace, self.azureFile.secretName
        for source in (self.cephfs, self.cinder, self.flexVolume, self.rbd, self.scaleIO, self.iscsi, self.storageos):
            if source is not None and source.secretRef is not None:
                yield source.secretRef.namespace or namespace, source.secretRef.name
        if self.csi is not None:
            for ref in (self.csi.nodePublishSecretRef, self.csi.nodeStageSecretRef, self.csi.nodeExpandSecretRef):
                if ref is not None:
                    yield ref.namespace or namespace, ref.name


class _Volume(_Storage, kw_only=True):
    name: str = ""
    secret: _SecretSource | None = None
    configMap: Ref | None = None
    persistentVolumeClaim: _ClaimSource | None = None
    ephemeral: dict[str, msgspec.Raw] | None = None
    projected: _Projected | None = None


class _Source(msgspec.Struct):
    secretRef: Ref | None = None
    configMapRef: Ref | None = None
    secretKeyRef: Ref | None = None
    configMapKeyRef: Ref | None = None


class _Env(msgspec.Struct):
    valueFrom: _Source | None = None


class _Container(msgspec.Struct):
    env: list[_Env] = []
    envFrom: list[_Source] = []


class _PodClaim(msgspec.Struct):
    name: str = ""
    resourceClaimName: str | None = None


class _PodSpec(msgspec.Struct, kw_only=True):
    nodeName: str = ""
    serviceAccountName: str = ""
    imagePullSecrets: list[Ref] = []
    volumes: list[_Volume] = []
    containers: list[_Container] = []
    initContainers: list[_Container] = []
    ephemeralContainers: list[_Container] = []
    resourceClaims: list[_PodClaim] = []


class _PodStatus(msgspec.Struct):
    resourceClaimStatuses: list[_PodClaim] = []


class _Meta(msgspec.Struct):
    annotations: dict[str, str] = {}


class PodView(msgspec.Struct):
    metadata: _Meta
    spec: _PodSpec
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _VolumeSpec(_Storage, kw_only=True):
    claimRef: Ref | None = None


class VolumeView(msgspec.Struct):
    spec: _VolumeSpec


class _OnNode(msgspec.Struct):
    nodeName: str | None = None


class OnNodeView(msgspec.Struct):
    """VolumeAttachments and ResourceSlices."""

    spec: _OnNode


def references(pod: PodView, namespace: str, name: str) -> Iterator[Key]:
    """What the node of the pod may read. A mirror pod gives nothing: the node made it itself."""
    yield POD, namespace, name
    if MIRROR in pod.metadata.annotations:
        return
    spec = pod.spec
    yield ACCOUNT, namespace, spec.serviceAccountName or "default"
    for secret in spec.imagePullSecrets:
        yield SECRET, namespace, secret.name
    for volume in spec.volumes:
        for resource, found in _of_volume(volume, name):
            yield resource, namespace, found
    for container in (*spec.containers, *spec.initContainers, *spec.ephemeralContainers):
        for source in (*container.envFrom, *(env.valueFrom for env in container.env if env.valueFrom is not None)):
            for resource, ref in _of_source(source):
                yield resource, namespace, ref.name
    for claim in (*spec.resourceClaims, *pod.status.resourceClaimStatuses):
        if claim.resourceClaimName:
            yield DEVICES, namespace, claim.resourceClaimName


def _of_volume(volume: _Volume, pod: str) -> Iterator[tuple[str, str]]:
    if volume.secret is not None:
        yield SECRET, volume.secret.secretName
    if volume.configMap is not None:
        yield MAP, volume.configMap.name
    if volume.persistentVolumeClaim is not None:
        yield CLAIM, volume.persistentVolumeClaim.claimName
    if volume.ephemeral is not None:
        yield CLAIM, f"{pod}-{volume.name}"
    for projection in volume.projected.sources if volume.projected is not None else ():
        if projection.secret is not None:
            yield SECRET, projection.secret.name
        if projection.configMap is not None:
            yield MAP, projection.configMap.name
    for _, name in volume.secrets(""):
        yield SECRET, name


def _of_source(source: _Source) -> Iterator[tuple[str, Ref]]:
    for resource, ref in (
        (SECRET, source.secretRef),
        (SECRET, source.secretKeyRef),
        (MAP, source.configMapRef),
        (MAP, source.configMapKeyRef),
    ):
        if ref is not None:
            yield resource, ref
