"""Controllers get there although many of their writes fail, and count nothing twice."""

import pytest

from bareboat.controllers.daemonset.controller import DaemonSetController
from bareboat.controllers.job.controller import JobController
from bareboat.controllers.replicaset import ReplicaSetController
from bareboat.controllers.statefulset.controller import StatefulSetController
from bareboat.models import apps_v1, batch_v1, core_v1

pytestmark = pytest.mark.virtual_time
FAULTS = 0.3


def workload(**spec):
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "host:1"}]}}
    return {"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template, **spec}}


@pytest.mark.parametrize("mode", ["Indexed", "NonIndexed"])
async def test_a_job_counts_each_end_once(bench, mode):
    await bench.start(JobController, faults=FAULTS)
    seen = {}
    bench.agent.script = lambda pod: seen.setdefault(pod.metadata.name, int(len(seen) % 5 == 4))
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "host:1"}]}}
    spec = {"completions": 30, "parallelism": 5, "completionMode": mode, "backoffLimit": 1000, "template": template}
    await bench.create(batch_v1.Job, {"metadata": {"name": "x"}, "spec": spec})

    async def complete():
        return (await bench.get(batch_v1.Job, "x")).status.completionTime is not None

    await bench.until(complete, 20_000)
    status = (await bench.get(batch_v1.Job, "x")).status
    phases = [p.status.phase for p in await bench.pods(all=True)]
    assert (status.succeeded, status.failed, status.active) == (phases.count("Succeeded"), phases.count("Failed"), 0)
    assert status.succeeded >= 30
    assert [c.type for c in status.conditions] == ["SuccessCriteriaMet", "Complete"]

    async def released():
        return not any(p.metadata.finalizers for p in await bench.pods(all=True))

    await bench.until(released, 1000)


async def test_replicas_are_as_many_as_wanted(bench):
    await bench.start(ReplicaSetController, faults=FAULTS)
    await bench.create(apps_v1.ReplicaSet, workload(replicas=12))

    async def ready(count):
        found = (await bench.get(apps_v1.ReplicaSet, "x")).status
        return found.readyReplicas == found.replicas == count == len(await bench.pods(all=True))

    await bench.until(lambda: ready(12), 2000)
    await bench.client.patch(apps_v1.ReplicaSet, "x", {"spec": {"replicas": 3}}, "default")
    await bench.until(lambda: ready(3), 2000)


async def test_a_set_rolls(bench):
    await bench.start(StatefulSetController, faults=FAULTS)
    await bench.create(apps_v1.StatefulSet, workload(replicas=4, serviceName="x"))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "host:2"}]}}}}
    await bench.client.patch(apps_v1.StatefulSet, "x", change, "default", type="strategic")

    async def rolled():
        found = (await bench.get(apps_v1.StatefulSet, "x")).status
        images = [p.spec.containers[0].image for p in await bench.pods(all=True)]
        return images == ["host:2"] * 4 and found.readyReplicas == 4 and found.currentRevision == found.updateRevision

    await bench.until(rolled, 5000)


async def test_daemons_are_everywhere_once(bench):
    await bench.start(DaemonSetController, faults=FAULTS)
    bench.agent.node = ""
    for number in range(8):
        await bench.create(core_v1.Node, {"metadata": {"name": f"n{number}"}})
    await bench.create(apps_v1.DaemonSet, workload())
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "host:2"}]}}}}
    await bench.client.patch(apps_v1.DaemonSet, "x", change, "default", type="strategic")

    async def everywhere():
        found = (await bench.get(apps_v1.DaemonSet, "x")).status
        images = [p.spec.containers[0].image for p in await bench.pods(all=True)]
        return images == ["host:2"] * 8 and found.numberAvailable == found.updatedNumberScheduled == 8

    await bench.until(everywhere, 5000)
