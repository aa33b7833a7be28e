"""The real kubectl against a real cluster: what people type every day, and what it says."""

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
HELLO = str(Path(__file__).parent.parent / "examples" / "hello")
#: Goes when it is told to; a bare `sleep` as the first process is deaf, and the node waits for it for 30 s.
POLITE = "trap exit TERM; sleep 1000 & wait"


@pytest.fixture(scope="module")
def hello(cluster):
    cluster.kubectl("apply", "-f", HELLO)
    cluster.kubectl("rollout", "status", "deployment/hello", "--timeout=60s")
    yield cluster
    cluster.kubectl("delete", "-f", HELLO)


def pod(cluster):
    return cluster.kubectl("get", "pods", "-l", "app=hello", "-o", "name").stdout.split()[0]


def test_get_shows_tables(hello):
    nodes = hello.kubectl("get", "nodes").stdout.splitlines()
    assert nodes[0].split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert nodes[1].split()[:2] == ["n1", "Ready"]
    wide = hello.kubectl("get", "pods", "-l", "app=hello", "-o", "wide").stdout
    assert wide.splitlines()[0].split()[:6] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP"]
    assert wide.count("1/1") == 3
    assert "3/3" in hello.kubectl("get", "deployment", "hello").stdout
    assert "hello" in hello.kubectl("get", "deploy,rs,svc,ep,cm").stdout


def test_get_plugins_shows_what_every_node_has_loaded(hello):
    table = hello.kubectl("get", "nodes,pods,plugins", "-A", "-o", "wide").stdout
    assert "n1.cri.process" in table
    assert "server.store.sqlite" in table
    plugin = hello.get("plugins", "n1.cni.bridge")
    assert plugin["spec"]["distribution"] == "bareboat-cni-bridge"
    assert hello.kubectl("get", "plugins", "none", check=False).returncode == 1


def test_get_yaml_and_json(hello):
    assert hello.get("deployment", "hello")["status"]["readyReplicas"] == 3
    assert "kind: Service" in hello.kubectl("get", "service", "hello", "-o", "yaml").stdout


def test_get_watches(hello):
    words = ["kubectl", "--kubeconfig", str(hello.kubeconfig), "get", "configmaps", "-w", "--no-headers"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watch:
        hello.kubectl("create", "configmap", "seen", "--from-literal=a=1")
        lines = []
        while not any("seen" in line for line in lines):
            lines.append(watch.stdout.readline())
        watch.kill()
    hello.kubectl("delete", "configmap", "seen")


def test_describe(hello):
    text = hello.kubectl("describe", pod(hello)).stdout
    assert "Started container web" in text
    assert "Ready             True" in text
    assert "Replicas:" in hello.kubectl("describe", "deployment", "hello").stdout
    assert "Allocated resources" in hello.kubectl("describe", "node", "n1").stdout


def test_typed_generators_create(hello):
    hello.kubectl("create", "namespace", "made")
    for words in (
        ("configmap", "c", "--from-literal=a=b"),
        ("secret", "generic", "s", "--from-literal=a=b"),
        ("serviceaccount", "sa"),
        ("role", "r", "--verb=get", "--resource=pods"),
        ("rolebinding", "rb", "--role=r", "--serviceaccount=made:sa"),
        ("quota", "q", "--hard=pods=5"),
        ("service", "clusterip", "svc", "--tcp=80:8080"),
        ("deployment", "d", "--image=host", "--replicas=1", "--", "sh", "-c", POLITE),
        ("poddisruptionbudget", "pdb", "--selector=app=d", "--min-available=1"),
        ("ingress", "i", "--rule=a.example/=svc:80"),
        ("job", "j", "--image=host", "--", "true"),
    ):
        hello.kubectl("create", "-n", "made", *words)
    assert hello.kubectl("create", "token", "sa", "-n", "made").stdout.count(".") == 2
    hello.kubectl("rollout", "status", "-n", "made", "deployment/d", "--timeout=60s")
    hello.kubectl("delete", "namespace", "made", "--timeout=60s")


def test_apply_diff_and_patch(hello, tmp_path):
    manifest = tmp_path / "cm.yaml"
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {a: '1', b: '2'}\n")
    assert "created" in hello.kubectl("apply", "-f", str(manifest)).stdout
    assert "unchanged" in hello.kubectl("apply", "-f", str(manifest)).stdout
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {a: '9'}\n")
    diff = hello.kubectl("diff", "-f", str(manifest), check=False)
    assert diff.returncode == 1
    assert '+  a: "9"' in diff.stdout
    assert "configured" in hello.kubectl("apply", "-f", str(manifest)).stdout
    assert hello.get("configmap", "conf")["data"] == {"a": "9"}
    hello.kubectl("patch", "configmap", "conf", "--type=json", "-p", '[{"op":"add","path":"/data/c","value":"3"}]')
    hello.kubectl("patch", "configmap", "conf", "--type=merge", "-p", '{"data":{"a":null}}')
    assert hello.get("configmap", "conf")["data"] == {"c": "3"}
    hello.kubectl("delete", "-f", str(manifest))


def test_label_and_annotate(hello):
    name = pod(hello)
    hello.kubectl("label", name, "tier=front")
    assert name in hello.kubectl("get", "pods", "-l", "tier in (front)", "-o", "name").stdout
    hello.kubectl("label", name, "tier-")
    hello.kubectl("annotate", name, "note=x")
    assert hello.get(name)["metadata"]["annotations"]["note"] == "x"


def test_scale_rollout_and_undo(hello):
    hello.kubectl("scale", "deployment/hello", "--replicas=4")
    hello.until(lambda: hello.get("deployment", "hello")["status"].get("readyReplicas") == 4)
    hello.kubectl("scale", "deployment/hello", "--replicas=3")
    hello.kubectl("set", "image", "deployment/hello", "web=host:two")
    hello.kubectl("rollout", "status", "deployment/hello", "--timeout=90s")
    assert "2" in hello.kubectl("rollout", "history", "deployment/hello").stdout
    hello.kubectl("rollout", "undo", "deployment/hello")
    hello.kubectl("rollout", "status", "deployment/hello", "--timeout=90s")
    assert hello.get("deployment", "hello")["spec"]["template"]["spec"]["containers"][0]["image"] == "host"


def test_expose_and_call(hello):
    hello.kubectl("expose", "deployment", "hello", "--name=door", "--port=8081", "--target-port=8080", "--type=NodePort")
    service = hello.get("service", "door")["spec"]
    hello.until(lambda: hello.get("endpoints", "door").get("subsets"))
    for address in (
        f"{service['clusterIP']}:8081",
        f"{hello.get('node', 'n1')['status']['addresses'][0]['address']}:{service['ports'][0]['nodePort']}",
    ):
        answer = hello.until(
            lambda url=address: (
                subprocess.run(["curl", "-s", "-m", "3", f"http://{url}/"], capture_output=True, text=True, check=False).stdout
            )
        )
        assert answer.startswith("hello from hello-")
    hello.kubectl("delete", "service", "door")


def test_logs_and_exec(hello):
    name = pod(hello)
    assert "serving on 8080" in hello.kubectl("logs", name).stdout
    assert hello.kubectl("logs", name, "--tail=1", "--timestamps").stdout.startswith("20")
    follow = subprocess.run(
        ["timeout", "3", "kubectl", "--kubeconfig", str(hello.kubeconfig), "logs", "-f", name], capture_output=True, text=True, check=False
    )
    assert "serving on 8080" in follow.stdout
    assert hello.kubectl("exec", name, "--", "hostname").stdout.strip() == name.removeprefix("pod/")
    failed = hello.kubectl("exec", name, "--", "sh", "-c", "echo oops >&2; exit 3", check=False)
    assert (failed.returncode, "oops" in failed.stderr) == (3, True)
    assert hello.kubectl("exec", "-i", name, "--", "cat", input="through stdin").stdout == "through stdin"


def test_wait_explain_and_discovery(hello):
    hello.kubectl("wait", "--for=condition=Available", "deployment/hello", "--timeout=30s")
    assert "FIELD: containers" in hello.kubectl("explain", "deployment.spec.template.spec.containers").stdout
    assert "deployments" in hello.kubectl("api-resources").stdout
    assert "apps/v1" in hello.kubectl("api-versions").stdout


def test_auth_can_i(hello):
    assert hello.kubectl("auth", "can-i", "create", "pods").stdout.strip() == "yes"
    account = "--as=system:serviceaccount:default:default"
    assert hello.kubectl("auth", "can-i", "list", "secrets", account, check=False).stdout.strip() == "no"
    refused = hello.kubectl("get", "secrets", account, check=False)
    assert (
        'User "system:serviceaccount:default:default" cannot list resource "secrets" in API group "" in the namespace "default"'
        in refused.stderr
    )


def test_a_pod_reaches_the_api_with_its_own_token(hello):
    script = (
        "import ssl,urllib.request as u; d='/var/run/secrets/kubernetes.io/serviceaccount/'; c=ssl.create_default_context(cafile=d+'ca.crt');"
        "r=u.Request('https://kubernetes.default.svc/api', headers={'Authorization':'Bearer '+open(d+'token').read()});"
        "print(u.urlopen(r, context=c).status)"
    )
    script = script.replace("kubernetes.default.svc", hello.get("service", "kubernetes")["spec"]["clusterIP"])
    assert hello.kubectl("exec", pod(hello), "--", "python3", "-c", script).stdout.strip() == "200"


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, dta: {}}", 'unknown field "dta"'),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: {}}}", "unmarshal"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: Not_Valid}}", "Invalid value"),
        ("{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replicas: three}}", "unmarshal"),
    ],
)
def test_a_broken_manifest_is_refused_with_the_field(cluster, tmp_path, manifest, words):
    path = tmp_path / "broken.yaml"
    path.write_text("# flow style, but YAML\n" + manifest)
    refused = cluster.kubectl("create", "-f", str(path), check=False)
    assert refused.returncode == 1
    assert words in refused.stderr


def test_a_large_manifest_is_refused(cluster, tmp_path):
    path = tmp_path / "large.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "x" * 3_200_000}}))
    refused = cluster.kubectl("create", "-f", str(path), check=False)
    assert refused.returncode == 1
    assert "too large" in refused.stderr.lower()


def test_a_stale_resource_version_is_a_conflict(cluster, tmp_path):
    cluster.kubectl("create", "configmap", "stale", "--from-literal=a=1")
    old = cluster.get("configmap", "stale")
    cluster.kubectl("patch", "configmap", "stale", "-p", '{"data":{"a":"2"}}')
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    refused = cluster.kubectl("replace", "-f", str(path), check=False)
    assert "the object has been modified" in refused.stderr
    cluster.kubectl("delete", "configmap", "stale")
