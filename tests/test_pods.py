"""Pods as people write them: init containers, every kind of volume, references, probes, restarts, limits, termination."""

import json

import pytest
import yaml

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

RICH = """
apiVersion: v1
kind: Pod
metadata: {name: rich, labels: {app: rich}, annotations: {note: hello}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: first, image: host, command: [sh, -c, 'echo made > /shared/file'], volumeMounts: [{name: shared, mountPath: /shared}]}
  containers:
  - name: main
    image: host
    command: [sh, -c]
    args:
    - |
      cat /shared/file; cat /conf/greeting; cat /secret/key; cat /down/labels; echo; cat /all/name; cat /all/greeting
      echo $(FROM_FIELD) $FROM_MAP $FROM_SECRET $PRE_greeting $LIMIT; stat -c %a /conf/..data/greeting
      test -s /all/token && echo has-token; echo gone > /dev/termination-log; exit 3
    env:
    - {name: FROM_FIELD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: FROM_MAP, valueFrom: {configMapKeyRef: {name: rich, key: greeting}}}
    - {name: FROM_SECRET, valueFrom: {secretKeyRef: {name: rich, key: key}}}
    - {name: LIMIT, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    envFrom: [{prefix: PRE_, configMapRef: {name: rich}}]
    resources: {limits: {memory: 64Mi, cpu: 500m}}
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: conf, mountPath: /conf}
    - {name: secret, mountPath: /secret}
    - {name: down, mountPath: /down}
    - {name: all, mountPath: /all}
  volumes:
  - {name: shared, emptyDir: {medium: Memory}}
  - {name: conf, configMap: {name: rich, defaultMode: 0400}}
  - {name: secret, secret: {secretName: rich}}
  - {name: down, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - name: all
    projected:
      sources:
      - {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
      - {configMap: {name: rich}}
      - {serviceAccountToken: {path: token, expirationSeconds: 3600}}
"""


def create(cluster, text):
    cluster.kubectl("create", "-f", "-", input=text if isinstance(text, str) else json.dumps(text))


def simple(name, command, **spec):
    container = {"name": "c", "image": "host", "command": command, **spec.pop("container", {})}
    metadata = {"name": name, "labels": {"app": name}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }


def status(cluster, name):
    return cluster.get("pod", name)["status"]


def container(cluster, name):
    return (status(cluster, name).get("containerStatuses") or [{"state": {}, "restartCount": 0}])[0]


def test_a_pod_with_everything(cluster):
    cluster.kubectl("create", "configmap", "rich", "--from-literal=greeting=good day ")
    cluster.kubectl("create", "secret", "generic", "rich", "--from-literal=key=s3cret ")
    create(cluster, RICH)
    cluster.until(lambda: status(cluster, "rich")["phase"] == "Failed")
    text = cluster.kubectl("logs", "rich").stdout
    assert 'made\ngood day s3cret app="rich"\nrichgood day rich good day s3cret good day 64\n400\nhas-token\n' in text.replace("  ", " ")
    ended = container(cluster, "rich")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "gone\n")
    assert yaml.safe_load(RICH)["metadata"]["name"] in cluster.kubectl("get", "pods").stdout
    cluster.kubectl("delete", "pod/rich", "configmap/rich", "secret/rich")


def test_a_crashing_container_backs_off(cluster):
    create(cluster, simple("crash", ["sh", "-c", "exit 1"]))
    cluster.until(lambda: container(cluster, "crash")["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    found = container(cluster, "crash")
    assert found["restartCount"] >= 1
    assert found["lastState"]["terminated"]["exitCode"] == 1
    assert "Back-off restarting failed container" in cluster.kubectl("get", "events").stdout
    assert cluster.kubectl("get", "pod", "crash", "--no-headers").stdout.split()[2] == "CrashLoopBackOff"
    cluster.kubectl("delete", "pod", "crash")


def test_a_failed_liveness_probe_restarts_and_readiness_gates_the_service(cluster):
    probe = {"exec": {"command": ["test", "-f", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 2, "initialDelaySeconds": 2}
    ready = {"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1}
    script = ["sh", "-c", "touch /tmp/alive; sleep 1000"]
    create(cluster, simple("probed", script, container={"livenessProbe": probe, "readinessProbe": ready}))
    cluster.until(lambda: status(cluster, "probed")["phase"] == "Running")
    assert not container(cluster, "probed")["ready"]
    cluster.kubectl("exec", "probed", "--", "touch", "/tmp/ready")
    cluster.until(lambda: container(cluster, "probed")["ready"])
    cluster.kubectl("exec", "probed", "--", "rm", "/tmp/alive")
    cluster.until(lambda: container(cluster, "probed")["restartCount"] == 1)
    cluster.kubectl("delete", "pod", "probed")


def test_what_is_missing_is_named_and_heals(cluster):
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "a"}}}]
    create(cluster, simple("waits", ["sleep", "1000"], container={"env": env}))
    cluster.until(lambda: container(cluster, "waits")["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError")
    cluster.kubectl("create", "configmap", "later", "--from-literal=a=1")
    cluster.until(lambda: status(cluster, "waits")["phase"] == "Running")
    cluster.kubectl("delete", "pod/waits", "configmap/later")


def test_an_image_that_does_not_exist_and_a_command_that_does_not(cluster):
    tree = simple("noimage", ["true"])
    tree["spec"]["containers"][0]["image"] = "no-such-image:1"
    create(cluster, tree)
    create(cluster, simple("nocommand", ["/no/such/command"]))
    cluster.until(lambda: container(cluster, "noimage")["state"].get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff"))
    cluster.until(lambda: "no such file" in json.dumps(container(cluster, "nocommand")))
    cluster.kubectl("delete", "pod/noimage", "pod/nocommand")


def test_too_much_memory_is_killed_and_a_completed_pod_succeeds(cluster):
    eater = ["python3", "-c", "x = bytearray(200_000_000)"]
    create(cluster, simple("eater", eater, restartPolicy="Never", container={"resources": {"limits": {"memory": "32Mi"}}}))
    create(cluster, simple("done", ["true"], restartPolicy="OnFailure"))
    cluster.until(lambda: status(cluster, "eater")["phase"] == "Failed")
    assert container(cluster, "eater")["state"]["terminated"]["reason"] == "OOMKilled"
    cluster.until(lambda: status(cluster, "done")["phase"] == "Succeeded")
    assert cluster.kubectl("get", "pod", "done", "--no-headers").stdout.split()[2] == "Completed"
    cluster.kubectl("delete", "pod/eater", "pod/done")


def test_a_changed_configmap_arrives_in_the_volume(cluster):
    cluster.kubectl("create", "configmap", "live", "--from-literal=v=1")
    volume = [{"name": "v", "configMap": {"name": "live"}}]
    create(cluster, simple("live", ["sleep", "1000"], volumes=volume, container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]}))
    cluster.until(lambda: status(cluster, "live")["phase"] == "Running")
    cluster.kubectl("patch", "configmap", "live", "-p", '{"data":{"v":"2"}}')
    cluster.until(lambda: cluster.kubectl("exec", "live", "--", "cat", "/v/v").stdout == "2", seconds=100)
    cluster.kubectl("delete", "pod/live", "configmap/live")


def test_unschedulable_pods_say_why_and_run_when_there_is_room(cluster):
    create(cluster, simple("picky", ["sleep", "1000"], nodeSelector={"disk": "ssd"}))
    message = cluster.until(
        lambda: next((c["message"] for c in status(cluster, "picky").get("conditions", []) if c["status"] == "False"), "")
    )
    assert message.startswith("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
    cluster.kubectl("label", "node", "n1", "disk=ssd")
    cluster.until(lambda: status(cluster, "picky")["phase"] == "Running")
    cluster.kubectl("label", "node", "n1", "disk-")
    cluster.kubectl("delete", "pod", "picky")
