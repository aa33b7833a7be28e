"""Volumes of pods: one source each; files made of secrets, config maps, tokens and the pod's own fields."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import duplicate, each, forbidden, invalid, one_of, required
from bareboat.api.kinds.core.claims import validate_claim_template
from bareboat.api.kinds.core.environment import VOLUME_FIELDS, field_reference, resource_reference
from bareboat.api.kinds.core.paths import file_mode, not_reserved
from bareboat.api.kinds.core.volume_sources import SHARED, Check, only_one
from bareboat.api.kinds.selectors import validate_selector
from bareboat.models.names import dns1123_label, dns1123_subdomain
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_TWICE = "conflicting duplicate paths"


def validate_volumes(volumes: list[Any], at: str, pod: str = "") -> tuple[dict[str, Any], list[Cause]]:
    """The volumes without fault by name, which containers may mount, and the faults. ``pod`` is the name of a real pod."""
    valid: dict[str, Any] = {}
    causes: list[Cause] = []
    for i, volume in enumerate(volumes):
        where = f"{at}[{i}]"
        found = _source(volume, where, pod)
        found += each(f"{where}.name", volume.name, dns1123_label(volume.name)) if volume.name else [required(f"{where}.name")]
        if volume.name in valid:
            found.append(duplicate(f"{where}.name", volume.name))
        if not found:
            valid[volume.name] = volume
        causes += found
    return valid, causes


def _source(volume: Any, at: str, pod: str) -> list[Cause]:
    chosen = [name for name in _SOURCES if getattr(volume, name) is not None]
    if not chosen:
        return [required(at, "must specify a volume type")]
    causes = _SOURCES[chosen[0]](getattr(volume, chosen[0]), f"{at}.{chosen[0]}")
    if len(chosen) > 1:
        causes += only_one(chosen, at)
    if volume.iscsi is not None and volume.iscsi.initiatorName is not None and len(f"{volume.name}:{volume.iscsi.targetPortal}") > 64:
        message = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."
        causes.append(invalid(f"{at}.name", volume.name, message))
    if chosen[0] == "ephemeral" and pod and volume.name:
        claim = f"{pod}-{volume.name}"
        causes += [invalid(f"{at}.name", volume.name, f'PVC name "{claim}": {fault}') for fault in dns1123_subdomain(claim)]
    return causes


def _empty_dir(source: Any, at: str) -> list[Cause]:
    if source.sizeLimit and Quantity.parse(source.sizeLimit).nanos < 0:
        return [forbidden(f"{at}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def _keyed(name: str) -> Check:
    """A secret or config map as files."""

    def check(source: Any, at: str) -> list[Cause]:
        causes = [] if getattr(source, name) else [required(f"{at}.{name}")]
        causes += file_mode(f"{at}.defaultMode", source.defaultMode)
        return causes + _keys(source.items, f"{at}.items")

    return check


def _keys(items: list[Any], at: str) -> list[Cause]:
    causes: list[Cause] = []
    for i, item in enumerate(items):
        where = f"{at}[{i}]"
        if not item.key:
            causes.append(required(f"{where}.key"))
        causes += not_reserved(f"{where}.path", item.path) if item.path else [required(f"{where}.path")]
        causes += file_mode(f"{where}.mode", item.mode)
    return causes


def _downward(source: Any, at: str) -> list[Cause]:
    causes = file_mode(f"{at}.defaultMode", source.defaultMode)
    for file in source.items:  # upstream's paths name no item
        causes += _downward_file(file, at)
    return causes


def _downward_file(file: Any, at: str) -> list[Cause]:
    causes = not_reserved(f"{at}.path", file.path) if file.path else [required(f"{at}.path")]
    if file.fieldRef is not None:
        causes += field_reference(file.fieldRef, VOLUME_FIELDS, f"{at}.fieldRef")
        if file.resourceFieldRef is not None:
            causes.append(invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
    elif file.resourceFieldRef is not None:
        causes += resource_reference(file.resourceFieldRef, f"{at}.resourceFieldRef", named_container=True)
    else:
        causes.append(required(at, "one of fieldRef and resourceFieldRef is required"))
    return causes + file_mode(f"{at}.mode", file.mode)


def _projected(source: Any, at: str) -> list[Cause]:
    causes = file_mode(f"{at}.defaultMode", source.defaultMode)
    paths: set[str] = set()
    for i, part in enumerate(source.sources):
        where = f"{at}.sources[{i}]"
        chosen = [name for name in _PROJECTIONS if getattr(part, name) is not None]
        for name in chosen:
            causes += _PROJECTIONS[name](getattr(part, name), f"{where}.{name}", at, paths)
        if len(chosen) > 1:
            causes.append(forbidden(where, "may not specify more than 1 volume type per source"))
    return causes


def _new_path(path: str, shown: str, at: str, paths: set[str]) -> list[Cause]:
    if not path:
        return []
    if path in paths:
        return [invalid(at, shown, _TWICE)]
    paths.add(path)
    return []


def _project_keys(part: Any, where: str, at: str, paths: set[str]) -> list[Cause]:
    causes = [] if part.name else [required(f"{where}.name")]
    causes += _keys(part.items, f"{where}.items")
    for item in part.items:
        causes += _new_path(item.path, part.name, at, paths)
    return causes


def _project_downward(part: Any, where: str, at: str, paths: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    for file in part.items:
        causes += _downward_file(file, where) + _new_path(file.path, file.path, at, paths)
    return causes


def _project_token(part: Any, where: str, at: str, paths: set[str]) -> list[Cause]:
    seconds = part.expirationSeconds or 0
    causes: list[Cause] = []
    if seconds < 600:
        causes.append(invalid(f"{where}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    elif seconds > 1 << 32:
        causes.append(invalid(f"{where}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    return causes + (not_reserved(f"{at}.path", part.path) if part.path else [required(f"{at}.path")])


def _project_bundle(part: Any, where: str, at: str, paths: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    if part.name is not None and part.signerName is not None:
        causes.append(invalid(where, part, "only one of name and signerName may be used"))
    elif part.name is not None:
        if not part.name:
            causes.append(required(f"{where}.name", "must be a valid object name"))
        faults = dns1123_subdomain(part.name.rpartition(":")[2])
        causes += [invalid(f"{where}.name", part.name, f"not a valid clustertrustbundlename: {fault}") for fault in faults]
        if part.labelSelector is not None:
            causes.append(invalid(f"{where}.labelSelector", part.labelSelector, "labelSelector must be unset if name is specified"))
    elif part.signerName is not None:
        if not part.signerName:
            causes.append(required(f"{where}.signerName", "must be a valid signer name"))
        causes += validate_selector(part.labelSelector, f"{where}.labelSelector")
    else:
        causes.append(required(where, "either name or signerName must be specified"))
    causes += not_reserved(f"{where}.path", part.path) if part.path else [required(f"{where}.path")]
    return causes + _new_path(part.path, part.path, at, paths)


_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")


def _project_certificate(part: Any, where: str, at: str, paths: set[str]) -> list[Cause]:
    causes = [] if part.signerName else [required(f"{where}.signerName")]
    causes += one_of(f"{where}.keyType", part.keyType, _KEY_TYPES)
    age = part.maxExpirationSeconds
    if age is not None and not 3600 <= age <= 7862400:
        causes.append(invalid(f"{where}.maxExpirationSeconds", age, "must be between 3600 and 7862400, inclusive"))
    files = [(name, getattr(part, name)) for name in ("credentialBundlePath", "keyPath", "certificateChainPath")]
    if not any(path for _, path in files):
        causes.append(required(where, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
    for name, path in files:
        if path:
            causes += not_reserved(f"{where}.{name}", path) + _new_path(path, path, at, paths)
    return causes


_PROJECTIONS = {
    "secret": _project_keys,
    "configMap": _project_keys,
    "downwardAPI": _project_downward,
    "serviceAccountToken": _project_token,
    "clusterTrustBundle": _project_bundle,
    "podCertificate": _project_certificate,
}


def _ephemeral(source: Any, at: str) -> list[Cause]:
    template = source.volumeClaimTemplate
    return [required(f"{at}.volumeClaimTemplate")] if template is None else validate_claim_template(template, f"{at}.volumeClaimTemplate")


def _image(source: Any, at: str) -> list[Cause]:
    causes = [] if source.reference else [required(f"{at}.reference")]
    return causes + one_of(f"{at}.pullPolicy", source.pullPolicy, ("Always", "IfNotPresent", "Never"))


def _ordered() -> dict[str, Check]:
    """In upstream's order, which decides what comes first when a volume has several sources."""
    own: dict[str, Check] = {
        "emptyDir": _empty_dir,
        "secret": _keyed("secretName"),
        "downwardAPI": _downward,
        "configMap": _keyed("name"),
        "projected": _projected,
        "ephemeral": _ephemeral,
        "image": _image,
    }
    order = (
        "emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs flocker persistentVolumeClaim rbd "
        "cinder cephfs quobyte downwardAPI fc flexVolume configMap azureFile vsphereVolume photonPersistentDisk portworxVolume azureDisk "
        "storageos projected scaleIO csi ephemeral image"
    )
    return {name: own.get(name) or SHARED[name] for name in order.split()}


_SOURCES = _ordered()
