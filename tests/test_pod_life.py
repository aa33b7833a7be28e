"""The life of pods on a real node: names, debugging, resizing, deadlines, gates, hooks, probes and the last word of the node."""

import json
import time

import pytest

from tests.test_pods import container, create, simple, status

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


def condition(cluster, name, kind):
    return next((c for c in status(cluster, name).get("conditions", []) if c["type"] == kind), {})


def delete(cluster, *names):
    cluster.kubectl("delete", "--now", *names)


def test_names_of_the_cluster_are_found_from_pods(cluster):
    create(cluster, simple("named", ["sleep", "1000"], hostname="named-0", subdomain="group"))
    for name, extra in (("group", {"clusterIP": "None"}), ("front", {})):
        spec = {"selector": {"app": "named"}, "ports": [{"port": 80, "name": "http"}], **extra}
        create(cluster, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
    outside = {"type": "ExternalName", "externalName": "front.default.svc.cluster.local"}
    create(cluster, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"}, "spec": outside})
    cluster.kubectl("wait", "--for=condition=Ready", "pod/named", "--timeout=30s")
    address = status(cluster, "named")["podIP"]
    front = cluster.get("service", "front")["spec"]["clusterIP"]

    def found(name):
        return cluster.kubectl("exec", "named", "--", "getent", "ahostsv4", name, check=False).stdout.partition(" ")[0]

    for name, wanted in (("front", front), ("alias", front), ("group", address), ("named-0.group", address)):
        cluster.until(lambda name=name, wanted=wanted: found(name) == wanted)
    assert found("kubernetes.default.svc.cluster.local") == cluster.get("service", "kubernetes")["spec"]["clusterIP"]
    assert cluster.kubectl("exec", "named", "--", "hostname", "-f").stdout == "named-0.group.default.svc.cluster.local\n"
    assert "# Kubernetes-managed hosts file." in cluster.kubectl("exec", "named", "--", "cat", "/etc/hosts").stdout
    delete(cluster, "pod/named", "service/group", "service/front", "service/alias")


def test_a_running_pod_is_debugged_from_inside(cluster):
    create(cluster, simple("ill", ["sleep", "1234"]))
    cluster.until(lambda: container(cluster, "ill").get("ready"))
    cluster.kubectl("debug", "ill", "--image=host", "--target=c", "--container=doctor", "--", "sh", "-c", "cat /proc/1/cmdline; exit 3")
    ended = cluster.until(
        lambda: (status(cluster, "ill").get("ephemeralContainerStatuses") or [{"state": {}}])[0]["state"].get("terminated")
    )
    assert ended["exitCode"] == 3
    assert "1234" in cluster.kubectl("logs", "ill", "-c", "doctor").stdout
    time.sleep(1)
    assert status(cluster, "ill")["ephemeralContainerStatuses"][0]["restartCount"] == 0
    assert container(cluster, "ill")["ready"]
    delete(cluster, "pod/ill")


def test_a_pod_is_resized_in_place_if_there_is_room(cluster):
    sizes = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
    create(cluster, simple("sized", ["sleep", "1000"], container={"resources": sizes}))
    cluster.until(lambda: container(cluster, "sized").get("ready"))

    def resize(cpu, limit):
        change = [{"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": limit}}}]
        cluster.kubectl("patch", "pod", "sized", "--subresource=resize", "-p", json.dumps({"spec": {"containers": change}}))

    resize("150m", "300m")
    cluster.until(lambda: container(cluster, "sized").get("resources", {}).get("limits", {}).get("cpu") == "300m")
    assert container(cluster, "sized")["restartCount"] == 0
    assert container(cluster, "sized")["allocatedResources"]["cpu"] == "150m"
    resize("900", "900")
    cluster.until(lambda: condition(cluster, "sized", "PodResizePending").get("reason") == "Infeasible")
    assert container(cluster, "sized")["allocatedResources"]["cpu"] == "150m"
    resize("150m", "300m")
    cluster.until(lambda: not condition(cluster, "sized", "PodResizePending"))
    delete(cluster, "pod/sized")


def test_the_node_turns_away_what_it_cannot_take(cluster):
    greedy = {"resources": {"requests": {"cpu": "500"}}}
    create(cluster, simple("greedy", ["true"], nodeName="n1", container=greedy))
    create(cluster, simple("unsafe", ["true"], securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}))
    create(cluster, simple("stray", ["true"], nodeName="n1", nodeSelector={"no": "where"}))
    for name, reason in (("greedy", "OutOfcpu"), ("unsafe", "SysctlForbidden"), ("stray", "NodeAffinity")):
        cluster.until(lambda name=name, reason=reason: status(cluster, name).get("reason") == reason)
        assert status(cluster, name)["phase"] == "Failed"
    delete(cluster, "pod/greedy", "pod/unsafe", "pod/stray")


def test_a_deadline_a_gate_and_a_sidecar(cluster):
    create(cluster, simple("timely", ["sleep", "1000"], activeDeadlineSeconds=2))
    create(cluster, simple("gated", ["sleep", "1000"], readinessGates=[{"conditionType": "example.com/open"}]))
    side = [{"name": "side", "image": "host", "restartPolicy": "Always", "command": ["sleep", "1000"]}]
    create(cluster, simple("joined", ["sleep", "1"], restartPolicy="Never", initContainers=side))
    cluster.until(lambda: condition(cluster, "gated", "ContainersReady").get("status") == "True")
    assert condition(cluster, "gated", "Ready")["reason"] == "ReadinessGatesNotReady"
    opened = {"status": {"conditions": [{"type": "example.com/open", "status": "True"}]}}
    cluster.kubectl("patch", "pod", "gated", "--subresource=status", "-p", json.dumps(opened))
    cluster.until(lambda: condition(cluster, "gated", "Ready").get("status") == "True")
    assert condition(cluster, "gated", "example.com/open")["status"] == "True"
    cluster.until(lambda: status(cluster, "timely").get("reason") == "DeadlineExceeded")
    cluster.until(lambda: status(cluster, "joined")["phase"] == "Succeeded")
    ended = status(cluster, "joined")
    assert ended["initContainerStatuses"][0]["state"]["terminated"]
    assert ended["podIP"]
    assert condition(cluster, "joined", "PodReadyToStartContainers")["status"] == "False"
    assert cluster.kubectl("get", "pod", "joined", "--no-headers").stdout.split()[2] == "Completed"
    delete(cluster, "pod/timely", "pod/gated", "pod/joined")


def test_a_shorter_grace_period_takes_effect_at_once(cluster):
    deaf = simple("deaf", ["sh", "-c", "trap '' TERM; sleep 1000"], terminationGracePeriodSeconds=120)
    create(cluster, deaf)
    cluster.until(lambda: container(cluster, "deaf").get("ready"))
    cluster.kubectl("delete", "pod", "deaf", "--wait=false")
    time.sleep(0.5)
    started = time.monotonic()
    cluster.kubectl("delete", "pod", "deaf", "--grace-period=1")
    assert time.monotonic() - started < 20


def test_pods_that_are_left_alone_by_rules_and_hooks(cluster):
    """An exit code that the rules name restarts a container whose policy is Never; a preStop hook runs before the signal."""
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    script = "test -f /mark/here && exit 0; touch /mark/here; exit 42"
    again = {"restartPolicy": "Never", "restartPolicyRules": rules, "volumeMounts": [{"name": "mark", "mountPath": "/mark"}]}
    create(
        cluster, simple("ruled", ["sh", "-c", script], restartPolicy="Never", container=again, volumes=[{"name": "mark", "emptyDir": {}}])
    )
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hooked > /proc/1/fd/1; sleep 1"]}}}
    create(cluster, simple("hooked", ["sleep", "1000"], terminationGracePeriodSeconds=5, container={"lifecycle": hook}))
    cluster.until(lambda: status(cluster, "ruled")["phase"] == "Succeeded")
    assert container(cluster, "ruled")["restartCount"] == 1
    cluster.until(lambda: container(cluster, "hooked").get("ready"))
    cluster.kubectl("delete", "pod", "hooked", "--wait=false")
    cluster.until(lambda: "hooked" in cluster.kubectl("logs", "hooked", check=False).stdout, seconds=10)
    delete(cluster, "pod/ruled")


def test_what_is_written_into_volumes_belongs_to_the_group(cluster):
    cluster.kubectl("create", "configmap", "modes", "--from-literal=a=1")
    volumes = [
        {"name": "m", "configMap": {"name": "modes", "defaultMode": 0o400, "items": [{"key": "a", "path": "x/a", "mode": 0o440}]}},
        {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
    ]
    mounts = [{"name": "m", "mountPath": "/m"}, {"name": "e", "mountPath": "/e"}, {"name": "e", "mountPath": "/s", "subPathExpr": "$(ME)"}]
    extra = {"volumeMounts": mounts, "env": [{"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}
    script = ["sh", "-c", "stat -c '%a %g' -L /m/x/a /e; touch /s/here; ls /e/owned; df -m --output=size /e | tail -1; id -G"]
    identity = {"runAsUser": 1000, "fsGroup": 4321, "supplementalGroups": [77]}
    create(cluster, simple("owned", script, restartPolicy="Never", securityContext=identity, volumes=volumes, container=extra))
    cluster.until(lambda: status(cluster, "owned")["phase"] in ("Succeeded", "Failed"))
    lines = cluster.kubectl("logs", "owned").stdout.split("\n")
    assert [lines[0], lines[1], lines[2], lines[3].strip()] == ["440 4321", "2777 4321", "here", "8"]
    assert {"77", "4321"} <= set(lines[4].split())
    out = {"volumeMounts": [{"name": "e", "mountPath": "/e", "subPathExpr": "$(BAD)"}], "env": [{"name": "BAD", "value": ".."}]}
    create(cluster, simple("escapes", ["true"], volumes=[{"name": "e", "emptyDir": {}}], container=out))
    cluster.until(lambda: container(cluster, "escapes")["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError")
    delete(cluster, "pod/owned", "pod/escapes", "configmap/modes")


def test_an_http_probe_follows_redirects_and_a_grpc_probe_that_nobody_answers_restarts(cluster):
    server = (
        "import http.server as h\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        "  def do_GET(s):\n"
        "    s.send_response(302 if s.path == '/from' else 200 if s.headers.get('X') == 'y' else 500)\n"
        "    s.send_header('Location', '/to'); s.end_headers()\n"
        "h.HTTPServer(('', 8080), H).serve_forever()"
    )
    probe = {"httpGet": {"path": "/from", "port": 8080, "httpHeaders": [{"name": "X", "value": "y"}]}, "periodSeconds": 1}
    create(cluster, simple("sent", ["python3", "-c", server], container={"startupProbe": {**probe, "failureThreshold": 30}}))
    silent = {"grpc": {"port": 5000}, "periodSeconds": 1, "failureThreshold": 1, "terminationGracePeriodSeconds": 1}
    create(cluster, simple("silent", ["sleep", "1000"], container={"livenessProbe": silent}))
    cluster.until(lambda: container(cluster, "sent").get("ready"))
    cluster.until(lambda: container(cluster, "silent")["restartCount"] >= 1)
    assert "Liveness probe failed" in cluster.kubectl("get", "events").stdout
    delete(cluster, "pod/sent", "pod/silent")
