"""Leader election: one leads, another takes over, nobody works without the lease."""

import asyncio

import pytest

from bareboat.base.ids import SeededIds
from bareboat.models import coordination_v1
from bareboat.reconcile.election import Election
from bareboat.testing.kernel import Kernel
from bareboat.testing.shared_store import Hub, HubStore

pytestmark = pytest.mark.virtual_time


class Candidate:
    """Counts itself in ``working`` while it works."""

    def __init__(self, kernel, name, working):
        self.name, self.working, self.since = name, working, []
        self.client = kernel.client
        self.election = Election(kernel.client, "work", name, kernel.clock, SeededIds(ord(name)))
        self.task = None

    async def work(self):
        assert not self.working, f"{self.name} works beside {self.working}"
        self.working.add(self.name)
        self.since.append(now())
        try:
            await asyncio.Event().wait()
        finally:
            self.working.discard(self.name)

    def start(self):
        self.task = asyncio.ensure_future(self.election.run(self.work))

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def lease(self):
        return await self.client.get(coordination_v1.Lease, "work", "kube-system")


def now():
    return asyncio.get_running_loop().time()


@pytest.fixture
async def hub():
    return Hub()


@pytest.fixture
async def candidates(hub):
    working = set()
    kernels = [await Kernel(store=HubStore(hub), ids=SeededIds(i)).start() for i in range(3)]
    found = [Candidate(kernel, name, working) for kernel, name in zip(kernels, "abc", strict=True)]
    found[0].start()
    await asyncio.sleep(1)
    for candidate in found[1:]:
        candidate.start()
    await asyncio.sleep(5)
    yield found
    hub.down = False
    await asyncio.sleep(2)
    for candidate in found:
        await candidate.stop()
    for kernel in kernels:
        await kernel.stop()


async def test_one_leads_and_renews_every_two_seconds(candidates):
    first = candidates[0]
    assert first.working == {"a"}
    before = (await first.lease()).spec
    await asyncio.sleep(60)
    after = (await first.lease()).spec
    assert (after.holderIdentity, after.leaseDurationSeconds, after.leaseTransitions) == ("a", 15, 0)
    assert after.acquireTime == before.acquireTime
    assert after.renewTime > before.renewTime
    assert first.working == {"a"}


async def test_a_leader_that_stops_lets_go_at_once(candidates):
    first = candidates[0]
    await first.stop()
    stopped = now()
    await asyncio.sleep(6)
    (then,) = [c.since[0] for c in candidates[1:] if c.since]
    assert then - stopped < 5
    assert (await first.lease()).spec.leaseTransitions == 1


async def test_when_the_leader_is_gone_another_takes_over_when_the_lease_has_run_out(candidates):
    first = candidates[0]
    first.election._release = lambda: asyncio.sleep(0)  # killed: nothing is let go
    await first.stop()
    gone = now()
    await asyncio.sleep(25)
    (then,) = [c.since[0] for c in candidates[1:] if c.since]
    assert 12.5 < then - gone < 17.5


async def test_a_leader_that_cannot_renew_stops_before_its_lease_has_run_out(candidates, hub):
    first = candidates[0]
    hub.down = True
    await asyncio.sleep(13)
    assert not first.working
    hub.down = False
    await asyncio.sleep(30)
    assert len(first.working) == 1


async def test_a_leader_whose_lease_was_taken_stops(candidates):
    first = candidates[0]
    found = await first.lease()
    found.spec.holderIdentity = "somebody"
    await first.client.update(found)
    await asyncio.sleep(13)
    assert not first.working


async def test_work_that_ends_is_tried_again(candidates):
    for candidate in candidates:
        await candidate.stop()
    ended = []

    async def once():
        ended.append(now())

    candidates[0].work = once
    candidates[0].start()
    await asyncio.sleep(12)
    assert len(ended) > 1
