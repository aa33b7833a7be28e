"""Mirror pods: what an agent may create to show a pod that it runs by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bareboat.contracts.admission import AdmissionRequest
from bareboat.models import core_v1
from bareboat.models.status import Forbidden

MIRROR = "kubernetes.io/config.mirror"


def check_mirror_pod(request: AdmissionRequest, node: str, refused: Callable[[AdmissionRequest, str], Forbidden]) -> None:
    """Raises Forbidden."""
    fault = next(_faults(request.object, node), None)
    if fault is not None:
        raise refused(request, fault)


def _faults(pod: core_v1.Pod, node: str) -> Iterator[str]:
    if MIRROR not in pod.metadata.annotations:
        yield f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
    if pod.spec.nodeName != node:
        yield f'node "{node}" can only create pods with spec.nodeName set to itself'
    owners = pod.metadata.ownerReferences
    if len(owners) > 1:
        yield f'node "{node}" can only create pods with a single owner reference set to itself'
    if len(owners) != 1 or (owners[0].apiVersion, owners[0].kind, owners[0].name) != ("v1", "Node", node):
        yield f'node "{node}" can only create pods with an owner reference set to itself'
    if owners and owners[0].controller is not True:
        yield f'node "{node}" can only create pods with a controller reference set to itself'
    if owners and owners[0].blockOwnerDeletion:
        yield f'node "{node}" must not set blockOwnerDeletion on an owner reference'
    yield from _references(pod, node)


def _references(pod: core_v1.Pod, node: str) -> Iterator[str]:
    """A mirror pod names nothing of the API: it could be used to read it."""
    if pod.spec.serviceAccountName:
        yield f'node "{node}" can not create pods that reference a service account'
    if pod.spec.resourceClaims:
        yield f'node "{node}" can not create pods that reference resourceclaims'
    for what, volumes in _used(pod).items():
        if volumes:
            yield f'node "{node}" can not create pods that reference {what}'


def _used(pod: core_v1.Pod) -> dict[str, bool]:
    volumes = pod.spec.volumes
    env = [e for c in [*pod.spec.initContainers, *pod.spec.containers] for e in c.env if e.valueFrom is not None]
    env_from = [e for c in [*pod.spec.initContainers, *pod.spec.containers] for e in c.envFrom]
    projected = [s for v in volumes if v.projected is not None for s in v.projected.sources]
    secrets = bool(pod.spec.imagePullSecrets) or any(v.secret is not None for v in volumes) or any(s.secret is not None for s in projected)
    secrets = secrets or any(e.secretRef is not None for e in env_from) or any(e.valueFrom.secretKeyRef is not None for e in env)  # type: ignore[union-attr]
    maps = any(v.configMap is not None for v in volumes) or any(s.configMap is not None for s in projected)
    maps = maps or any(e.configMapRef is not None for e in env_from) or any(e.valueFrom.configMapKeyRef is not None for e in env)  # type: ignore[union-attr]
    tokens = any(s.serviceAccountToken is not None for s in projected)
    claims = any(v.persistentVolumeClaim is not None or v.ephemeral is not None for v in volumes)
    return {"secrets": secrets, "configmaps": maps, "serviceaccount tokens": tokens, "persistentvolumeclaims": claims}
