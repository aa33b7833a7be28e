"""Pods and options make the fake fail and dawdle, and the cluster tells and recovers."""

import pytest

from bareboat.testing.world.nodes import fake_drivers
from bareboat_cri_fake.plugin import FakeRuntime


def pod(name, **notes):
    annotations = {f"fake.bareboat.dev/{k}": v for k, v in notes.items()}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": spec}


async def test_a_pod_whose_sandbox_fails_twice_tells_it_and_runs(world):
    await world.apply(pod("p", fail="run_pod_sandbox:Exhausted:2"))
    await world.until("pod/p is ready")
    assert "FailedCreatePodSandBox" in {e.reason for e in await world.events("pod/p")}


async def test_a_slow_start_is_waited_for(world):
    await world.apply(pod("p", slow="start_container:40"))
    began = world.time
    await world.until("pod/p is ready")
    assert world.time - began == pytest.approx(40, abs=5)


async def test_options_are_for_every_pod_and_annotations_for_one(worlds):
    def drivers(host):
        options = FakeRuntime.Options(persist=False, fail="create_container:Unavailable:3")
        return {**fake_drivers(host), "runtime": FakeRuntime(options, host)}

    world = await worlds(drivers=drivers)
    await world.apply(pod("p"), pod("q", fail=""))
    await world.until("pod/q is ready", timeout=1)
    assert (await world.get("pod/p")).condition("Ready").status != "True"
    await world.until("pod/p is ready")
