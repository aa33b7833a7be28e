"""Parts that are killed or away while pods come and go: everything heals, nothing is started twice, nothing is left behind."""

import json
import os
import signal
import time

import pytest

from bareboat.cluster.layout import Layout
from tests.conftest import Cluster
from tests.test_life import pids, traces

pytestmark = [pytest.mark.root, pytest.mark.timeout(280)]
#: Seconds after a pod was made at which its agent is killed: from before it has seen the pod until after it runs.
MOMENTS = [0.0, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.1, 0.13, 0.17, 0.25]


def pod(name, *command, **spec):
    containers = [{"name": "c", "image": "host", "command": list(command) or ["sleep", "100000"]}]
    tree = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
    return json.dumps({**tree, "spec": {"terminationGracePeriodSeconds": 0, "containers": containers, **spec}})


@pytest.fixture
def own(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    found = Cluster(tmp_path / "own")
    found.bareboat("up", "--port", "0")
    yield found
    found.bareboat("down", "--purge", check=False)


def kill(cluster, kind):
    for pid in pids(cluster.data_dir, kind):
        os.kill(pid, signal.SIGKILL)


def left(cluster):
    layout = Layout(cluster.data_dir)
    return traces([layout.instance(), layout.instance("n1")])


def test_an_agent_killed_at_any_moment_of_a_pod_s_start_goes_on_and_leaves_nothing(own):
    for number, moment in enumerate(MOMENTS):
        own.kubectl("create", "-f", "-", input=pod(f"p{number}"))
        time.sleep(moment)
        kill(own, "agent")
        own.bareboat("up", "--port", "0")
    names = [f"p{number}" for number in range(len(MOMENTS))]
    own.until(lambda: all(own.get("pod", name)["status"]["phase"] == "Running" for name in names), 60)
    for name in names:
        status = own.get("pod", name)["status"]["containerStatuses"][0]
        assert status["restartCount"] == 0
        assert own.kubectl("exec", name, "--", "echo", "alive").stdout == "alive\n"
    running = own.get("pods")["items"]
    assert len({p["status"]["podIP"] for p in running}) == len(running)
    own.kubectl("delete", "pods", "--all", "--timeout=60s")
    own.bareboat("down", "--purge")
    assert set(left(own).values()) == {0}


def test_an_agent_killed_while_pods_end_finishes_their_removal(own):
    for moment in MOMENTS[::2]:
        own.kubectl("create", "-f", "-", input=pod("gone"))
        own.kubectl("wait", "pod/gone", "--for=condition=Ready", "--timeout=60s")
        own.kubectl("delete", "pod", "gone", "--wait=false")
        time.sleep(moment)
        kill(own, "agent")
        own.bareboat("up", "--port", "0")
        own.kubectl("wait", "pod/gone", "--for=delete", "--timeout=60s")
    own.bareboat("down", "--purge")
    assert set(left(own).values()) == {0}


def test_a_server_that_is_away_is_not_missed_by_running_pods(own):
    own.kubectl("create", "-f", "-", input=pod("kept"))
    script = "i=0; while true; do echo $i; i=$((i+1)); sleep 0.1; done"
    own.kubectl("create", "-f", "-", input=pod("ending", "sh", "-c", "sleep 4; exit 3", restartPolicy="Never"))
    own.kubectl("create", "-f", "-", input=pod("talking", "sh", "-c", script))
    own.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
    before = own.get("pod", "kept")["status"]["containerStatuses"][0]["containerID"]
    kill(own, "server")
    time.sleep(8)
    own.bareboat("up", "--port", "0")
    ended = own.until(lambda: own.get("pod", "ending")["status"]["containerStatuses"][0]["state"].get("terminated"), 60)
    assert ended["exitCode"] == 3
    assert own.get("pod", "kept")["status"]["containerStatuses"][0]["containerID"] == before
    said = [int(line) for line in own.kubectl("logs", "talking").stdout.split()]
    assert said == list(range(len(said)))
    assert len(said) > 60
    own.kubectl("create", "-f", "-", input=pod("new"))
    own.kubectl("wait", "pod/new", "--for=condition=Ready", "--timeout=60s")


def test_containers_that_fork_without_end_or_ignore_signals_are_stopped(own):
    bomb = "ulimit -u 200 2>/dev/null; f() { f | f & }; f; sleep 1000"
    deaf = "trap '' TERM INT; echo deaf; while true; do sleep 1; done"
    limits = {"resources": {"limits": {"memory": "64Mi", "cpu": "200m"}}}
    tree = json.loads(pod("bomb", "sh", "-c", bomb))
    tree["spec"]["containers"][0] |= limits
    own.kubectl("create", "-f", "-", input=json.dumps(tree))
    own.kubectl("create", "-f", "-", input=pod("deaf", "sh", "-c", deaf, terminationGracePeriodSeconds=1))
    own.kubectl("wait", "pod/deaf", "--for=condition=Ready", "--timeout=60s")
    time.sleep(1)
    own.kubectl("delete", "pods", "--all", "--timeout=90s")
    own.bareboat("down", "--purge")
    assert set(left(own).values()) == {0}
