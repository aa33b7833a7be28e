"""Images in a cluster: pods that pull them from a registry with a pull secret, what people are told, and the node's store from outside."""

import asyncio
import json

import pytest

from bareboat.testing import oci, registry

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(registry.missing()), reason=f"needs {registry.missing()}"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with registry.Registry(tmp_path_factory.mktemp("registry"), auth=("me", "secret")) as found:
        yield found


def pod(name, image, **spec):
    container = {"name": "c", "image": image, "command": ["sh", "-c", "echo from $WHERE; sleep 3600"], **spec.pop("container", {})}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def create(cluster, *objects):
    for found in objects:
        cluster.kubectl("create", "-f", "-", input=json.dumps(found))


def waiting(cluster, name):
    statuses = cluster.get("pod", name)["status"].get("containerStatuses") or [{}]
    return statuses[0].get("state", {}).get("waiting", {})


def events(cluster, name):
    found = cluster.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
    return {(e["type"], e["reason"], e["message"]) for e in found}


def test_a_pod_pulls_with_the_secret_of_its_service_account(cluster, served):
    asyncio.run(oci.push(served.url, "team/app", "1", oci.build([oci.busybox()], Env=["WHERE=registry"]), auth=("me", "secret")))
    image = f"{served.host}/team/app:1"
    cluster.kubectl(
        *("create", "secret", "docker-registry", "opens", f"--docker-server={served.host}/team"),
        *("--docker-username=me", "--docker-password=secret"),
    )
    cluster.kubectl("create", "serviceaccount", "puller")
    cluster.kubectl("patch", "serviceaccount", "puller", "-p", '{"imagePullSecrets": [{"name": "opens"}]}')
    create(cluster, pod("pulled", image, serviceAccountName="puller"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/pulled", "--timeout=60s")
    assert cluster.kubectl("logs", "pulled").stdout == "from registry\n"
    told = events(cluster, "pulled")
    assert ("Normal", "Pulling", f'Pulling image "{image}"') in told
    assert any(e[1] == "Pulled" and e[2].startswith(f'Successfully pulled image "{image}" in ') for e in told)


def test_a_pod_without_the_secret_is_refused_and_backs_off(cluster, served):
    asyncio.run(oci.push(served.url, "other/app", "1", oci.build([oci.busybox()]), auth=("me", "secret")))
    image = f"{served.host}/other/app:1"
    create(cluster, pod("refused", image))
    found = cluster.until(lambda: (w := waiting(cluster, "refused")) and w.get("reason") == "ImagePullBackOff" and w)
    assert found["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: ')
    told = events(cluster, "refused")
    assert {"Pulling", "Failed", "BackOff"} <= {e[1] for e in told}
    assert ("Warning", "Failed", "Error: ErrImagePull") in told
    cluster.kubectl("delete", "pod", "refused", "--now")


def test_an_image_that_does_not_exist_says_so(cluster, served):
    create(cluster, pod("missing", "registry.invalid/no/such:1"))
    cluster.until(lambda: waiting(cluster, "missing").get("reason") in ("ErrImagePull", "ImagePullBackOff"))
    create(
        cluster, pod("never", "registry.invalid/no/such:1", containers=[{"name": "c", "image": "x.example/a", "imagePullPolicy": "Never"}])
    )
    cluster.until(lambda: waiting(cluster, "never").get("reason") == "ErrImageNeverPull")
    cluster.kubectl("delete", "pod", "missing", "never", "--now")


class TestCommands:
    def test_an_image_is_loaded_listed_used_and_removed(self, cluster, tmp_path):
        image = oci.build([oci.busybox()], Env=["WHERE=file"])
        path = oci.write_docker_archive(tmp_path / "saved.tar", image, ["loaded.example/app:1"])
        said = cluster.bareboat("image", "load", str(path)).stdout.splitlines()
        assert [line.split() for line in said] == [["NODE", "LOADED"], ["n1", image.config_digest]]
        rows = [line.split() for line in cluster.bareboat("image", "list").stdout.splitlines()]
        assert rows[0] == ["NODE", "IMAGE", "ID", "SIZE"]
        row = next(r for r in rows if r[1] == "loaded.example/app:1")
        assert row[2] == image.config_digest.removeprefix("sha256:")[:12]
        assert row[3].endswith("MB")
        cluster.until(lambda: any("loaded.example/app:1" in i["names"] for i in cluster.get("node", "n1")["status"].get("images", [])))
        create(cluster, pod("loaded", "loaded.example/app:1", container={"imagePullPolicy": "Never"}))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/loaded", "--timeout=60s")
        assert cluster.kubectl("logs", "loaded").stdout == "from file\n"
        removed = json.loads(cluster.bareboat("image", "prune", "--all", "--output", "json").stdout)
        assert image.config_digest not in {r["id"] for r in removed}
        cluster.kubectl("delete", "pod", "loaded", "--now")
        assert json.loads(cluster.bareboat("image", "prune", "--output", "json").stdout) == []
        removed = json.loads(cluster.bareboat("image", "prune", "--all", "--output", "json").stdout)
        assert [(r["node"], r["tags"]) for r in removed] == [("n1", ["loaded.example/app:1"])]

    def test_a_layout_directory_is_loaded_and_named(self, cluster, tmp_path):
        layout = oci.write_layout(tmp_path / "layout", {"": oci.build([oci.busybox()])})
        said = json.loads(cluster.bareboat("image", "load", str(layout), "--tag", "named:1", "-o", "json").stdout)
        assert [entry["node"] for entry in said] == ["n1"]
        assert "named:1" in cluster.bareboat("image", "list").stdout

    def test_what_cannot_work_says_why(self, cluster, tmp_path):
        (tmp_path / "x.tar").write_bytes(b"no tar")
        done = cluster.bareboat("image", "load", str(tmp_path / "x.tar"), check=False)
        assert done.returncode == 1
        assert "bareboat image: node n1: " in done.stderr
        assert "no OCI layout and no docker archive" in done.stderr
        assert "does not exist" in cluster.bareboat("image", "load", "/no/such", check=False).stderr
        assert "no node n7; there are: n1" in cluster.bareboat("image", "list", "--node", "n7", check=False).stderr


def test_a_log_that_grows_long_is_rotated_while_it_is_written(cluster):
    script = "i=0; while [ $i -lt 120 ]; do head -c 100000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done; while true; do echo later; sleep 0.2; done"
    create(cluster, pod("talker", "host", container={"command": ["sh", "-c", script]}))
    logs = cluster.data_dir / "nodes/n1/logs"
    cluster.until(lambda: list(logs.glob("default_talker_*/c/0.log.2*")), seconds=60)
    cluster.until(lambda: "later" in cluster.kubectl("logs", "talker", "--tail=1").stdout)
    (current,) = logs.glob("default_talker_*/c/0.log")
    assert current.stat().st_size < 2_000_000
    cluster.kubectl("delete", "pod", "talker", "--now")


def test_the_files_of_an_image_are_a_volume(cluster, tmp_path):
    image = oci.build([oci.busybox(), [("greeting", b"good day\n"), ("more", b"to you\n")]])
    cluster.bareboat("image", "load", str(oci.write_docker_archive(tmp_path / "data.tar", image, ["files.example/data:1"])))
    volumes = [{"name": "v", "image": {"reference": "files.example/data:1", "pullPolicy": "IfNotPresent"}}]
    mounts = [{"name": "v", "mountPath": "/v"}]
    script = ["sh", "-c", "cat /v/greeting /v/more; touch /v/x; sleep 1000"]
    create(cluster, pod("shown", "host", volumes=volumes, container={"image": "host", "command": script, "volumeMounts": mounts}))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/shown", "--timeout=30s")
    text = cluster.until(lambda: (t := cluster.kubectl("logs", "shown").stdout).count("\n") > 2 and t)
    assert text.startswith("good day\nto you\n")
    assert "Read-only file system" in text
    cluster.kubectl("delete", "pod", "shown", "--now")
