"""What the columns hold of a placed pod follows its changes, and only those that count."""

import pytest

from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.selectors import parse_labels
from bareboat.scheduler import changes, columns
from bareboat.scheduler.counts import Matcher
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.requests import PodUses

pytestmark = pytest.mark.virtual_time


async def test_room_follows_a_resize_in_place(world):
    await world.node(cpu="1")
    await world.start()
    await world.pod("grows", cpu="200m")
    await world.bound("grows")
    await world.until(lambda: running(world, "grows"))
    await world.pod("waits", cpu="900m")
    await world.refused("waits", "Insufficient cpu")
    change = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "50m"}}}]}}
    await world.client.patch(core_v1.Pod, "grows", change, "default", type="strategic", subresource="resize")
    assert await world.bound("waits") == "n1"


async def test_room_is_held_while_a_container_has_more_than_it_asks_for(world):
    await world.node(cpu="1")
    await world.start()
    await world.pod("grows", cpu="200m")
    await world.bound("grows")
    has = {"name": "c", "image": "web:1", "imageID": "", "ready": True, "restartCount": 0, "resources": {"requests": {"cpu": "500m"}}}
    await world.until(lambda: running(world, "grows"))
    await world.client.patch(core_v1.Pod, "grows", {"status": {"containerStatuses": [has]}}, "default", subresource="status")
    await world.pod("waits", cpu="700m")
    await world.refused("waits", "Insufficient cpu")
    has["resources"] = {"requests": {"cpu": "200m"}}
    await world.client.patch(core_v1.Pod, "grows", {"status": {"containerStatuses": [has]}}, "default", subresource="status")
    assert await world.bound("waits") == "n1"


async def test_a_status_that_says_nothing_of_room_is_not_looked_at(world, monkeypatch):
    await world.node()
    await world.start()
    await world.pod("a")
    await world.bound("a")
    await world.until(lambda: running(world, "a"))
    placed = []
    made = changes.PlacedPod
    monkeypatch.setattr(changes, "PlacedPod", lambda *about: placed.append(about) or made(*about))
    ready = {"type": "Ready", "status": "True"}
    await world.client.patch(core_v1.Pod, "a", {"status": {"conditions": [ready], "podIP": "10.0.0.1"}}, "default", subresource="status")
    await world.client.patch(core_v1.Pod, "a", {"metadata": {"labels": {"app": "web"}}}, "default")
    await world.until(lambda: _any(placed))
    assert len(placed) == 1


async def running(world, name):
    pod = await world.get(name)
    return pod is not None and pod.status.phase == "Running"


async def _any(found):
    return bool(found)


async def test_a_node_is_taken_up_anew_when_it_offers_something_else_and_not_at_each_heartbeat(world, monkeypatch):
    await world.node(cpu="1")
    await world.start()
    await world.pod("waits", cpu="2")
    await world.refused("waits", "Insufficient cpu")
    put = []
    monkeypatch.setattr(columns.Columns, "put_node", lambda self, node, then=columns.Columns.put_node: put.append(node) or then(self, node))
    beat = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
    await world.client.patch(core_v1.Node, "n1", {"status": {"conditions": [beat]}}, subresource="status")
    await world.client.patch(core_v1.Node, "n1", {"status": {"allocatable": {"cpu": "4"}}}, subresource="status")
    assert await world.bound("waits") == "n1"
    assert len(put) == 1


def test_counts_follow_the_labels_of_pods_that_stay_where_they_are():
    found = columns.Columns()
    found.put_node(from_tree(core_v1.Node, {"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "4", "pods": "9"}}}))
    web = Matcher(frozenset({"default"}), (parse_labels("app=web"),), terminating=False)
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["app"]}
    shy = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    uses = PodUses()

    def place(app, terminating=False, affinity=None):
        meta = {"name": "a", "namespace": "default", "labels": {"app": app}}
        if terminating:
            meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        pod = from_tree(core_v1.Pod, {"metadata": meta, "spec": {"nodeName": "n1", "affinity": affinity, "containers": [{"name": "c"}]}})
        found.put_pod(PlacedPod("default/a", pod, uses.of(pod)))
        return found.count(web)[0], found.arrays().requested["pods"][0], sum(row[0] for _, row in found.groups.of("anti"))

    assert place("web") == (1, 1, 0)
    assert place("db") == (0, 1, 0)
    assert place("web") == (1, 1, 0)
    assert place("web", terminating=True) == (0, 1, 0)
    assert place("web", affinity=shy) == (1, 1, 1)
    assert place("db", affinity=shy) == (0, 1, 1)
    assert place("db") == (0, 1, 0)
    assert found.remove_pod("default/a")
    assert (found.count(web)[0], found.arrays().requested["pods"][0]) == (0, 0)
