"""What a volume is made of: one rule for each source that pods and persistent volumes share, and for those of pods only.

Each rule is ``check(source, at)``; ``SHARED`` and ``PERSISTENT`` are the tables by field name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bareboat.api.kinds.causes import each, forbidden, in_range, invalid, named, required, too_long, unsupported
from bareboat.api.kinds.core.paths import descending, no_backsteps
from bareboat.models.names import dns1123_label, dns1123_subdomain
from bareboat.models.status import Cause

Check = Callable[[Any, str], list[Cause]]

_HOST_PATH_TYPES = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
_ISCSI = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9-.]+)(:[^,;*&$|\s]+)$", re.ASCII),
    "eui": re.compile(r"eui.[0-9a-fA-F]{16}$", re.ASCII),
    "naa": re.compile(r"naa.[0-9a-fA-F]{32}$", re.ASCII),
}
_DISK_URIS = {
    True: "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
    False: "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",
}


def needs(*fields: str) -> Check:
    """A source of which only some fields must be there."""

    def check(source: Any, at: str) -> list[Cause]:
        return [required(f"{at}.{field}") for field in fields if not getattr(source, field)]

    return check


def host_path(source: Any, at: str) -> list[Cause]:
    if not source.path:
        return [required(f"{at}.path")]
    causes = no_backsteps(f"{at}.path", source.path)
    if source.type is not None and source.type not in _HOST_PATH_TYPES:
        causes.append(unsupported(f"{at}.type", source.type, _HOST_PATH_TYPES))
    return causes


def _git_repo(source: Any, at: str) -> list[Cause]:
    causes = [] if source.repository else [required(f"{at}.repository")]
    return causes + descending(f"{at}.directory", source.directory)


def _disk(name: str) -> Check:
    def check(source: Any, at: str) -> list[Cause]:
        causes = [] if getattr(source, name) else [required(f"{at}.{name}")]
        return causes + in_range(f"{at}.partition", source.partition, 0, 255)

    return check


def _nfs(source: Any, at: str) -> list[Cause]:
    causes = needs("server", "path")(source, at)
    if not source.path.startswith("/"):
        causes.append(invalid(f"{at}.path", source.path, "must be an absolute path"))
    return causes


def _iscsi_name(field: str, name: str) -> list[Cause]:
    shape = _ISCSI.get(name[:3])
    if shape is None:
        return [invalid(field, name, "must be valid format starting with iqn, eui, or naa")]
    return [] if shape.search(name) else [invalid(field, name, "must be valid format")]


def iscsi(source: Any, at: str) -> list[Cause]:
    causes = [] if source.targetPortal else [required(f"{at}.targetPortal")]
    causes += _iscsi_name(f"{at}.iqn", source.iqn) if source.iqn else [required(f"{at}.iqn")]
    causes += in_range(f"{at}.lun", source.lun, 0, 255)
    if (source.chapAuthDiscovery or source.chapAuthSession) and source.secretRef is None:
        causes.append(required(f"{at}.secretRef"))
    if source.initiatorName is not None:
        causes += _iscsi_name(f"{at}.initiatorname", source.initiatorName)
    return causes


def _flocker(source: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if not source.datasetName and not source.datasetUUID:
        causes.append(required(at, "one of datasetName and datasetUUID is required"))
    if source.datasetName and source.datasetUUID:
        causes.append(invalid(at, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in source.datasetName:
        causes.append(invalid(f"{at}.datasetName", source.datasetName, "must not contain '/'"))
    return causes


def _quobyte(source: Any, at: str) -> list[Cause]:
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    causes: list[Cause] = []
    if not source.registry:
        causes.append(required(f"{at}.registry", pairs))
    elif len(source.tenant) >= 65:
        causes.append(required(f"{at}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        bad = [pair for pair in source.registry.split(",") if not re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*):[^:\[\]]*", pair)]
        causes += [invalid(f"{at}.registry", source.registry, pairs) for _ in bad]
    return causes + ([] if source.volume else [required(f"{at}.volume")])


def _fibre_channel(source: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if not source.targetWWNs and not source.wwids:
        causes.append(required(f"{at}.targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if source.targetWWNs and source.wwids:
        message = "targetWWNs and wwids can not be specified simultaneously"
        causes.append(invalid(f"{at}.targetWWNs", source.targetWWNs, message))
    if source.targetWWNs and source.lun is None:
        causes.append(required(f"{at}.lun", "lun is required if targetWWNs is specified"))
    elif source.targetWWNs:
        causes += in_range(f"{at}.lun", source.lun, 0, 255)
    return causes


def _flex(source: Any, at: str) -> list[Cause]:
    causes = [] if source.driver else [required(f"{at}.driver")]
    for key in source.options:
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            causes.append(invalid(f"{at}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved"))
    return causes


def _azure_disk(source: Any, at: str) -> list[Cause]:
    causes = needs("diskName", "diskURI")(source, at)
    modes, kinds = ("None", "ReadOnly", "ReadWrite"), ("Dedicated", "Managed", "Shared")
    if source.cachingMode is not None and source.cachingMode not in modes:
        causes.append(unsupported(f"{at}.cachingMode", source.cachingMode, modes))
    if source.kind is not None and source.kind not in kinds:
        causes.append(unsupported(f"{at}.kind", source.kind, kinds))
    managed = source.kind == "Managed"
    if source.kind is not None and not source.diskURI.startswith("/subscriptions/" if managed else "https://"):
        causes.append(unsupported(f"{at}.diskURI", source.diskURI, [_DISK_URIS[managed]]))
    return causes


def _storage_os(source: Any, at: str) -> list[Cause]:
    causes = named(f"{at}.volumeName", source.volumeName, dns1123_label)
    if source.volumeNamespace:
        causes += each(f"{at}.volumeNamespace", source.volumeNamespace, dns1123_label(source.volumeNamespace))
    return causes


def csi_driver_name(field: str, name: str) -> list[Cause]:
    if not name:
        return [required(field)]
    causes = [too_long(field, 63)] if len(name) > 63 else []
    return causes + each(field, name, dns1123_subdomain(name.lower()))


def _csi(source: Any, at: str) -> list[Cause]:
    causes = csi_driver_name(f"{at}.driver", source.driver)
    if source.nodePublishSecretRef is not None:
        name = source.nodePublishSecretRef.name
        causes += each(f"{at}.name", name, dns1123_subdomain(name)) if name else [required(f"{at}.nodePublishSecretRef.name")]
    return causes


_SECRET_REFERENCES = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")


def _persistent_csi(source: Any, at: str) -> list[Cause]:
    causes = csi_driver_name(f"{at}.driver", source.driver)
    if not source.volumeHandle:
        causes.append(required(f"{at}.volumeHandle"))
    for name in _SECRET_REFERENCES:
        reference = getattr(source, name)
        if reference is not None:
            causes += named(f"{at}.{name}.name", reference.name, dns1123_subdomain)
            causes += named(f"{at}.{name}.namespace", reference.namespace, dns1123_label)
    return causes


def _with_secret(check: Check, *fields: str) -> Check:
    """And the secret that it refers to, if any, is named in full."""

    def both(source: Any, at: str) -> list[Cause]:
        causes = check(source, at)
        return causes + (needs(*fields)(source.secretRef, f"{at}.secretRef") if source.secretRef is not None else [])

    return both


def _persistent_gluster(source: Any, at: str) -> list[Cause]:
    causes = needs("endpoints", "path")(source, at)
    space = source.endpointsNamespace
    if space == "":
        message = "if the endpointnamespace is set, it must be a valid namespace name"
        causes.append(invalid(f"{at}.endpointsNamespace", space, message))
    elif space is not None:
        causes += each(f"{at}.endpointsNamespace", space, dns1123_label(space))
    return causes


def _persistent_azure_file(source: Any, at: str) -> list[Cause]:
    causes = needs("secretName", "shareName")(source, at)
    return causes + ([required(f"{at}.secretNamespace")] if source.secretNamespace == "" else [])


def _local(source: Any, at: str) -> list[Cause]:
    return no_backsteps(f"{at}.path", source.path) if source.path else [required(f"{at}.path")]


SHARED: dict[str, Check] = {
    "hostPath": host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": _disk("pdName"),
    "awsElasticBlockStore": _disk("volumeID"),
    "nfs": _nfs,
    "iscsi": iscsi,
    "glusterfs": needs("endpoints", "path"),
    "flocker": _flocker,
    "persistentVolumeClaim": needs("claimName"),
    "rbd": needs("monitors", "image"),
    "cinder": _with_secret(needs("volumeID"), "name"),
    "cephfs": needs("monitors"),
    "quobyte": _quobyte,
    "fc": _fibre_channel,
    "flexVolume": _flex,
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": _azure_disk,
    "storageos": _with_secret(_storage_os, "name"),
    "scaleIO": needs("gateway", "system", "volumeName"),
    "csi": _csi,
}

PERSISTENT: dict[str, Check] = {
    "hostPath": host_path,
    "gcePersistentDisk": lambda source, at: _disk("pdName")(source, at.removesuffix("gcePersistentDisk") + "persistentDisk"),
    "awsElasticBlockStore": SHARED["awsElasticBlockStore"],
    "glusterfs": _persistent_gluster,
    "flocker": _flocker,
    "nfs": _nfs,
    "rbd": SHARED["rbd"],
    "quobyte": _quobyte,
    "cephfs": SHARED["cephfs"],
    "iscsi": _with_secret(iscsi, "name"),
    "cinder": _with_secret(needs("volumeID"), "name", "namespace"),
    "fc": _fibre_channel,
    "flexVolume": _flex,
    "azureFile": _persistent_azure_file,
    "vsphereVolume": SHARED["vsphereVolume"],
    "photonPersistentDisk": SHARED["photonPersistentDisk"],
    "portworxVolume": SHARED["portworxVolume"],
    "azureDisk": _azure_disk,
    "scaleIO": SHARED["scaleIO"],
    "local": _local,
    "storageos": _with_secret(_storage_os, "name", "namespace"),
    "csi": _persistent_csi,
}


def only_one(sources: list[str], at: str) -> list[Cause]:
    """Those after the first are too many."""
    return [forbidden(f"{at}.{_SPELLED.get(name, name)}", "may not specify more than 1 volume type") for name in sources[1:]]


#: As upstream spells them in this one message.
_SPELLED = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
