"""Workloads on real containers, driven as people drive them: sets and daemons that roll forward and back, jobs that end or fail."""

import json

import pytest

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


def pod(command, **spec):
    container = {"name": "c", "image": "host", "command": ["sh", "-c", command]}
    return {"terminationGracePeriodSeconds": 1, "containers": [container], **spec}


def apply(cluster, version, kind, name, spec):
    tree = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("apply", "-f", "-", input=json.dumps(tree))


def rolling(name, **spec):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod("trap 'exit 0' TERM; sleep 1000 & wait")}
    return {"selector": {"matchLabels": labels}, "template": template, **spec}


@pytest.fixture(scope="module", autouse=True)
def ticking(cluster):
    """Made before all tests, so that its minute has begun when the last one looks."""
    template = {"spec": {"template": {"spec": pod("true", restartPolicy="Never")}}}
    apply(cluster, "batch/v1", "CronJob", "tick", {"schedule": "* * * * *", "jobTemplate": template})
    yield "cronjob/tick"
    cluster.kubectl("delete", "cronjob/tick", "--cascade=foreground", "--timeout=60s")


@pytest.mark.parametrize(
    ("kind", "spec"), [("StatefulSet", {"replicas": 2, "serviceName": "w"}), ("DaemonSet", {})], ids=["statefulset", "daemonset"]
)
def test_a_workload_rolls_forward_and_back(cluster, kind, spec):
    name = f"{kind.lower()}/w"
    apply(cluster, "apps/v1", kind, "w", rolling("w", **spec))
    try:
        cluster.kubectl("rollout", "status", name, "--timeout=60s")
        cluster.kubectl("set", "image", name, "c=host:2")
        cluster.kubectl("rollout", "status", name, "--timeout=60s")
        assert cluster.kubectl("rollout", "history", name).stdout.split()[-4::2] == ["1", "2"]
        cluster.kubectl("rollout", "undo", name)
        cluster.kubectl("rollout", "status", name, "--timeout=60s")
        found = cluster.get("pods", "-l", "app=w")["items"]
        assert {p["spec"]["containers"][0]["image"] for p in found} == {"host"}
        cluster.kubectl("rollout", "restart", name)
        cluster.kubectl("rollout", "status", name, "--timeout=60s")
        after = {p["metadata"]["uid"] for p in cluster.get("pods", "-l", "app=w")["items"]}
        assert not after & {p["metadata"]["uid"] for p in found}
    finally:
        cluster.kubectl("delete", name, "--cascade=foreground", "--timeout=60s")


def test_indexes_of_a_job_end_each_for_itself(cluster):
    command = "echo $JOB_COMPLETION_INDEX $(hostname); exit $((JOB_COMPLETION_INDEX == 2))"
    template = {"spec": pod(command, restartPolicy="Never")}
    spec = {"completions": 3, "parallelism": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 0, "template": template}
    apply(cluster, "batch/v1", "Job", "each", spec)
    cluster.kubectl("wait", "job/each", "--for=condition=Failed", "--timeout=60s")
    status = cluster.get("job/each")["status"]
    assert (status["completedIndexes"], status["failedIndexes"], status["succeeded"], status["failed"]) == ("0,1", "2", 2, 1)
    logs = cluster.kubectl("logs", "-l", "job-name=each").stdout.split("\n")
    assert {"0 each-0", "1 each-1", "2 each-2"} <= set(logs)
    cluster.kubectl("delete", "job/each", "--timeout=60s")


def test_an_evicted_pod_of_a_job_is_no_failure(cluster):
    policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
    template = {"spec": pod("sleep 1000", restartPolicy="Never")}
    apply(cluster, "batch/v1", "Job", "calm", {"backoffLimit": 0, "podFailurePolicy": policy, "template": template})

    def running():
        found = cluster.get("pods", "-l", "job-name=calm")["items"]
        return [p["metadata"]["name"] for p in found if p["status"]["phase"] == "Running" and "deletionTimestamp" not in p["metadata"]]

    (first,) = cluster.until(running)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first, "namespace": "default"}}
    path = f"/api/v1/namespaces/default/pods/{first}/eviction"
    cluster.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(body))
    cluster.until(lambda: running() not in ([], [first]))
    assert "failed" not in cluster.get("job/calm")["status"]
    cluster.kubectl("delete", "job/calm", "--timeout=60s")


def test_a_cronjob_starts_a_job_every_minute(cluster, ticking):
    cluster.until(lambda: cluster.get(ticking)["status"].get("lastSuccessfulTime"), seconds=100)
    (job,) = [j for j in cluster.get("jobs")["items"] if j["metadata"]["name"].startswith("tick-")][:1]
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
