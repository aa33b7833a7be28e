"""Jobs: completion, failure, indexes, policies, suspension; every ended pod is counted once."""

import pytest

from bareboat.controllers import claims
from bareboat.controllers.garbage import GarbageCollector
from bareboat.controllers.job import indexes
from bareboat.controllers.job.controller import JobController
from bareboat.controllers.job.outcome import TRACKING
from bareboat.controllers.job.ttl import TtlAfterFinishedController
from bareboat.models import batch_v1, core_v1

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(JobController, TtlAfterFinishedController, GarbageCollector)
    bench.agent.script = lambda pod: 0
    return bench


def job(name="work", policy="Never", **spec):
    template = {"spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "host:1"}]}}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


def index(pod):
    return int(pod.metadata.annotations["batch.kubernetes.io/job-completion-index"])


async def ended(world, name="work", seconds=900):
    async def over():
        found = await world.get(batch_v1.Job, name)
        return any(c.type in ("Complete", "Failed") and c.status == "True" for c in found.status.conditions)

    await world.until(over, seconds)
    return await world.get(batch_v1.Job, name)


def conditions(found):
    return [(c.type, c.status, c.reason) for c in found.status.conditions]


async def test_a_job_runs_to_completion(world):
    await world.create(batch_v1.Job, job(completions=5, parallelism=2))
    most = 0

    async def over():
        nonlocal most
        found = await world.get(batch_v1.Job, "work")
        most = max(most, found.status.active)
        return found.status.completionTime is not None

    await world.until(over)
    found = await ended(world)
    assert conditions(found) == [
        ("SuccessCriteriaMet", "True", "CompletionsReached"),
        ("Complete", "True", "CompletionsReached"),
    ]
    status = found.status
    assert (status.succeeded, status.failed, status.active, status.ready, status.terminating, most) == (5, 0, 0, 0, 0, 2)
    assert not status.uncountedTerminatedPods.succeeded
    pods = await world.pods()
    assert len(pods) == 5
    assert not any(TRACKING in p.metadata.finalizers for p in pods)
    assert {"SuccessfulCreate", "Completed"} <= await world.reasons()


async def test_without_completions_the_first_success_is_enough(world):
    world.agent.script = lambda pod: 0 if pod.status.podIP == "10.1.0.1" else None
    await world.create(batch_v1.Job, job(parallelism=3))

    async def one():
        return (await world.get(batch_v1.Job, "work")).status.succeeded == 1

    await world.until(one)
    assert (await world.get(batch_v1.Job, "work")).status.active == 2
    world.agent.script = lambda pod: 0
    assert (await ended(world)).status.succeeded == 3


async def test_failed_pods_are_replaced_ever_later_up_to_the_limit(world):
    world.agent.script = lambda pod: 1
    await world.create(batch_v1.Job, job(backoffLimit=2))
    found = await ended(world)
    assert conditions(found) == [("FailureTarget", "True", "BackoffLimitExceeded"), ("Failed", "True", "BackoffLimitExceeded")]
    assert (found.status.failed, found.status.active) == (3, 0)
    born = sorted(p.metadata.creationTimestamp for p in await world.pods())
    seconds = [int(b[-3:-1]) + 60 * int(b[-6:-4]) for b in born]
    assert 10 <= seconds[1] - seconds[0] <= 14
    assert 20 <= seconds[2] - seconds[1] <= 24
    assert "BackoffLimitExceeded" in await world.reasons()


async def test_pods_of_an_indexed_job_know_their_index(world):
    await world.create(batch_v1.Job, job(completions=4, parallelism=4, completionMode="Indexed"))
    found = await ended(world)
    assert (found.status.completedIndexes, found.status.succeeded, found.status.failedIndexes) == ("0-3", 4, None)
    pods = await world.pods()
    assert sorted(index(p) for p in pods) == [0, 1, 2, 3]
    first = next(p for p in pods if index(p) == 0)
    assert first.metadata.name.startswith("work-0-")
    assert first.spec.hostname == "work-0"
    assert first.metadata.labels["batch.kubernetes.io/job-completion-index"] == "0"
    (variable,) = first.spec.containers[0].env
    assert variable.name == "JOB_COMPLETION_INDEX"
    assert variable.valueFrom.fieldRef.fieldPath == "metadata.labels['batch.kubernetes.io/job-completion-index']"


async def test_failures_count_per_index(world):
    world.agent.script = lambda pod: index(pod) % 2
    await world.create(batch_v1.Job, job(completions=4, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=1))
    found = await ended(world)
    assert conditions(found)[-1] == ("Failed", "True", "FailedIndexes")
    assert (found.status.completedIndexes, found.status.failedIndexes) == ("0,2", "1,3")
    assert (found.status.failed, found.status.succeeded) == (4, 2)
    counts = {(index(p), p.metadata.annotations["batch.kubernetes.io/job-index-failure-count"]) for p in await world.pods()}
    assert counts == {(0, "0"), (1, "0"), (1, "1"), (2, "0"), (3, "0"), (3, "1")}


async def test_too_many_failed_indexes_end_the_job(world):
    world.agent.script = lambda pod: index(pod) % 2
    spec = {"completionMode": "Indexed", "backoffLimitPerIndex": 0, "maxFailedIndexes": 1}
    await world.create(batch_v1.Job, job(completions=100, parallelism=10, **spec))
    found = await ended(world)
    assert conditions(found)[-1] == ("Failed", "True", "MaxFailedIndexesExceeded")
    assert found.status.active == 0
    assert len(indexes.parse(found.status.failedIndexes)) >= 2


def rule(action, **match):
    return {"podFailurePolicy": {"rules": [{"action": action, **match}]}}


EXIT_42 = {"onExitCodes": {"operator": "In", "values": [42]}}


async def test_a_failure_policy_can_fail_the_job_at_once(world):
    world.agent.script = lambda pod: 42 if pod.status.podIP == "10.1.0.2" else None
    await world.create(batch_v1.Job, job(completions=3, parallelism=3, **rule("FailJob", **EXIT_42)))
    found = await ended(world)
    assert conditions(found)[-1] == ("Failed", "True", "PodFailurePolicy")
    failed = next(p for p in await world.pods() if p.status.phase == "Failed" and p.status.podIP == "10.1.0.2")
    message = f"Container c for pod default/{failed.metadata.name} failed with exit code 42 matching FailJob rule at index 0"
    assert found.status.conditions[-1].message == message


async def test_ignored_failures_do_not_count(world):
    seen = set()

    def script(pod):
        seen.add(pod.metadata.name)
        return 42 if len(seen) <= 3 else 0

    world.agent.script = script
    await world.create(batch_v1.Job, job(backoffLimit=0, **rule("Ignore", **EXIT_42)))
    found = await ended(world)
    assert conditions(found)[-1][:2] == ("Complete", "True")
    assert found.status.failed == 0


async def test_an_evicted_pod_can_be_ignored(world):
    world.agent.script = lambda pod: None
    await world.create(batch_v1.Job, job(backoffLimit=0, **rule("Ignore", onPodConditions=[{"type": "DisruptionTarget"}])))

    async def ready():
        return (await world.get(batch_v1.Job, "work")).status.ready == 1

    await world.until(ready)
    (pod,) = await world.pods()
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod.metadata.name, "namespace": "default"}}
    await world.client.post(f"/api/v1/namespaces/default/pods/{pod.metadata.name}/eviction", body)

    async def replaced():
        return await ready() and pod.metadata.name not in await world.pod_names()

    await world.until(replaced)
    world.agent.script = lambda pod: 0
    assert (await ended(world)).status.failed == 0


async def test_fail_index_spares_the_retries(world):
    world.agent.script = lambda pod: 42 if index(pod) == 1 else 0
    spec = {"completionMode": "Indexed", "backoffLimitPerIndex": 5, **rule("FailIndex", **EXIT_42)}
    await world.create(batch_v1.Job, job(completions=3, parallelism=3, **spec))
    found = await ended(world)
    assert (found.status.failedIndexes, found.status.completedIndexes, found.status.failed) == ("1", "0,2", 1)


async def test_a_success_policy_ends_the_job_early(world):
    world.agent.script = lambda pod: 0 if index(pod) == 0 else None
    policy = {"rules": [{"succeededIndexes": "0-2", "succeededCount": 1}]}
    await world.create(batch_v1.Job, job(completions=4, parallelism=4, completionMode="Indexed", successPolicy=policy))
    found = await ended(world)
    assert conditions(found) == [("SuccessCriteriaMet", "True", "SuccessPolicy"), ("Complete", "True", "SuccessPolicy")]
    assert found.status.conditions[0].message == "Matched rules at index 0"
    assert (found.status.completedIndexes, found.status.failed, found.status.terminating) == ("0", 0, 0)


async def test_a_deadline_ends_the_job(world):
    world.agent.script = lambda pod: None
    await world.create(batch_v1.Job, job(activeDeadlineSeconds=20))
    found = await ended(world)
    assert conditions(found)[-1] == ("Failed", "True", "DeadlineExceeded")


async def test_a_suspended_job_has_no_pods_until_it_is_resumed(world):
    world.agent.script = lambda pod: None
    await world.create(batch_v1.Job, job(suspend=True, parallelism=2, completions=2))

    async def suspended():
        return conditions(await world.get(batch_v1.Job, "work")) == [("Suspended", "True", "JobSuspended")]

    await world.until(suspended)
    assert await world.pods() == []
    assert (await world.get(batch_v1.Job, "work")).status.startTime is None
    await world.client.patch(batch_v1.Job, "work", {"spec": {"suspend": False}}, "default")

    async def running():
        return len(await world.pods()) == 2 and (await world.get(batch_v1.Job, "work")).status.ready == 2

    await world.until(running)
    assert conditions(await world.get(batch_v1.Job, "work")) == [("Suspended", "False", "JobResumed")]
    await world.client.patch(batch_v1.Job, "work", {"spec": {"suspend": True}}, "default")

    async def empty():
        return not await world.pods(all=True) and (await world.get(batch_v1.Job, "work")).status.active == 0

    await world.until(empty)
    assert {"Suspended", "Resumed"} <= await world.reasons()


async def test_an_indexed_job_grows_and_shrinks(world):
    world.agent.script = lambda pod: None
    await world.create(batch_v1.Job, job(completions=3, parallelism=3, completionMode="Indexed"))

    async def has(count):
        return sorted(index(p) for p in await world.pods()) == list(range(count))

    await world.until(lambda: has(3))
    await world.client.patch(batch_v1.Job, "work", {"spec": {"completions": 5, "parallelism": 5}}, "default")
    await world.until(lambda: has(5))
    await world.client.patch(batch_v1.Job, "work", {"spec": {"completions": 2, "parallelism": 2}}, "default")
    await world.until(lambda: has(2))


async def test_pods_are_replaced_only_when_they_are_gone_if_the_job_says_so(world):
    world.agent.script = lambda pod: None
    await world.create(batch_v1.Job, job(podReplacementPolicy="Failed"))

    async def running():
        return [p.status.phase for p in await world.pods()] == ["Running"]

    await world.until(running)
    (victim,) = await world.pods()
    await world.client.delete(core_v1.Pod, victim.metadata.name, "default")

    async def replaced():
        phases = [p.status.phase for p in await world.pods(all=True)]
        assert phases.count("Running") + phases.count("Pending") <= 1
        return running and victim.metadata.name not in await world.pod_names() and await running()

    await world.until(replaced)
    assert (await world.get(batch_v1.Job, "work")).status.failed == 1


@pytest.mark.parametrize("few", [0, 500])
async def test_orphans_are_adopted_and_strangers_released(world, monkeypatch, few):
    monkeypatch.setattr(claims, "FEW", few)
    world.agent.script = lambda pod: None
    await world.create(batch_v1.Job, job(parallelism=2, completions=2))

    async def two():
        return len(await world.pods()) == 2

    await world.until(two)
    first, second = await world.pods()
    await world.client.patch(core_v1.Pod, first.metadata.name, {"metadata": {"ownerReferences": None}}, "default")

    async def adopted():
        return bool((await world.get(core_v1.Pod, first.metadata.name)).metadata.ownerReferences)

    await world.until(adopted)
    labels = dict.fromkeys(second.metadata.labels)
    await world.client.patch(core_v1.Pod, second.metadata.name, {"metadata": {"labels": labels}}, "default")

    async def released():
        meta = (await world.get(core_v1.Pod, second.metadata.name)).metadata
        return not meta.ownerReferences and not meta.finalizers

    await world.until(released)
    await world.until(lambda: _count(world, 3))


async def _count(world, count):
    return len(await world.pods()) == count


async def test_a_deleted_job_takes_its_pods_along(world):
    world.agent.script = lambda pod: None
    await world.create(batch_v1.Job, job(parallelism=2, completions=2))
    await world.until(lambda: _count(world, 2))
    await world.client.delete(batch_v1.Job, "work", "default", propagation="Foreground")

    async def gone():
        return not await world.exists(batch_v1.Job, "work") and not await world.pods(all=True)

    await world.until(gone)


async def test_pods_of_an_orphaned_job_are_free(world):
    world.agent.script = lambda pod: None
    await world.create(batch_v1.Job, job(parallelism=2, completions=2))
    await world.until(lambda: _count(world, 2))
    await world.client.delete(batch_v1.Job, "work", "default", propagation="Orphan")

    async def free():
        pods = await world.pods()
        bare = not any(p.metadata.finalizers or p.metadata.ownerReferences for p in pods)
        return bare and len(pods) == 2 and not await world.exists(batch_v1.Job, "work")

    await world.until(free)


async def test_a_finished_job_goes_after_its_time(world):
    await world.create(batch_v1.Job, job(ttlSecondsAfterFinished=30))
    await ended(world)
    assert await world.exists(batch_v1.Job, "work")

    async def gone():
        return not await world.exists(batch_v1.Job, "work")

    await world.until(gone, 40)


async def test_a_job_that_others_manage_is_left_alone(world):
    await world.create(batch_v1.Job, job(name="other", managedBy="example.com/queue"))
    await world.create(batch_v1.Job, job())
    await ended(world)
    assert (await world.get(batch_v1.Job, "other")).status.startTime is None


def test_indexes_are_written_as_runs():
    assert indexes.render({1, 3, 4, 5, 7, 8}) == "1,3-5,7,8"
    assert indexes.parse("1,3-5,7,8") == {1, 3, 4, 5, 7, 8}
    assert indexes.parse("0-99", 3) == {0, 1, 2}
    assert indexes.render(set()) == ""
