"""Volumes, claims, and storage.k8s.io."""

import pytest

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"},
}
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "a"},
    "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"}},
}
LOCAL = {
    **VOLUME,
    "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "csi": {"driver": "a.b", "volumeHandle": "h"}},
}


def _of(kind, **fields):
    return {"apiVersion": "storage.k8s.io/v1", "kind": kind, "metadata": {"name": "a"}, **fields}


NAMED = {
    "claim": CLAIM,
    "volume": VOLUME,
    "csi volume": LOCAL,
    "class": _of("StorageClass", provisioner="a.b/c", parameters={"a": "b"}),
    "attributes": _of("VolumeAttributesClass", driverName="a.b", parameters={"a": "b"}),
    "driver": _of("CSIDriver", spec={"attachRequired": False}),
    "node": _of("CSINode", spec={"drivers": [{"name": "a.b", "nodeID": "n"}]}),
    "attachment": _of("VolumeAttachment", spec={"attacher": "a.b", "nodeName": "n", "source": {"persistentVolumeName": "v"}}),
    "capacity": {**_of("CSIStorageCapacity", storageClassName="fast", capacity="1Gi"), "metadata": {"name": "a", "namespace": "default"}},
}
WRONG = [
    ("claim", "spec/accessModes", [], "Required spec.accessModes"),
    ("claim", "spec/accessModes", ["All"], "NotSupported spec.accessModes"),
    ("claim", "spec/accessModes", ["ReadWriteOncePod", "ReadWriteMany"], "Forbidden spec.accessModes"),
    ("claim", "spec/resources/requests", {}, "Required spec.resources[storage]"),
    ("claim", "spec/resources/requests/storage", "0", "Invalid spec.resources[storage]"),
    ("claim", "spec/storageClassName", "A", "Invalid spec.storageClassName"),
    ("claim", "spec/volumeMode", "Raw", "NotSupported spec.volumeMode"),
    (
        "claim",
        "spec/dataSource",
        {"kind": "PersistentVolumeClaim", "name": ""},
        "Required spec.dataSource.name; Required spec.dataSourceRef.name",
    ),
    ("volume", "spec/accessModes", [], "Required spec.accessModes"),
    ("volume", "spec/capacity", {}, "NotSupported spec.capacity; Required spec.capacity"),
    ("volume", "spec/hostPath", None, "Required spec"),
    ("volume", "spec/hostPath/path", "/a/../b", "Invalid spec.hostPath.path"),
    ("volume", "spec/nfs", {"server": "s", "path": "/p"}, "Forbidden spec.nfs"),
    ("volume", "spec/persistentVolumeReclaimPolicy", "Keep", "NotSupported spec.persistentVolumeReclaimPolicy"),
    ("volume", "spec/volumeAttributesClassName", "a", "Required spec.csi"),
    ("csi volume", "spec/csi/driver", "", "Required spec.csi.driver"),
    ("csi volume", "spec/csi/driver", "a" * 64, "TooLong spec.csi.driver"),
    ("csi volume", "spec/csi/volumeHandle", "", "Required spec.csi.volumeHandle"),
    ("class", "provisioner", "", "Required provisioner"),
    ("class", "provisioner", "a b", "Invalid provisioner"),
    ("class", "reclaimPolicy", "Keep", "NotSupported reclaimPolicy"),
    ("class", "volumeBindingMode", "Late", "NotSupported volumeBindingMode"),
    ("class", "parameters", {"": "b"}, "Invalid parameters"),
    (
        "class",
        "allowedTopologies",
        [{"matchLabelExpressions": [{"key": "a"}]}],
        "Required allowedTopologies[0].matchLabelExpressions[0].values",
    ),
    ("attributes", "driverName", "", "Required driverName"),
    ("attributes", "parameters", {}, "Required parameters"),
    ("driver", "spec/fsGroupPolicy", "All", "NotSupported spec.fsGroupPolicy"),
    ("driver", "spec/volumeLifecycleModes", ["Short"], "NotSupported spec.volumeLifecycleModes"),
    ("driver", "spec/tokenRequests", [{"audience": "a"}, {"audience": "a"}], "Duplicate spec.tokenRequests[1].audience"),
    ("driver", "spec/tokenRequests", [{"audience": "a", "expirationSeconds": 5}], "Invalid spec.tokenRequests[0].expirationSeconds"),
    ("node", "spec/drivers/0/nodeID", "", "Required spec.drivers[0].nodeID"),
    ("node", "spec/drivers/0/name", "", "Required spec.drivers[0].name"),
    ("node", "spec/drivers/1", {"name": "a.b", "nodeID": "n"}, "Duplicate spec.drivers[1].name"),
    ("node", "spec/drivers/0/allocatable", {"count": -1}, "Invalid spec.drivers[0].allocatable.count"),
    ("attachment", "spec/attacher", "", "Required spec.attacher"),
    ("attachment", "spec/source", {}, "Required spec.source"),
    ("attachment", "spec/nodeName", "", "Invalid spec.nodeName"),
    ("capacity", "capacity", "-1", "Invalid capacity"),
    ("capacity", "storageClassName", "A", "Invalid storageClassName"),
]
FIXED = [
    ("claim", "spec/storageClassName", "slow", "Forbidden spec"),
    ("claim", "spec/accessModes", ["ReadWriteMany"], "Forbidden spec"),
    ("volume", "spec/hostPath/path", "/b", "Forbidden spec.persistentvolumesource"),
    ("volume", "spec/volumeMode", "Block", "Invalid volumeMode"),
    ("volume", "spec/capacity/storage", "2Gi", ""),
    ("class", "parameters", {"a": "c"}, "Invalid parameters"),
    ("class", "provisioner", "a.b/d", "Forbidden provisioner"),
    ("class", "reclaimPolicy", "Retain", "Forbidden reclaimPolicy"),
    ("class", "volumeBindingMode", "WaitForFirstConsumer", "Invalid volumeBindingMode"),
    ("class", "mountOptions", ["ro"], ""),
    ("attributes", "parameters", {"a": "c"}, "Forbidden parameters"),
    ("driver", "spec/attachRequired", True, "Invalid spec.attachRequired"),
    ("node", "spec/drivers/0/nodeID", "m", "Invalid spec.drivers"),
    ("attachment", "spec/nodeName", "m", "Invalid spec"),
    ("capacity", "storageClassName", "slow", "Invalid storageClassName"),
]


@pytest.mark.parametrize("name", NAMED)
def test_the_manifests_are_right(create, name):
    assert create(NAMED[name]) == []


@pytest.mark.parametrize(("name", "path", "value", "causes"), WRONG)
def test_a_fault_is_named(create, name, path, value, causes):
    assert set(create(NAMED[name], path, value)) == set(causes.split("; "))


@pytest.mark.parametrize(("name", "path", "value", "causes"), FIXED)
def test_some_of_it_stays_for_ever(update, name, path, value, causes):
    assert "; ".join(update(NAMED[name], path, value)) == causes


def test_defaults(defaulted):
    assert defaulted(CLAIM).spec.volumeMode == "Filesystem"
    assert defaulted(CLAIM).status.phase == "Pending"
    assert defaulted(VOLUME).spec.persistentVolumeReclaimPolicy == "Retain"
    assert defaulted(NAMED["class"]).volumeBindingMode == "Immediate"
    assert defaulted(NAMED["driver"]).spec.volumeLifecycleModes == ["Persistent"]


def test_volumes_in_use_are_kept(defaulted):
    assert defaulted(CLAIM).metadata.finalizers == ["kubernetes.io/pvc-protection"]
    assert defaulted(VOLUME).metadata.finalizers == ["kubernetes.io/pv-protection"]


def test_kinds_of_volumes_that_are_gone_warn(warnings):
    texts = warnings(VOLUME, "spec/glusterfs", {"endpoints": "e", "path": "p"})
    assert texts == ["spec.glusterfs: deprecated in v1.25, non-functional in v1.26+"]
