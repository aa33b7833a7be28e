"""The view of a placed pod says of it what the whole pod does."""

import msgspec

from bareboat.models import core_v1
from bareboat.models.codec import decode, encode, from_tree
from bareboat.scheduler.facts import Placed
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.requests import pod_use

TERM = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["app"]}
POD = {
    "metadata": {"name": "a", "namespace": "default", "uid": "1", "labels": {"app": "web"}, "deletionTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "nodeName": "n1",
        "priority": 7,
        "overhead": {"cpu": "50m"},
        "resources": {"requests": {"cpu": "3"}},
        "initContainers": [
            {"name": "i", "image": "x", "resources": {"requests": {"cpu": "4", "memory": "1Gi"}}},
            {"name": "s", "image": "x", "restartPolicy": "Always", "ports": [{"containerPort": 1, "hostPort": 81, "hostIP": "10.0.0.1"}]},
        ],
        "containers": [
            {"name": "c", "image": "x", "resources": {"requests": {"cpu": "100m"}}, "ports": [{"containerPort": 80, "hostPort": 80}]},
            {"name": "d", "image": "x", "ports": [{"containerPort": 53, "hostPort": 53, "protocol": "UDP"}]},
        ],
        "volumes": [
            {"name": "v", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "e", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"name": "t", "emptyDir": {}},
        ],
        "affinity": {
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]},
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "podAffinityTerm": TERM}]},
        },
    },
    "status": {
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}],
        "containerStatuses": [
            {"name": "c", "image": "x", "imageID": "", "ready": True, "restartCount": 0, "resources": {"requests": {"cpu": "200m"}}},
            {"name": "d", "image": "x", "imageID": "", "ready": True, "restartCount": 0},
        ],
    },
}


def facts(placed):
    return {name: getattr(placed, name) for name in PlacedPod.__slots__ if name != "use"}


def both(tree):
    data = encode(from_tree(core_v1.Pod, tree))
    return decode(core_v1.Pod, data), msgspec.json.decode(data, type=Placed)


def test_of_a_pod_that_uses_everything():
    whole, view = both(POD)
    assert pod_use(view) == pod_use(whole)
    assert pod_use(view).ports == {("0.0.0.0", "TCP", 80), ("0.0.0.0", "UDP", 53), ("10.0.0.1", "TCP", 81)}
    found = facts(PlacedPod("default/a", view, pod_use(view)))
    assert found == facts(PlacedPod("default/a", whole, pod_use(whole)))
    assert found["preempted"]
    assert found["claims"] == ("default/data", "default/a-e")
    assert len(found["grouped"]) == 2


def test_of_a_pod_that_uses_nothing():
    whole, view = both({"metadata": {"name": "a"}, "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "x"}]}})
    assert pod_use(view) == pod_use(whole)
    assert facts(PlacedPod("/a", view, pod_use(view))) == facts(PlacedPod("/a", whole, pod_use(whole)))
