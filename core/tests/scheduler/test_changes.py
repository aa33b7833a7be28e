"""What the columns hold of a placed pod follows its changes, and only those that count."""

import pytest

from bareboat.models import core_v1
from bareboat.scheduler import changes, columns

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
