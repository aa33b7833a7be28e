"""Texts for Warning headers about pod specs: labels and annotations of old, names given twice, amounts that make no sense."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.core.address_warnings import each_ip, ip_warnings
from bareboat.models.names import dns1123_label
from bareboat.models.quantity import Quantity
from bareboat.models.status import quote

_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "seccomp.security.alpha.kubernetes.io/pod": 'non-functional in v1.27+; use the "seccompProfile" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_PREFIXES = {
    "container.apparmor.security.beta.kubernetes.io/": 'deprecated since v1.30; use the "appArmorProfile" field instead',
    "container.seccomp.security.alpha.kubernetes.io/": 'non-functional in v1.27+; use the "seccompProfile" field instead',
}
_BEGINNINGS = tuple(_PREFIXES)
_VOLUMES = {
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def pod_warnings(meta: Any, spec: Any, at: str) -> list[str]:
    return annotation_warnings(meta.annotations, at) + spec_warnings(spec, at)


def spec_warnings(spec: Any, at: str) -> list[str]:
    texts = [f"{at}.nodeSelector[{k}]: {_LABELS[k]}" for k in spec.nodeSelector if k in _LABELS]
    if spec.affinity is not None:
        texts += _affinity(spec.affinity, f"{at}.affinity")
    for i, constraint in enumerate(spec.topologySpreadConstraints):
        if constraint.topologyKey in _LABELS:
            texts.append(f"{at}.topologySpreadConstraints[{i}].topologyKey: {constraint.topologyKey} is {_LABELS[constraint.topologyKey]}")
        if constraint.labelSelector is None:
            message = "a null labelSelector results in matching no pod"
            texts.append(f"{at}.topologySpreadConstraints[{i}].labelSelector: {message}")
    texts += _volumes(spec, at) + _aliases(spec, at)
    if spec.dnsConfig is not None:
        texts += each_ip(f"{at}.dnsConfig.nameservers", spec.dnsConfig.nameservers)
    for i, secret in enumerate(spec.imagePullSecrets):
        if not secret.name:
            texts.append(f"{at}.imagePullSecrets[{i}].name: invalid empty name {quote('')}")
    for part in ("initContainers", "containers"):
        for i, container in enumerate(getattr(spec, part)):
            texts += _container(container, f"{at}.{part}[{i}]")
    texts += _ports(spec, at) + _not_honoured(spec, at)
    if spec.terminationGracePeriodSeconds is not None and spec.terminationGracePeriodSeconds < 0:
        texts.append(f"{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1")
    for name, value in spec.overhead.items():
        texts += _fractional(name, value, f"{at}.overhead[{name}]")
    return texts


def _not_honoured(spec: Any, at: str) -> list[str]:
    """What is kept and has no effect on the nodes that there are."""
    texts = []
    if spec.hostUsers is False:
        texts.append(f"{at}.hostUsers: user namespaces are not offered here; the pod runs in the node's")
    if spec.resourceClaims:
        texts.append(f"{at}.resourceClaims: devices are not allocated here; the pod runs without them")
    return texts


def annotation_warnings(annotations: dict[str, str], at: str) -> list[str]:
    place = f"{at.removesuffix('spec')}metadata.annotations"
    texts = [f"{place}[{k}]: {_ANNOTATIONS[k]}" for k in annotations if k in _ANNOTATIONS]
    if not any(k.startswith(_BEGINNINGS) for k in annotations):
        return texts
    return texts + [f"{place}[{k}]: {text}" for k in annotations for prefix, text in _PREFIXES.items() if k.startswith(prefix)]


def _affinity(affinity: Any, at: str) -> list[str]:
    node = affinity.nodeAffinity
    if node is None:
        return []
    required = node.requiredDuringSchedulingIgnoredDuringExecution
    terms = [
        (f"{at}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{i}]", term)
        for i, term in enumerate(required.nodeSelectorTerms if required is not None else ())
    ]
    terms += [
        (f"{at}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[{i}].preference", preferred.preference)
        for i, preferred in enumerate(node.preferredDuringSchedulingIgnoredDuringExecution)
    ]
    return [
        f"{where}.matchExpressions[{j}].key: {expression.key} is {_LABELS[expression.key]}"
        for where, term in terms
        for j, expression in enumerate(term.matchExpressions)
        if expression.key in _LABELS
    ]


def _volumes(spec: Any, at: str) -> list[str]:
    texts: list[str] = []
    for i, volume in enumerate(spec.volumes):
        where = f"{at}.volumes[{i}]"
        texts += [f"{where}.{name}: {text}" for name, text in _VOLUMES.items() if getattr(volume, name) is not None]
        claim = volume.ephemeral.volumeClaimTemplate.spec if volume.ephemeral and volume.ephemeral.volumeClaimTemplate else None
        if claim is not None and "storage" in claim.resources.requests:
            field = f"{where}.ephemeral.volumeClaimTemplate.spec.resources.requests[storage]"
            texts += _fractional("storage", claim.resources.requests["storage"], field)
        if volume.emptyDir is not None and volume.emptyDir.sizeLimit:
            texts += _fractional("memory", volume.emptyDir.sizeLimit, f"{where}.emptyDir.sizeLimit")
    return texts


def _aliases(spec: Any, at: str) -> list[str]:
    seen: set[str] = set()
    texts: list[str] = []
    for i, alias in enumerate(spec.hostAliases):
        if alias.ip in seen:
            texts.append(f"{at}.hostAliases[{i}].ip: duplicate ip {quote(alias.ip)}")
        texts += ip_warnings(f"{at}.hostAliases[{i}].ip", alias.ip)
        seen.add(alias.ip)
        names: set[str] = set()
        for j, name in enumerate(alias.hostnames):
            if name in names:
                texts.append(f"{at}.hostAliases[{i}].hostnames[{j}]: duplicate hostname {quote(name)}")
            names.add(name)
    return texts


def _container(container: Any, at: str) -> list[str]:
    texts: list[str] = []
    for part in ("limits", "requests"):
        for name, value in getattr(container.resources, part).items():
            texts += _fractional(name, value, f"{at}.resources.{part}[{name}]")
    values: dict[str, str] = {}
    for i, variable in enumerate(container.env):
        if variable.name in values and not (variable.value and f"$({variable.name})" in variable.value):
            message = f"hides previous definition of {quote(variable.name)}, which may be dropped when using apply"
            texts.append(f"{at}.env[{i}]: {message}")
        values[variable.name] = variable.value
    return texts


def _fractional(name: str, value: str, field: str) -> list[str]:
    if name not in ("memory", "ephemeral-storage", "storage") or not Quantity.parse(value).milli() % 1000:
        return []
    return [f"{field}: fractional byte value {quote(value)} is invalid, must be an integer"]


def _ports(spec: Any, at: str) -> list[str]:
    seen: dict[tuple[int, str, str], str] = {}
    texts: list[str] = []
    for i, container in enumerate(spec.containers):
        for j, port in enumerate(container.ports):
            where = f"{at}.containers[{i}].ports[{j}]"
            key = (port.containerPort, port.protocol, port.name if port.hostPort else "")
            if key in seen and not port.hostPort:
                texts.append(f"{where}: duplicate port definition with {seen[key]}")
            seen.setdefault(key, where)
    return texts


def name_warnings(name: str, at: str = "metadata.name") -> list[str]:
    """A pod's name becomes its host name."""
    if not name or not dns1123_label(name):
        return []
    message = "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended"
    return [f"{at}: {message}: {dns1123_label(name)}"]
