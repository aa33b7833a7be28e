"""Defaults of a pod spec, for every kind with a pod template, and those that only pods have. In place."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.core.claims import default_claim_spec
from bareboat.api.kinds.core.images import pull_policy
from bareboat.models import core_v1
from bareboat.models.quantity import Quantity

DEFAULT_MODE = 0o644


def default_pod(pod: Any) -> None:
    """What upstream gives to pods and not to templates: ports of the host, requests, service links."""
    spec = pod.spec
    default_pod_spec(spec)
    containers = [*spec.containers, *spec.initContainers]
    if spec.hostNetwork:
        for container in containers:
            for port in container.ports:
                port.hostPort = port.hostPort or port.containerPort
    for container in containers:
        for name, value in container.resources.limits.items():
            container.resources.requests.setdefault(name, value)
    if spec.resources is not None and (spec.resources.limits or spec.resources.requests):
        _default_pod_resources(spec)
    if spec.enableServiceLinks is None:
        spec.enableServiceLinks = True


def _default_pod_resources(spec: Any) -> None:
    """A pod requests what its containers request together, else its limit."""
    requests = spec.resources.requests
    for name in {n for container in spec.containers for n in container.resources.requests}:
        if name in ("cpu", "memory") and name not in requests:
            total = sum((Quantity.parse(c.resources.requests.get(name, "0")) for c in spec.containers), Quantity())
            requests[name] = str(total)
    for name, limit in spec.resources.limits.items():
        requests.setdefault(name, limit)


def default_pod_spec(spec: Any) -> None:
    spec.dnsPolicy = spec.dnsPolicy or "ClusterFirst"
    spec.restartPolicy = spec.restartPolicy or "Always"
    if spec.securityContext is None:
        spec.securityContext = core_v1.PodSecurityContext()
    if spec.terminationGracePeriodSeconds is None:
        spec.terminationGracePeriodSeconds = 30
    spec.schedulerName = spec.schedulerName or "default-scheduler"
    spec.serviceAccountName = spec.serviceAccount = spec.serviceAccountName or spec.serviceAccount
    for container in [*spec.initContainers, *spec.containers, *spec.ephemeralContainers]:
        default_container(container)
    for volume in spec.volumes:
        default_volume(volume)
    for constraint in spec.topologySpreadConstraints:
        constraint.whenUnsatisfiable = constraint.whenUnsatisfiable or "DoNotSchedule"


def default_container(container: Any) -> None:
    container.imagePullPolicy = container.imagePullPolicy or pull_policy(container.image)
    container.terminationMessagePath = container.terminationMessagePath or "/dev/termination-log"
    container.terminationMessagePolicy = container.terminationMessagePolicy or "File"
    for port in container.ports:
        port.protocol = port.protocol or "TCP"
    for env in container.env:
        source = env.valueFrom
        if source is not None and source.fieldRef is not None:
            source.fieldRef.apiVersion = source.fieldRef.apiVersion or "v1"
        if source is not None and source.resourceFieldRef is not None:
            source.resourceFieldRef.divisor = source.resourceFieldRef.divisor or "0"
        if source is not None and source.fileKeyRef is not None and source.fileKeyRef.optional is None:
            source.fileKeyRef.optional = False
    for probe in filter(None, (container.livenessProbe, container.readinessProbe, container.startupProbe)):
        _default_probe(probe)
    if container.lifecycle is not None:
        for handler in filter(None, (container.lifecycle.postStart, container.lifecycle.preStop)):
            if handler.httpGet is not None:
                _default_http(handler.httpGet)


def _default_probe(probe: Any) -> None:
    probe.timeoutSeconds = probe.timeoutSeconds or 1
    probe.periodSeconds = probe.periodSeconds or 10
    probe.successThreshold = probe.successThreshold or 1
    probe.failureThreshold = probe.failureThreshold or 3
    if probe.httpGet is not None:
        _default_http(probe.httpGet)
    if probe.grpc is not None and probe.grpc.service is None:
        probe.grpc.service = ""


def _default_http(action: Any) -> None:
    action.path = action.path or "/"
    action.scheme = action.scheme or "HTTP"


_COMMON = ("configMap", "projected", "secret", "emptyDir")
_SOURCES = (*_COMMON, *(f for f in core_v1.Volume.__struct_fields__ if f not in ("name", *_COMMON)))


def _has_source(volume: Any) -> bool:
    return any(getattr(volume, source) is not None for source in _SOURCES)


def default_volume(volume: Any) -> None:
    if volume.configMap is None and volume.projected is None and volume.secret is None and not _has_source(volume):
        volume.emptyDir = core_v1.EmptyDirVolumeSource()
    for source in filter(None, (volume.secret, volume.configMap, volume.projected, volume.downwardAPI)):
        if source.defaultMode is None:
            source.defaultMode = DEFAULT_MODE
    if volume.hostPath is not None and volume.hostPath.type is None:
        volume.hostPath.type = ""
    if volume.downwardAPI is not None:
        _default_items(volume.downwardAPI.items)
    if volume.projected is not None:
        for projection in volume.projected.sources:
            if projection.serviceAccountToken is not None and projection.serviceAccountToken.expirationSeconds is None:
                projection.serviceAccountToken.expirationSeconds = 3600
            if projection.downwardAPI is not None:
                _default_items(projection.downwardAPI.items)
    if volume.ephemeral is not None and volume.ephemeral.volumeClaimTemplate is not None:
        default_claim_spec(volume.ephemeral.volumeClaimTemplate.spec)
    if volume.iscsi is not None:
        volume.iscsi.iscsiInterface = volume.iscsi.iscsiInterface or "default"
    if volume.rbd is not None:
        volume.rbd.pool = volume.rbd.pool or "rbd"
        volume.rbd.user = volume.rbd.user or "admin"
        volume.rbd.keyring = volume.rbd.keyring or "/etc/ceph/keyring"
    if volume.azureDisk is not None:
        _default_azure(volume.azureDisk)
    if volume.scaleIO is not None:
        volume.scaleIO.storageMode = volume.scaleIO.storageMode or "ThinProvisioned"
        volume.scaleIO.fsType = volume.scaleIO.fsType or "xfs"
    if volume.image is not None:
        volume.image.pullPolicy = volume.image.pullPolicy or pull_policy(volume.image.reference)


def _default_azure(disk: Any) -> None:
    disk.cachingMode = disk.cachingMode if disk.cachingMode is not None else "ReadWrite"
    disk.kind = disk.kind if disk.kind is not None else "Shared"
    disk.fsType = disk.fsType if disk.fsType is not None else "ext4"
    disk.readOnly = disk.readOnly if disk.readOnly is not None else False


def _default_items(items: list[Any]) -> None:
    for item in items:
        if item.fieldRef is not None:
            item.fieldRef.apiVersion = item.fieldRef.apiVersion or "v1"
        if item.resourceFieldRef is not None:
            item.resourceFieldRef.divisor = item.resourceFieldRef.divisor or "0"
