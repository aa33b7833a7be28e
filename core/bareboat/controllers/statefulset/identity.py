"""The pod of an ordinal: its name, labels, host name, volumes. Pure functions."""

from __future__ import annotations

import re
from typing import Any

from bareboat.controllers.pods import available_in, is_ready, pod_from_template
from bareboat.controllers.revisions import POD_REVISION
from bareboat.models import core_v1
from bareboat.models.scheme import Resource

POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-(\d+)", re.ASCII)


def parent_and_ordinal(name: str) -> tuple[str, int]:
    """Of a pod's name; ("", -1) if it is no such name."""
    found = _NAME.fullmatch(name)
    return (found[1], int(found[2])) if found is not None else ("", -1)


def ordinal_of(pod: core_v1.Pod) -> int:
    return parent_and_ordinal(pod.metadata.name)[1]


def first_ordinal(owner: Any) -> int:
    return owner.spec.ordinals.start if owner.spec.ordinals is not None else 0


def claim_name(owner: Any, template: core_v1.PersistentVolumeClaim, ordinal: int) -> str:
    return f"{template.metadata.name}-{owner.metadata.name}-{ordinal}"


def make_pod(owner: Any, resource: Resource, template: Any, revision: str, ordinal: int) -> core_v1.Pod:
    pod = pod_from_template(template, owner, resource)
    pod.metadata.generateName = f"{owner.metadata.name}-"
    pod.metadata.name = f"{owner.metadata.name}-{ordinal}"
    pod.metadata.labels = {**pod.metadata.labels, POD_REVISION: revision}
    give_identity(owner, pod)
    pod.spec.hostname, pod.spec.subdomain = pod.metadata.name, owner.spec.serviceName
    claimed = {t.metadata.name: claim_name(owner, t, ordinal) for t in owner.spec.volumeClaimTemplates}
    own = [_volume(name, claim) for name, claim in claimed.items()]
    pod.spec.volumes = [*own, *(v for v in pod.spec.volumes if v.name not in claimed)]
    return pod


def _volume(name: str, claim: str) -> core_v1.Volume:
    return core_v1.Volume(name=name, persistentVolumeClaim=core_v1.PersistentVolumeClaimVolumeSource(claimName=claim))


def give_identity(owner: Any, pod: core_v1.Pod) -> bool:
    """Put the labels right that say which pod it is; whether anything changed."""
    del owner
    wanted = {POD_NAME: pod.metadata.name, POD_INDEX: str(ordinal_of(pod))}
    labels = {**pod.metadata.labels, **wanted}
    changed = labels != pod.metadata.labels
    pod.metadata.labels = labels
    return changed


def revision_of(pod: core_v1.Pod) -> str:
    return pod.metadata.labels.get(POD_REVISION, "")


def is_running_and_ready(pod: core_v1.Pod) -> bool:
    return pod.status.phase == "Running" and is_ready(pod)


def wait_for(pod: core_v1.Pod, min_ready_seconds: int, now: float) -> float | None:
    """Seconds until the pod counts as available (0 = it does), None while it is not running and ready."""
    return available_in(pod, min_ready_seconds, now) if is_running_and_ready(pod) else None
