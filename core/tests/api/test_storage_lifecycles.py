"""Every kind of storage is made, read, found, changed, watched, deleted one by one and all at once; status is a part of its own."""

import pytest

V1, STORAGE = "/api/v1", "/apis/storage.k8s.io/v1"
LABEL = {"metadata": {"labels": {"turn": "one"}}}
CLASS = {"provisioner": "e2e.example.com", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "s"}
VOLUME = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv"}, "storageClassName": "s"}
NODE_DRIVER = {"name": "d.example.com", "nodeID": "n", "topologyKeys": ["zone"], "allocatable": {"count": 3}}
ATTACHMENT = {"attacher": "d.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
KINDS = {
    "persistentvolumes": (V1, "v1", "PersistentVolume", {"spec": VOLUME}),
    "persistentvolumeclaims": (f"{V1}/namespaces/default", "v1", "PersistentVolumeClaim", {"spec": CLAIM}),
    "storageclasses": (STORAGE, "storage.k8s.io/v1", "StorageClass", CLASS),
    "csidrivers": (STORAGE, "storage.k8s.io/v1", "CSIDriver", {"spec": {"attachRequired": True}}),
    "csinodes": (STORAGE, "storage.k8s.io/v1", "CSINode", {"spec": {"drivers": [NODE_DRIVER]}}),
    "volumeattachments": (STORAGE, "storage.k8s.io/v1", "VolumeAttachment", {"spec": ATTACHMENT}),
    "csistoragecapacities": (
        f"{STORAGE}/namespaces/default",
        "storage.k8s.io/v1",
        "CSIStorageCapacity",
        {"storageClassName": "s", "capacity": "1Gi", "nodeTopology": {"matchLabels": {"zone": "a"}}},
    ),
    "volumeattributesclasses": (
        STORAGE,
        "storage.k8s.io/v1",
        "VolumeAttributesClass",
        {"driverName": "d.example.com", "parameters": {"speed": "1"}},
    ),
}


def tree(plural, name):
    _, version, kind, rest = KINDS[plural]
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": {"all": plural}}, **rest}


async def release(send, path):
    """Take what protects an object away: the controllers that do it are not here."""
    status, found = await send("GET", path)
    if status == 200 and found["metadata"].get("finalizers"):
        await send("PATCH", path, {"metadata": {"finalizers": None}}, media="application/merge-patch+json")


@pytest.mark.parametrize("plural", KINDS)
async def test_the_life_of_a_kind(send, plural):
    base = f"{KINDS[plural][0]}/{plural}"
    status, made = await send("POST", base, tree(plural, "one"))
    assert status == 201
    assert (await send("GET", f"{base}/one"))[1]["metadata"]["uid"] == made["metadata"]["uid"]
    _, patched = await send("PATCH", f"{base}/one", LABEL, media="application/strategic-merge-patch+json")
    assert patched["metadata"]["labels"] == {"all": plural, "turn": "one"}
    assert [o["metadata"]["name"] for o in (await send("GET", base, labelSelector="turn=one"))[1]["items"]] == ["one"]
    patched["metadata"]["labels"]["turn"] = "two"
    _, updated = await send("PUT", f"{base}/one", patched)
    assert updated["metadata"]["labels"]["turn"] == "two"
    assert (await send("DELETE", f"{base}/one"))[0] == 200
    await release(send, f"{base}/one")
    assert (await send("GET", f"{base}/one"))[0] == 404
    for name in ("two", "three"):
        assert (await send("POST", base, tree(plural, name)))[0] == 201
    assert (await send("DELETE", base, labelSelector=f"all={plural}"))[0] == 200
    for name in ("two", "three"):
        await release(send, f"{base}/{name}")
    assert (await send("GET", base))[1]["items"] == []


async def test_the_status_of_claims_volumes_and_attachments_is_changed_apart(send):
    claims, volumes = f"{KINDS['persistentvolumeclaims'][0]}/persistentvolumeclaims", f"{V1}/persistentvolumes"
    attachments = f"{STORAGE}/volumeattachments"
    for plural, base in (("persistentvolumeclaims", claims), ("persistentvolumes", volumes), ("volumeattachments", attachments)):
        await send("POST", base, tree(plural, "x"))
    _, claim = await send("GET", f"{claims}/x/status")
    assert claim["status"]["phase"] == "Pending"
    condition = {"type": "StatusPatched", "status": "True", "reason": "E2E", "message": "set"}
    _, claim = await send(
        "PATCH", f"{claims}/x/status", {"status": {"conditions": [condition]}}, media="application/strategic-merge-patch+json"
    )
    assert claim["status"]["conditions"] == [{**condition, "lastProbeTime": None, "lastTransitionTime": None}]
    claim["status"]["conditions"].append({**condition, "type": "StatusUpdated"})
    claim["metadata"]["labels"] = {"not": "changed"}
    _, claim = await send("PUT", f"{claims}/x/status", claim)
    assert [c["type"] for c in claim["status"]["conditions"]] == ["StatusPatched", "StatusUpdated"]
    patch = {"status": {"message": "patched", "reason": "E2E"}}
    _, volume = await send("PATCH", f"{volumes}/x/status", patch, media="application/merge-patch+json")
    assert (volume["status"]["message"], volume["status"]["reason"]) == ("patched", "E2E")
    volume["status"]["message"], volume["spec"]["capacity"] = "updated", {"storage": "9Gi"}
    _, volume = await send("PUT", f"{volumes}/x/status", volume)
    assert (volume["status"]["message"], volume["spec"]["capacity"]) == ("updated", {"storage": "1Gi"})
    assert (await send("GET", f"{attachments}/x/status"))[1]["status"] == {"attached": False}
    _, attachment = await send("PATCH", f"{attachments}/x/status", {"status": {"attached": True}}, media="application/merge-patch+json")
    assert attachment["status"]["attached"] is True
    attachment["status"]["attached"] = False
    assert (await send("PUT", f"{attachments}/x/status", attachment))[1]["status"] == {"attached": False}


async def test_a_pod_with_an_inline_volume_is_kept_as_it_is(send):
    csi = {"driver": "d.example.com", "readOnly": True, "fsType": "ext4", "volumeAttributes": {"a": "b"}}
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "csi": csi}]}
    base = f"{V1}/namespaces/default/pods"
    assert (await send("POST", base, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"l": "1"}}, "spec": spec}))[
        0
    ] == 201
    assert (await send("GET", base, labelSelector="l=1"))[1]["items"][0]["spec"]["volumes"] == [{"name": "v", "csi": csi}]
    assert (await send("PATCH", f"{base}/p", LABEL, media="application/merge-patch+json"))[1]["metadata"]["labels"]["turn"] == "one"
    assert (await send("DELETE", base, labelSelector="l=1"))[0] == 200


async def test_discovery_names_the_kinds(send):
    _, found = await send("GET", STORAGE)
    names = {r["name"] for r in found["resources"]}
    assert {p for p, (base, *_) in KINDS.items() if base.startswith(STORAGE)} | {"volumeattachments/status"} <= names
