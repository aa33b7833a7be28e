"""The world as its users have it: whole, in virtual time, several at once, breakable."""

import asyncio

import pytest

from bareboat.models import core_v1
from bareboat.models.status import ApiError, Conflict, Forbidden, Gone, InternalError, NotFound, TooManyRequests
from bareboat.testing.world import World

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxUnavailable: 1, maxSurge: 1}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1"}]
"""
BOATS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.sea.dev}
spec:
  group: sea.dev
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, shortNames: [bt]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {sails: {type: integer, minimum: 1}}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
ARGO = {"apiVersion": "sea.dev/v1", "kind": "Boat", "metadata": {"name": "argo"}, "spec": {"sails": 2}}


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_a_deployment_replaces_pods_one_by_one(world):
    await world.apply(WEB)
    await world.until("deployment/web is available")
    await world.set_image("deployment/web", "web:2")
    states = 0
    async for pods in world.history("pods -l app=web"):
        assert pods.ready >= 2
        states += 1
    assert states > 6
    assert {p.spec.containers[0].image for p in await world.list("pods")} == {"web:2"}


async def test_objects_are_made_read_changed_and_deleted(world):
    await world.apply(config_map("a", x="1"), [config_map("b"), config_map("c")])
    assert (await world.get("configmap/a")).data.x == "1"
    await world.patch("cm/a", {"data": {"x": "2"}})
    assert (await world.get("ConfigMap/default/a"))["data"] == {"x": "2"}
    await world.label("cm/a", team="sea")
    assert (await world.list("cm -l team=sea")).names == ["a"]
    await world.delete("cm/a")
    assert not await world.exists("cm/a")
    with pytest.raises(NotFound):
        await world.get("cm/a")


async def test_garbage_is_collected_and_namespaces_end(world):
    await world.apply(WEB)
    await world.until("3 pods -l app=web are ready")
    await world.delete("deployment/web")
    await world.until("pods -l app=web are gone")
    await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sea"}})
    await world.apply({**config_map("left"), "metadata": {"name": "left", "namespace": "sea"}})
    await world.delete("namespace/sea")
    await world.until("namespace/sea is gone")
    assert not await world.exists("cm/sea/left")


async def test_custom_kinds_are_served_as_soon_as_they_are_applied(world):
    await world.apply(BOATS, ARGO)
    await world.status("boat/argo", phase="Afloat")
    argo = await world.until("bt/argo has status.phase=Afloat")
    assert (argo.spec.sails, argo.metadata.generation) == (2, 1)
    with pytest.raises(ApiError, match=r"spec.sails in body should be greater than or equal to 1"):
        await world.create({**ARGO, "metadata": {"name": "raft"}, "spec": {"sails": 0}})


async def test_an_hour_passes_in_no_time(world):
    await world.apply({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"},
        "spec": {"schedule": "*/10 * * * *", "successfulJobsHistoryLimit": 10, "jobTemplate": {"spec": {"template": {
            "metadata": {"annotations": {"fake.bareboat.dev/exit-after": "5"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}},
    })  # fmt: skip
    began = world.time
    await world.advance(3600)
    assert world.time - began == pytest.approx(3600)
    assert 5 <= len(await world.list("jobs")) <= 6


async def test_pods_of_a_lost_node_move_and_the_node_comes_back(worlds):
    world = await worlds(nodes=2)
    await world.apply(WEB)
    await world.until("deployment/web is available")
    await world.lose_node("n1")
    await world.until("node/n1 is not ready")
    await world.until(lambda: _all_on(world, "n2"), timeout=900)
    await world.find_node("n1")
    await world.until("node/n1 is ready")


async def _all_on(world, node):
    alive = [p for p in await world.list("pods -l app=web") if not p.metadata.deletionTimestamp]
    return len(alive) == 3 and {p.spec.nodeName for p in alive} == {node} and all(p.condition("Ready") for p in alive)


async def test_the_log_of_a_pod_can_be_read(world):
    await world.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    await world.until("pod/p is running")
    assert await world.logs("pod/p") == "fake container started\n"


async def test_until_says_what_it_saw_instead(world):
    await world.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big"}, "spec": {"containers": [
        {"name": "c", "image": "i", "resources": {"requests": {"cpu": "100"}}}]}})  # fmt: skip
    with pytest.raises(AssertionError) as failed:
        await world.until("pod/big is running", timeout=20)
    assert "after 20 s it is not so that pod/big is running" in str(failed.value)
    assert "FailedScheduling" in str(failed.value)
    assert "Insufficient cpu" in str(failed.value)
    with pytest.raises(ValueError, match="says nothing to wait for"):
        await world.until("deployment web available")
    with pytest.raises(LookupError, match="nobody serves 'ships'"):
        await world.get("ships/x")


async def test_the_same_happens_every_time():
    """Run twice by hand: two worlds of one seed write the same number of revisions."""
    from bareboat.testing.virtual_time import run

    async def life():
        async with World() as world:
            await world.apply(WEB)
            await world.until("deployment/web is available")
            await world.advance(60)
            return world.revision, (await world.list("pods")).names

    first, second = await asyncio.to_thread(run, life()), await asyncio.to_thread(run, life())
    assert first == second


async def test_twenty_worlds_share_a_process_and_nothing_else(worlds):
    made = [await worlds(nodes=1) for _ in range(20)]
    for number, world in enumerate(made):
        await world.apply(config_map(f"only-{number}"))
    for number, world in enumerate(made):
        assert [n for n in (await world.list("cm")).names if n.startswith("only")] == [f"only-{number}"]


async def test_access_rules_hold_where_they_are_asked_for(worlds):
    world = await worlds(rbac=True)
    jane = world.client_for("jane")
    with pytest.raises(Forbidden):
        await jane.list(core_v1.ConfigMap, "default")
    await world.apply({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "jane"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
    })  # fmt: skip
    await jane.list(core_v1.ConfigMap, "default")
    await world.apply(WEB)
    await world.until("deployment/web is available")


class TestFaults:
    @pytest.mark.parametrize(("code", "error"), [(409, Conflict), (410, Gone), (429, TooManyRequests), (500, InternalError)])
    async def test_chosen_requests_fail_as_often_as_asked(self, world, code, error):
        await world.apply(config_map("a"))
        fault = world.faults.fail("update", "configmaps", code=code, times=2)
        found = await world.client.get(core_v1.ConfigMap, "a", "default")
        for _ in range(2):
            with pytest.raises(error):
                await world.client.update(found)
        await world.client.update(found)
        assert fault.met == 2
        assert await world.patch("cm/a", {"data": {"x": "y"}}), "the world's own verbs never fail"

    async def test_components_meet_only_faults_that_name_them(self, world):
        world.faults.fail("*", "*", code=500, times=1000)
        await world.apply(WEB)
        await world.until("deployment/web is available")
        world.faults.clear()
        bindings = world.faults.fail("create", "pods", code=500, times=2, of="system:kube-scheduler")
        await world.scale("deployment/web", 4)
        await world.until("deployment/web is available")
        assert bindings.met == 2

    async def test_watches_are_cut_and_expire(self, world):
        seen, ends = [], []

        async def watch():
            try:
                async for event in world.client.watch(core_v1.ConfigMap, "default", send_initial=True):
                    if event.object is not None:
                        seen.append(event.object.metadata.name)
            except ApiError as error:
                ends.append(error.code)

        for expired, code in ((False, 503), (True, 410)):
            task = asyncio.ensure_future(watch())
            await world.advance(1)
            assert world.faults.cut_watches("configmaps", expired=expired) == 1
            await asyncio.wait_for(task, 5)
            assert ends[-1] == code
        assert "kube-root-ca.crt" in seen

    async def test_events_come_late(self, world):
        came = []

        async def watch():
            async for event in world.client.watch(core_v1.ConfigMap, "default"):
                if event.object is not None and event.object.metadata.name == "late":
                    came.append(world.time)

        task = asyncio.ensure_future(watch())
        await world.advance(1)
        world.faults.late_watches("configmaps", seconds=30)
        began = world.time
        await world.apply(config_map("late"))
        await world.advance(60)
        task.cancel()
        assert came == [pytest.approx(began + 30, abs=0.1)]

    async def test_history_can_be_forgotten(self, world):
        before = world.revision
        await world.apply(config_map("a"), config_map("b"))
        assert await world.compact() == world.revision
        with pytest.raises(Gone):
            async for _ in world.client.watch(core_v1.ConfigMap, "default", resource_version=str(before)):
                pass

    async def test_the_store_is_slow_or_full(self, world):
        world.faults.slow_store(2)
        began = world.time
        await world.apply(config_map("slow"))
        assert world.time - began == pytest.approx(2, abs=0.01)
        world.faults.slow_store(0)
        world.faults.full_store()
        with pytest.raises(ApiError) as refused:
            await world.apply(config_map("none"))
        assert refused.value.code == 503
        world.faults.full_store(False)
        await world.apply(config_map("none"))

    async def test_answers_are_delayed(self, world):
        world.faults.delay("get", "configmaps", seconds=7, times=1)
        began = world.time
        await world.client.get(core_v1.ConfigMap, "kube-root-ca.crt", "default")
        assert world.time - began == pytest.approx(7, abs=0.01)

    async def test_an_unknown_code_is_refused(self, world):
        with pytest.raises(ValueError, match="code 418 is not offered"):
            world.faults.fail(code=418)
