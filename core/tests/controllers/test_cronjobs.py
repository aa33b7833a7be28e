"""CronJobs: a job at every moment, concurrency, deadlines, suspension, history."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bareboat.controllers.cronjob.controller import CronJobController
from bareboat.controllers.cronjob.times import due
from bareboat.controllers.garbage import GarbageCollector
from bareboat.controllers.job.controller import JobController
from bareboat.models import batch_v1
from bareboat.models.cron import parse
from bareboat.models.status import Invalid

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(CronJobController, JobController, GarbageCollector)
    bench.agent.script = lambda pod: 0
    return bench


def cronjob(schedule="*/1 * * * *", **spec):
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "host:1"}]}}
    template = {"metadata": {"labels": {"app": "tick"}}, "spec": {"template": pod}}
    return {"metadata": {"name": "tick"}, "spec": {"schedule": schedule, "jobTemplate": template, **spec}}


async def jobs(world):
    found = (await world.client.list(batch_v1.Job, "default")).items
    return sorted((j for j in found if not j.metadata.deletionTimestamp), key=lambda j: j.metadata.name)


async def test_a_job_starts_at_every_moment(world):
    await world.create(batch_v1.CronJob, cronjob(timeZone="Asia/Tokyo"))
    await asyncio.sleep(125)
    first, second = await jobs(world)
    minutes = int(datetime(2026, 1, 1, 0, 1, tzinfo=UTC).timestamp()) // 60
    assert [first.metadata.name, second.metadata.name] == [f"tick-{minutes}", f"tick-{minutes + 1}"]
    assert first.metadata.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] == "2026-01-01T09:01:00+09:00"
    assert first.metadata.labels == {"app": "tick"}
    assert first.metadata.ownerReferences[0].kind == "CronJob"
    status = (await world.get(batch_v1.CronJob, "tick")).status
    assert status.lastScheduleTime == "2026-01-01T00:02:00Z"
    await asyncio.sleep(20)
    status = (await world.get(batch_v1.CronJob, "tick")).status
    assert status.active == []
    assert status.lastSuccessfulTime >= "2026-01-01T00:02:00Z"
    assert {"SuccessfulCreate", "SawCompletedJob"} <= await world.reasons()


@pytest.mark.parametrize(("policy", "running"), [("Allow", [1, 2, 3]), ("Forbid", [1]), ("Replace", [3])])
async def test_jobs_that_take_long_run_as_the_policy_says(world, policy, running):
    world.agent.script = lambda pod: None
    await world.create(batch_v1.CronJob, cronjob(concurrencyPolicy=policy))
    await asyncio.sleep(200)
    minutes = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) // 60
    assert [int(j.metadata.name.split("-")[1]) - minutes for j in await jobs(world)] == running
    active = (await world.get(batch_v1.CronJob, "tick")).status.active
    assert [r.name for r in active] == [j.metadata.name for j in await jobs(world)]


async def test_a_suspended_cronjob_starts_nothing(world):
    await world.create(batch_v1.CronJob, cronjob(suspend=True))
    await asyncio.sleep(200)
    assert await jobs(world) == []


async def test_old_jobs_go(world):
    await world.create(batch_v1.CronJob, cronjob(successfulJobsHistoryLimit=2))
    await asyncio.sleep(60 * 6 + 20)
    assert len(await jobs(world)) == 2


async def test_a_bad_schedule_or_zone_is_refused(world):
    for wrong in (cronjob("61 * * * *"), cronjob("TZ=UTC 0 * * * *"), cronjob(timeZone="Mars/Olympus")):
        with pytest.raises(Invalid):
            await world.create(batch_v1.CronJob, wrong)


def test_the_newest_missed_moment_is_due():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    minutely = parse("* * * * *")
    found = due(minutely, start, None, start + timedelta(minutes=500, seconds=10))
    assert (found.moment, found.missed) == (start + timedelta(minutes=500), 500)
    assert due(parse("@every 7m"), start, None, start + timedelta(minutes=50)).moment == start + timedelta(minutes=49)
    assert due(minutely, start, None, start + timedelta(seconds=30)).moment is None
    late = start + timedelta(hours=12)
    assert due(parse("0 8 * * *"), start, None, late, 60).moment is None
    assert due(parse("0 8,20 * * 1-5"), start, start + timedelta(hours=8), start + timedelta(days=4)).moment == datetime(
        2026, 1, 2, 20, tzinfo=UTC
    )
