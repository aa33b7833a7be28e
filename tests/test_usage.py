"""kubectl top, and what agents tell of their nodes through the API server."""

import json
import re

import pytest

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: busy
  labels: {app: busy}
  annotations: {fake.bareboat.dev/cpu: 250m, fake.bareboat.dev/memory: 64Mi}
spec:
  containers: [{name: a, image: any}, {name: b, image: any}]
"""


def test_kubectl_top_shows_what_pods_and_nodes_use(fake_cluster):
    fake_cluster.kubectl("create", "-f", "-", input=POD)
    fake_cluster.kubectl("wait", "--for=condition=Ready", "pod/busy", "--timeout=30s")
    top = fake_cluster.until(lambda: fake_cluster.kubectl("top", "pods", "-l", "app=busy", check=False).stdout)
    assert re.search(r"busy +\d+m +128Mi", top)
    assert re.search(r"busy +a +\d+m +64Mi", fake_cluster.kubectl("top", "pods", "--containers").stdout)
    assert fake_cluster.kubectl("top", "pods", "-l", "app=other", check=False).stdout == ""
    node = fake_cluster.get("pod", "busy")["spec"]["nodeName"]
    assert re.search(rf"{node} +\d+m +\d+% +128Mi", fake_cluster.kubectl("top", "nodes").stdout)
    listed = json.loads(fake_cluster.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/busy").stdout)
    assert listed["kind"] == "PodMetrics"
    assert [c["usage"]["memory"] for c in listed["containers"]] == ["65536Ki", "65536Ki"]
    absent = fake_cluster.kubectl("top", "node", "nosuch", check=False)
    assert 'nodemetrics.metrics.k8s.io "nosuch" not found' in absent.stderr

    fake_cluster.kubectl("create", "rolebinding", "look", "--clusterrole=view", "--user=jane")
    jane = ("auth", "can-i", "list", "pods.metrics.k8s.io", "--as=jane")
    fake_cluster.until(lambda: fake_cluster.kubectl(*jane, check=False).stdout.strip() == "yes")
    assert fake_cluster.kubectl(*jane, "-n", "kube-system", check=False).stdout.strip() == "no"

    explained = fake_cluster.kubectl("explain", "pods.containers", "--api-version=metrics.k8s.io/v1beta1").stdout
    assert "What a container uses" in explained

    def asked(path):
        return fake_cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}").stdout

    assert 'kubelet_running_containers{container_state="running"' in asked("metrics")
    assert 'container_memory_working_set_bytes{container="a",namespace="default",pod="busy"}' in asked("metrics/resource")
    assert json.loads(asked("stats/summary"))["node"]["nodeName"] == node
    assert 'container_cpu_usage_seconds_total{container="b"' in asked("metrics/cadvisor")
    assert json.loads(asked("configz"))["kubeletconfig"]["maxPods"] == 110
    assert [p["metadata"]["name"] for p in json.loads(asked("runningpods/"))["items"]] == ["busy"]


BUSY = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: busy}
spec:
  selector: {matchLabels: {app: busy}}
  template:
    metadata:
      labels: {app: busy}
      annotations: {fake.bareboat.dev/cpu: 800m}
    spec:
      containers: [{name: c, image: any, resources: {requests: {cpu: 100m}}}]
"""


@pytest.mark.slow
def test_the_autoscaler_reads_what_pods_use(fake_cluster):
    fake_cluster.kubectl("create", "-f", "-", input=BUSY)
    fake_cluster.until(lambda: "busy" in fake_cluster.kubectl("top", "pods", check=False).stdout)  # so that its first look finds figures
    fake_cluster.kubectl("autoscale", "deployment", "busy", "--cpu-percent=100", "--max=4")
    fake_cluster.until(lambda: fake_cluster.get("deployment", "busy")["spec"]["replicas"] == 4, 60)
    status = fake_cluster.get("hpa", "busy")["status"]
    assert status["currentMetrics"][0]["resource"]["current"]["averageUtilization"] >= 790
