"""What a pod takes from its node."""

import pytest

from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.scheduler.requests import PodUses, pod_use

MI = 2**20


def pod(*containers, init=(), status=None, **spec):
    def made(n, entry):
        requests = {k: v for k, v in entry.items() if k != "always"}
        return {
            "name": f"c{n}",
            "image": "i",
            "resources": {"requests": requests},
            **({"restartPolicy": "Always"} if entry.get("always") else {}),
        }

    before = [made(n + 10, entry) for n, entry in enumerate(init)]
    tree = {"containers": [made(n, entry) for n, entry in enumerate(containers)], "initContainers": before, **spec}
    return from_tree(core_v1.Pod, {"metadata": {"name": "p", "namespace": "d"}, "spec": tree, "status": status or {}})


CASES = {
    "containers are summed": (pod({"cpu": "100m"}, {"cpu": "200m", "memory": "1Mi"}), {"cpu": 300, "memory": MI}),
    "the largest init container counts if it is more": (pod({"cpu": "1"}, init=[{"cpu": "2"}, {"cpu": "3"}]), {"cpu": 3000}),
    "sidecars run beside the containers": (pod({"cpu": "1"}, init=[{"cpu": "500m", "always": True}]), {"cpu": 1500}),
    "and beside the init containers after them": (pod({"cpu": "1"}, init=[{"cpu": "1", "always": True}, {"cpu": "2"}]), {"cpu": 3000}),
    "but not beside those before them": (pod({"cpu": "1"}, init=[{"cpu": "2"}, {"cpu": "1", "always": True}]), {"cpu": 2000}),
    "overhead comes on top": (
        pod({"cpu": "1"}, init=[{"cpu": "2"}], overhead={"cpu": "100m", "memory": "1Mi"}),
        {"cpu": 2100, "memory": MI},
    ),
    "what is asked for the whole pod goes before": (
        pod({"cpu": "1"}, resources={"requests": {"cpu": "3"}}, overhead={"cpu": "1"}),
        {"cpu": 4000},
    ),
    "extended resources count as they are": (pod({"example.com/gpu": "2"}, {"example.com/gpu": "1"}), {"example.com/gpu": 3}),
    "a container keeps what it has until a resize is through": (
        pod(
            {"cpu": "1"},
            status={
                "containerStatuses": [
                    {"name": "c0", "image": "", "imageID": "", "ready": True, "restartCount": 0, "resources": {"requests": {"cpu": "2"}}}
                ]
            },
        ),
        {"cpu": 2000},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_requests_are_summed_as_upstream_does(case):
    asking, expected = CASES[case]
    assert pod_use(asking).requests == {**expected, "pods": 1}
    uses = PodUses()
    assert uses.of(asking) == pod_use(asking)
    assert uses.of(asking) is uses.of(asking)


def test_containers_without_requests_count_as_something_for_scores():
    assert pod_use(pod({}, {"cpu": "1"})).nonzero == {"cpu": 1100, "memory": 400 * MI}


def test_host_ports_of_sidecars_count_and_of_init_containers_not():
    port = {"containerPort": 1, "hostPort": 80}
    spec = {
        "containers": [{"name": "a", "image": "i", "ports": [{**port, "protocol": "UDP", "hostIP": "10.0.0.1"}]}],
        "initContainers": [
            {"name": "b", "image": "i", "ports": [{**port, "hostPort": 81}], "restartPolicy": "Always"},
            {"name": "c", "image": "i", "ports": [{**port, "hostPort": 82}]},
        ],
    }
    found = from_tree(core_v1.Pod, {"metadata": {"name": "p", "namespace": "d"}, "spec": spec})
    assert pod_use(found).ports == {("10.0.0.1", "UDP", 80), ("0.0.0.0", "TCP", 81)}
