"""Volumes that the node makes itself, as upstream's conformance tests look at them: modes, owners, groups, changes, parts, many at once."""

import json

import pytest

from tests.test_pods import container, create, status

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
#: A changed object is in the volumes within a minute.
SOON = 75


def pod(name, containers, volumes, **spec):
    made = [{"image": "host", "name": f"c{i}", **c} for i, c in enumerate(containers)]
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": made, "volumes": volumes, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"v": "1"}, "annotations": {"v": "1"}}, "spec": spec}


def shell(script, *mounts, **more):
    return {"command": ["sh", "-c", script], "volumeMounts": [{"name": n, "mountPath": p, **x} for n, p, x in mounts], **more}


def logs(cluster, name, of="c0"):
    cluster.until(lambda: status(cluster, name)["phase"] in ("Succeeded", "Failed"))
    return cluster.kubectl("logs", name, "-c", of).stdout


def delete(cluster, *names):
    cluster.kubectl("delete", "--now", *names)


def read(cluster, name, path, of="c0"):
    return cluster.kubectl("exec", name, "-c", of, "--", "cat", path, check=False).stdout


@pytest.mark.parametrize("user", [None, 1000])
def test_an_empty_dir_is_everybodys_on_disk_and_in_memory(cluster, user):
    script = "umask 0; for d in /disk /memory; do stat -c %a $d; for m in 644 666 777; do echo x > $d/$m; chmod $m $d/$m; stat -c '%a %u' $d/$m; done; done"
    volumes = [{"name": "d", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}]
    found = pod(
        "empty",
        [shell(f"{script}; stat -f -c %T /memory; df -m --output=size /memory | tail -1", ("d", "/disk", {}), ("m", "/memory", {}))],
        volumes,
    )
    if user:
        found["spec"]["securityContext"] = {"runAsUser": user}
    create(cluster, found)
    owner = user or 0
    each = ["777", *(f"{m} {owner}" for m in (644, 666, 777))]
    assert " ".join(logs(cluster, "empty").split()) == " ".join([*each, *each, "tmpfs", "16"])
    delete(cluster, "pod/empty")


def test_two_containers_share_an_empty_dir(cluster):
    write = shell("echo shared > /v/file; sleep 1000", ("v", "/v", {}))
    look = shell("until cat /v/file 2>/dev/null; do sleep 0.1; done; sleep 1000", ("v", "/v", {}))
    create(cluster, pod("shares", [write, look], [{"name": "v", "emptyDir": {}}]))
    cluster.until(lambda: cluster.kubectl("logs", "shares", "-c", "c1", check=False).stdout == "shared\n")
    delete(cluster, "pod/shares")


def sources(kind, name):
    """The same keys as plain and as projected volumes: whole, mapped with modes, with a default mode."""
    plain = {"name": name} if kind == "configMap" else {"secretName": name}
    items = [{"key": "b", "path": "deep/er/b", "mode": 0o400}]
    shapes = [{}, {"items": items}, {"defaultMode": 0o440}]
    found = [{kind: {**plain, **shape}} for shape in shapes]
    for shape in shapes:
        projected = {"sources": [{kind: {"name": name, **{k: v for k, v in shape.items() if k == "items"}}}]}
        found.append({"projected": {**projected, **{k: v for k, v in shape.items() if k == "defaultMode"}}})
    return [{"name": f"v{i}", **volume} for i, volume in enumerate(found)]


@pytest.mark.parametrize("kind", ["configMap", "secret"])
@pytest.mark.parametrize("identity", [{}, {"runAsUser": 1000, "fsGroup": 1001}])
def test_files_of_an_object_have_its_data_modes_and_group(cluster, kind, identity):
    words = ["configmap", "files"] if kind == "configMap" else ["secret", "generic", "files"]
    cluster.kubectl("create", *words, "--from-literal=a=1", "--from-literal=b=2")
    if kind == "configMap":
        cluster.kubectl("patch", "configmap", "files", "-p", json.dumps({"binaryData": {"bin": "3q2+7w=="}}))
    else:
        cluster.kubectl("create", "namespace", "files", check=False)
        cluster.kubectl("create", *words, "--from-literal=a=other", "-n", "files")
    volumes = sources(kind, "files")
    script = "for i in 0 1 2 3 4 5; do cd /v$i; for f in $(find -L . -type f -not -path '*/..*' | sort); do echo $f $(stat -L -c '%a %g' $f) $(od -An -tx1 $f); done; done"
    create(cluster, pod("files", [shell(script, *((v["name"], f"/{v['name']}", {}) for v in volumes))], volumes, securityContext=identity))
    group, extra = (identity.get("fsGroup", 0), 0o040 if identity else 0)
    binary = ["./bin {mode} {group} de ad be ef"] if kind == "configMap" else []
    whole = ["./a {mode} {group} 31", "./b {mode} {group} 32", *binary]
    mode = {"plain": f"{0o644:o}", "mapped": f"{0o400 | extra:o}", "default": "440"}
    wanted = [line.format(mode=mode["plain"], group=group) for line in whole]
    wanted += [f"./deep/er/b {mode['mapped']} {group} 32"]
    wanted += [line.format(mode=mode["default"], group=group) for line in whole]
    assert logs(cluster, "files").splitlines() == wanted * 2
    delete(cluster, "pod/files", f"{kind.lower()}/files")
    cluster.kubectl("delete", "namespace", "files", "--ignore-not-found", "--wait=false")


def test_what_changes_comes_and_goes_is_seen_in_the_volumes(cluster):
    """Of maps and secrets, plain and projected, that are there, that come later and that go; and of the pod's own labels."""
    kubectl = cluster.kubectl
    for name in ("changes", "goes"):
        kubectl("create", "configmap", name, "--from-literal=k=1")
        kubectl("create", "secret", "generic", name, "--from-literal=k=1")
    volumes = []
    for name in ("changes", "goes", "comes"):
        optional = {"optional": name != "changes"}
        volumes.append({"name": f"m-{name}", "configMap": {"name": name, **optional}})
        volumes.append({"name": f"s-{name}", "secret": {"secretName": name, **optional}})
        both = [{"configMap": {"name": name, "items": [{"key": "k", "path": "m"}], **optional}}]
        both += [{"secret": {"name": name, "items": [{"key": "k", "path": "s"}], **optional}}]
        volumes.append({"name": f"p-{name}", "projected": {"sources": both}})
    down = [{"path": p, "fieldRef": {"fieldPath": f"metadata.{p}"}} for p in ("labels", "annotations")]
    volumes += [
        {"name": "down", "downwardAPI": {"items": down}},
        {"name": "pdown", "projected": {"sources": [{"downwardAPI": {"items": down}}]}},
    ]
    create(cluster, pod("watches", [shell("sleep 1000", *((v["name"], f"/{v['name']}", {}) for v in volumes))], volumes))
    cluster.until(lambda: status(cluster, "watches")["phase"] == "Running")
    assert (
        read(cluster, "watches", "/p-changes/m") + read(cluster, "watches", "/s-changes/k") + read(cluster, "watches", "/m-goes/k") == "111"
    )
    for kind, key in (("configmap", "data"), ("secret", "stringData")):
        kubectl("patch", kind, "changes", "-p", json.dumps({key: {"k": "2"}}))
        kubectl("delete", kind, "goes")
    kubectl("create", "configmap", "comes", "--from-literal=k=3")
    kubectl("create", "secret", "generic", "comes", "--from-literal=k=3")
    kubectl("label", "pod", "watches", "v=2", "--overwrite")
    kubectl("annotate", "pod", "watches", "v=2", "--overwrite")

    def seen():
        look = "cat /m-changes/k /s-changes/k /p-changes/m /p-changes/s /m-comes/k /s-comes/k /p-comes/m /p-comes/s; ls /m-goes /s-goes /p-goes | grep -c k"
        return cluster.kubectl("exec", "watches", "--", "sh", "-c", look, check=False).stdout.strip() == "222233330"

    cluster.until(seen, seconds=SOON)
    for path in ("/down/", "/pdown/"):
        cluster.until(lambda path=path: 'v="2"' in read(cluster, "watches", f"{path}labels"), seconds=SOON)
        cluster.until(lambda path=path: 'v="2"' in read(cluster, "watches", f"{path}annotations"), seconds=SOON)
    kubectl("delete", "configmap", "changes")  # not optional: what is there stays, and the pod goes on
    assert container(cluster, "watches")["state"].get("running")
    delete(cluster, "pod/watches", "configmap/comes", "secret/comes", "secret/changes")


def test_an_immutable_object_stays_as_it_is(cluster):
    for kind in ("configmap", "secret"):
        words = ["configmap", "still"] if kind == "configmap" else ["secret", "generic", "still"]
        cluster.kubectl("create", *words, "--from-literal=k=1")
        cluster.kubectl("patch", kind, "still", "-p", '{"immutable":true}')
        for change in ('{"immutable":false}', '{"data":{"k":"Mg=="}}'):
            refused = cluster.kubectl("patch", kind, "still", "-p", change, check=False)
            assert refused.returncode
            assert "immutable" in refused.stderr
        cluster.kubectl("label", kind, "still", "may=be")
        delete(cluster, f"{kind}/still")


def test_the_downward_api_tells_name_resources_and_what_the_node_has(cluster):
    fields = [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o400}]
    for container_name in ("c0", "c1"):
        for what in ("limits.cpu", "limits.memory", "requests.cpu", "requests.memory"):
            divisor = "1m" if what.endswith("cpu") else "1Mi"
            fields.append(
                {
                    "path": f"{container_name}.{what}",
                    "resourceFieldRef": {"containerName": container_name, "resource": what, "divisor": divisor},
                }
            )
    volumes = [{"name": "d", "downwardAPI": {"items": fields, "defaultMode": 0o440}}]
    volumes += [{"name": "p", "projected": {"sources": [{"downwardAPI": {"items": fields}}], "defaultMode": 0o440}}]
    script = "for d in /d /p; do cat $d/name; stat -L -c ' %a' $d/name $d/c0.limits.cpu; for c in c0 c1; do cd $d; cat $c.limits.cpu; echo; cat $c.limits.memory; echo; cat $c.requests.cpu; echo; cat $c.requests.memory; echo; done; done"
    mounts = (("d", "/d", {}), ("p", "/p", {}))
    sized = {"resources": {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}}
    create(cluster, pod("tells", [shell(script, *mounts, **sized), shell("true")], volumes))
    node = cluster.get("nodes")["items"][0]["status"]["allocatable"]
    memory = str(-(-int(node["memory"].removesuffix("Ki")) // 1024))
    once = ["tells", "400", "440", "1250", "64", "250", "32", str(int(node["cpu"]) * 1000), memory, "0", "0"]
    assert logs(cluster, "tells").split() == once * 2
    delete(cluster, "pod/tells")


def test_a_projection_of_everything(cluster):
    cluster.kubectl("create", "configmap", "all", "--from-literal=m=1")
    cluster.kubectl("create", "secret", "generic", "all", "--from-literal=s=2")
    parts = [{"configMap": {"name": "all"}}, {"secret": {"name": "all"}}, {"serviceAccountToken": {"path": "token"}}]
    parts += [{"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}}]
    create(
        cluster,
        pod(
            "all",
            [shell("cd /v; cat m s n; test -s token && echo ' token'; ls", ("v", "/v", {}))],
            [{"name": "v", "projected": {"sources": parts}}],
        ),
    )
    assert logs(cluster, "all").split() == ["12all", "token", "m", "n", "s", "token"]
    delete(cluster, "pod/all", "configmap/all", "secret/all")


def test_parts_of_volumes(cluster):
    """Files and directories of atomic volumes at places of their own, over files of the image too; and what leads out is refused."""
    cluster.kubectl("create", "configmap", "parts", "--from-literal=k=map")
    cluster.kubectl("create", "secret", "generic", "parts", "--from-literal=k=secret")
    down = [{"path": "down/labels", "fieldRef": {"fieldPath": "metadata.name"}}]
    volumes = [
        {"name": "m", "configMap": {"name": "parts"}},
        {"name": "s", "secret": {"secretName": "parts"}},
        {"name": "d", "downwardAPI": {"items": down}},
    ]
    volumes += [{"name": "p", "projected": {"sources": [{"configMap": {"name": "parts"}}]}}, {"name": "e", "emptyDir": {}}]
    mounts = [("m", "/over/k", {"subPath": "k"}), ("s", "/etc/hostname", {"subPath": "k"}), ("d", "/down", {"subPath": "down"})]
    mounts += [("p", "/p", {"subPath": "k"}), ("e", "/e", {"subPath": "a/b"}), ("e", "/f", {"subPathExpr": "$(ME)/$(ME)"})]
    me = {"env": [{"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}
    script = "cat /over/k /etc/hostname /down/labels /p; touch /e/x /f/y; ls /whole/a/b /whole/parts/parts"
    create(cluster, pod("parts", [shell(script, *mounts, ("e", "/whole", {}), **me)], volumes))
    assert logs(cluster, "parts").split() == ["mapsecretpartsmap/whole/a/b:", "x", "/whole/parts/parts:", "y"]
    for value in ("/absolute", "../up"):
        out = {"env": [{"name": "BAD", "value": value}]}
        create(cluster, pod("out", [shell("true", ("e", "/e", {"subPathExpr": "$(BAD)"}), **out)], volumes[-1:]))
        cluster.until(lambda: container(cluster, "out")["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError")
        delete(cluster, "pod/out")
    delete(cluster, "pod/parts", "configmap/parts", "secret/parts")


@pytest.mark.parametrize(
    ("kind", "make", "fits"),
    [
        ("Directory", "mkdir {p}", True),
        ("Directory", "touch {p}", False),
        ("DirectoryOrCreate", "true", True),
        ("File", "touch {p}", True),
        ("File", "true", False),
        ("FileOrCreate", "true", True),
        ("Socket", "touch {p}", False),
        ("CharDevice", "mknod {p} c 1 3", True),
        ("BlockDevice", "mkdir {p}", False),
        ("", "true", True),
        ("", "touch {p}", True),
    ],
)
def test_a_path_of_the_node_is_what_it_is_said_to_be(cluster, tmp_path, kind, make, fits):
    place, name = tmp_path / "x", f"host-{kind}-{fits}".lower()
    cluster.host("sh", "-c", make.format(p=place))
    create(cluster, pod(name, [shell("ls -d /v", ("v", "/v", {}))], [{"name": "v", "hostPath": {"path": str(place), "type": kind}}]))
    if fits:
        assert logs(cluster, name) == "/v\n"
    else:
        about = f"involvedObject.name={name}"
        cluster.until(lambda: "hostPath type check failed" in cluster.kubectl("get", "events", "--field-selector", about).stdout)
        assert status(cluster, name)["phase"] == "Pending"
    delete(cluster, f"pod/{name}")


def test_many_volumes_of_many_pods_at_once(cluster):
    names = [f"race-{i}" for i in range(20)]
    for name in names:
        create(cluster, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": name}})
    volumes = [{"name": n, "configMap": {"name": n}} for n in names]
    script = "cat " + " ".join(f"/v/{n}/k" for n in names) + " | tr -d '\\n' | wc -c"
    for i in range(4):
        create(cluster, pod(f"race{i}", [shell(script, *((n, f"/v/{n}", {}) for n in names))], volumes))
    for i in range(4):
        assert logs(cluster, f"race{i}") == f"{sum(map(len, names))}\n"
    delete(cluster, *(f"pod/race{i}" for i in range(4)), *(f"configmap/{n}" for n in names))
