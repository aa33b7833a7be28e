"""Volumes of drivers on a real node: made on demand, shared, grown, copied, kept over agents that die, and gone without a trace."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import Cluster
from tests.test_pods import create, status

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A cluster of its own, so that what is left behind can be seen."""
    if os.geteuid() != 0:
        pytest.skip("real volumes need root")
    found = Cluster(tmp_path_factory.mktemp("stored"))
    found.bareboat("up", "--name", "stored", "--port", "0")
    yield found
    found.bareboat("down", "--purge")
    assert left(found) == []


def left(cluster):
    """Mounts, loop devices and staged volumes of the cluster."""
    root = str(cluster.data_dir)
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found = [m for m in mounts if m.startswith(root) and ("/csi/" in m or "/staging/" in m or "/volumes/" in m)]
    backing = [b.read_text().strip() for b in Path("/sys/block").glob("loop*/loop/backing_file")]
    found += [b for b in backing if b.startswith(root)]
    return found + [str(p) for p in Path(root).glob("nodes/*/staging/*/*")]


def claim(cluster, name, size="16Mi", **spec):
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    create(cluster, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted})


def pod(name, script, volume, *, readonly=False, devices=None, **spec):
    container = {"name": "c", "image": "host", "command": ["sh", "-c", script]}
    if devices:
        container["volumeDevices"] = [{"name": "v", "devicePath": devices}]
    else:
        container["volumeMounts"] = [{"name": "v", "mountPath": "/v", "readOnly": readonly}]
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "v", **volume}],
        **spec,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def of_claim(name, **more):
    return {"persistentVolumeClaim": {"claimName": name, **more}}


def ended(cluster, name):
    return cluster.until(lambda: status(cluster, name)["phase"] in ("Succeeded", "Failed")) and cluster.kubectl("logs", name).stdout


def running(cluster, name):
    cluster.until(lambda: status(cluster, name)["phase"] == "Running")


def gone(cluster, *names):
    cluster.kubectl("delete", "--now", "--wait=true", *names)


def no_volumes(cluster):
    cluster.until(lambda: not cluster.get("pv")["items"])
    cluster.until(lambda: left(cluster) == [])


def events(cluster, name):
    return [(e["reason"], e["message"]) for e in cluster.get("events", f"--field-selector=involvedObject.name={name}")["items"]]


@pytest.mark.parametrize("storage_class", ["local", "local-image"])
def test_a_claim_gets_a_volume_that_outlives_its_pods(stored, storage_class):
    claim(stored, "kept", storageClassName=storage_class)
    assert stored.get("pvc", "kept")["status"]["phase"] == "Pending"
    create(stored, pod("first", "echo data > /v/file; stat -c '%g %a' /v", of_claim("kept"), securityContext={"fsGroup": 4321}))
    assert ended(stored, "first").startswith("4321 2")
    create(
        stored,
        pod("second", "cat /v/file; id -u; touch /v/x && echo may", of_claim("kept"), securityContext={"runAsUser": 1000, "fsGroup": 4321}),
    )
    assert ended(stored, "second") == "data\n1000\nmay\n"
    create(stored, pod("reader", "cat /v/file; touch /v/y || echo may not", of_claim("kept", readOnly=True)))
    assert ended(stored, "reader").replace("touch: cannot touch '/v/y': Read-only file system\n", "") == "data\nmay not\n"
    found = stored.get("pv")["items"][0]
    assert found["spec"]["csi"]["driver"] == "local.csi.bareboat.io"
    assert found["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == ["n1"]
    assert {"Provisioning", "ProvisioningSucceeded", "WaitForFirstConsumer"} <= {reason for reason, _ in events(stored, "kept")}
    gone(stored, "pod/first", "pod/second", "pod/reader", "pvc/kept")
    no_volumes(stored)


def test_an_image_holds_no_more_than_its_size_and_grows_in_use(stored):
    create(stored, {**storage_class("xfs"), "parameters": {"kind": "image", "csi.storage.k8s.io/fstype": "xfs"}})
    claim(stored, "grows", "300Mi", storageClassName="xfs")
    create(stored, pod("holds", "head -c 400M /dev/zero > /v/big || echo full; rm /v/big; sleep 1000", of_claim("grows")))
    stored.until(lambda: "full" in stored.kubectl("logs", "holds", check=False).stdout)
    stored.kubectl("patch", "pvc", "grows", "-p", '{"spec":{"resources":{"requests":{"storage":"600Mi"}}}}')
    stored.until(lambda: stored.get("pvc", "grows")["status"]["capacity"]["storage"] == "600Mi")
    size = int(stored.kubectl("exec", "holds", "--", "df", "-m", "--output=size", "/v").stdout.split()[-1])
    assert size > 500
    assert "FileSystemResizeSuccessful" in {reason for reason, _ in events(stored, "grows")}
    assert not stored.get("pvc", "grows")["status"].get("conditions")
    gone(stored, "pod/holds", "pvc/grows", "sc/xfs")
    no_volumes(stored)


def storage_class(name, **fields):
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "local.csi.bareboat.io",
        "allowVolumeExpansion": True,
        **fields,
    }


def test_a_raw_device(stored):
    claim(stored, "raw", volumeMode="Block")
    script = "test -b /dev/xvda && echo device; printf abc | dd of=/dev/xvda conv=notrunc 2>/dev/null; blockdev --getsize64 /dev/xvda"
    create(stored, pod("writes", script, of_claim("raw"), devices="/dev/xvda"))
    assert ended(stored, "writes") == "device\n16777216\n"
    create(stored, pod("reads", "head -c 3 /dev/xvda", of_claim("raw"), devices="/dev/xvda"))
    assert ended(stored, "reads").strip() == "abc"
    gone(stored, "pod/writes", "pod/reads", "pvc/raw")
    no_volumes(stored)


def test_a_claim_that_waits_for_no_pod_and_a_copy_of_it(stored):
    create(stored, {**storage_class("now"), "volumeBindingMode": "Immediate"})
    claim(stored, "origin", storageClassName="now")
    stored.until(lambda: stored.get("pvc", "origin")["status"]["phase"] == "Bound")
    create(stored, pod("fills", "echo origin > /v/file", of_claim("origin")))
    ended(stored, "fills")
    claim(stored, "copy", storageClassName="now", dataSource={"kind": "PersistentVolumeClaim", "name": "origin"})
    create(stored, pod("looks", "cat /v/file", of_claim("copy")))
    assert ended(stored, "looks") == "origin\n"
    gone(stored, "pod/fills", "pod/looks", "pvc/origin", "pvc/copy", "sc/now")
    no_volumes(stored)


def test_what_cannot_be_made_is_told_with_the_drivers_reason(stored):
    create(stored, {**storage_class("wrong"), "parameters": {"colour": "red"}, "volumeBindingMode": "Immediate"})
    claim(stored, "wrong", storageClassName="wrong")
    stored.until(lambda: any("InvalidConfig: unknown parameter 'colour'" in message for _, message in events(stored, "wrong")))
    claim(stored, "huge", "1Ei")
    create(stored, pod("huge", "true", of_claim("huge")))
    stored.until(lambda: any(reason == "ProvisioningFailed" and "Exhausted" in message for reason, message in events(stored, "huge")))
    create(
        stored,
        {**storage_class("away"), "allowedTopologies": [{"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["no"]}]}]},
    )
    claim(stored, "away", storageClassName="away")
    stored.until(lambda: any("allowed topologies" in message for _, message in events(stored, "away")))
    gone(stored, "pod/huge", "pvc/wrong", "pvc/huge", "pvc/away", "sc/wrong", "sc/away")


def test_a_volume_of_the_pods_own(stored):
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}}
    create(stored, pod("own", "echo mine > /v/file; cat /v/file", {"ephemeral": {"volumeClaimTemplate": template}}))
    assert ended(stored, "own") == "mine\n"
    assert stored.get("pvc", "own-v")["status"]["phase"] == "Bound"
    gone(stored, "pod/own")
    no_volumes(stored)


def test_an_inline_volume(stored):
    inline = {"csi": {"driver": "local.csi.bareboat.io", "volumeAttributes": {"size": "8Mi", "kind": "image"}}}
    create(stored, pod("inline", "df -m --output=size /v | tail -1; echo x > /v/file; sleep 1000", inline))
    running(stored, "inline")
    assert int(stored.until(lambda: stored.kubectl("logs", "inline").stdout)) < 9
    gone(stored, "pod/inline")
    no_volumes(stored)
    create(stored, pod("refused", "true", {"csi": {"driver": "no.such.driver"}}))
    stored.until(lambda: any("not found in the list of registered CSI drivers" in message for _, message in events(stored, "refused")))
    gone(stored, "pod/refused")


def test_volumes_are_used_on_and_undone_by_an_agent_that_starts_anew(stored):
    claim(stored, "lasting", storageClassName="local-image")
    create(stored, pod("lasting", "echo before > /v/file; sleep 1000", of_claim("lasting")))
    running(stored, "lasting")
    os.kill(json.loads((stored.data_dir / "state.json").read_text())["nodes"][0]["process"]["pid"], signal.SIGKILL)
    stored.kubectl("delete", "pod", "lasting", "--now", "--wait=false")
    assert left(stored)
    stored.bareboat("up", "--name", "stored", "--port", "0")
    stored.until(lambda: not stored.get("pods")["items"])
    stored.until(lambda: left(stored) == [])
    create(stored, pod("again", "cat /v/file", of_claim("lasting")))
    assert ended(stored, "again") == "before\n"
    gone(stored, "pod/again", "pvc/lasting")
    no_volumes(stored)


def test_what_a_pod_left_that_went_while_no_agent_looked_is_swept(stored):
    claim(stored, "swept")
    create(stored, pod("swept", "sleep 1000", of_claim("swept")))
    running(stored, "swept")
    os.kill(json.loads((stored.data_dir / "state.json").read_text())["nodes"][0]["process"]["pid"], signal.SIGKILL)
    stored.kubectl("delete", "pod", "swept", "--force", "--grace-period=0")
    stored.bareboat("up", "--name", "stored", "--port", "0")
    stored.until(lambda: left(stored) == [])
    gone(stored, "pvc/swept")
    no_volumes(stored)


def test_a_volume_is_kept_where_its_class_says_so(stored):
    create(stored, {**storage_class("keep"), "reclaimPolicy": "Retain", "volumeBindingMode": "Immediate"})
    claim(stored, "kept", storageClassName="keep")
    name = stored.until(lambda: stored.get("pvc", "kept")["spec"].get("volumeName"))
    stored.until(lambda: stored.get("pvc", "kept")["status"]["phase"] == "Bound")
    gone(stored, "pvc/kept")
    stored.until(lambda: stored.get("pv", name)["status"]["phase"] == "Released")
    stored.kubectl("patch", "pv", name, "-p", '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}')
    no_volumes(stored)
    gone(stored, "sc/keep")


def test_the_node_says_what_it_has(stored):
    node = stored.get("csinode", "n1")
    assert node["spec"]["drivers"] == [
        {"name": "local.csi.bareboat.io", "nodeID": "n1", "topologyKeys": ["topology.local.csi.bareboat.io/node"]}
    ]
    assert stored.get("node", "n1")["metadata"]["labels"]["topology.local.csi.bareboat.io/node"] == "n1"
    capacities = stored.get("csistoragecapacities", "-n", "kube-system")["items"]
    assert {c["storageClassName"] for c in capacities} >= {"local", "local-image"}
    assert stored.get("lease", "csi-local.csi.bareboat.io", "-n", "kube-system")["spec"]["holderIdentity"] == "n1"
