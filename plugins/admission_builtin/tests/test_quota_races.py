"""Many writers, deletions and the controller that counts, all at once: the quota holds at every moment."""

import asyncio

import pytest

from bareboat.contracts.auth import UserInfo
from bareboat.controllers.quota.controller import ResourceQuotaController
from bareboat.models import core_v1
from bareboat.models.status import Forbidden
from bareboat.reconcile.controller import ControllerContext
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory
from bareboat_admission_builtin.quota.plugin import CONTROLLER

pytestmark = pytest.mark.virtual_time
LIMIT = 10


@pytest.fixture
async def counted(world):
    """A quota, and the controller under its own name."""
    kernel = world.kernel
    informers = InformerFactory(kernel.client)
    client = kernel.client_for(UserInfo(name=CONTROLLER, groups=("system:masters",)))
    events = EventRecorder(kernel.client, "quota", kernel.clock, kernel.ids)
    controller = ResourceQuotaController(ControllerContext(client, informers, kernel.clock, kernel.ids, events))
    tasks = [asyncio.ensure_future(run()) for run in (informers.run, controller.run)]
    await world.create(core_v1.ResourceQuota, {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": str(LIMIT)}}})
    while not (await quota(world)).status.used:
        await kernel.clock.sleep(0.1)
    yield world
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def quota(world):
    return await world.client.get(core_v1.ResourceQuota, "q", "default")


def there(world):
    return sum(1 for _ in world.kernel.log.scan("core/configmaps/default/"))


async def test_the_quota_holds_while_objects_come_and_go(counted):
    most, made, refused = 0, 0, 0

    async def churn(number):
        nonlocal most, made, refused
        for turn in range(20):
            name = f"m-{number}-{turn}"
            try:
                await counted.create(core_v1.ConfigMap, {"metadata": {"name": name}})
            except Forbidden:
                refused += 1
            else:
                made += 1
                most = max(most, there(counted))
                await counted.kernel.clock.sleep(0.2 * (1 + number % 4))
                await counted.client.delete(core_v1.ConfigMap, name, "default")
            await counted.kernel.clock.sleep(0.3)

    await asyncio.gather(*(churn(number) for number in range(25)))
    assert most == LIMIT
    assert refused > 0
    assert made > 3 * LIMIT  # what was deleted was given back in time
    await counted.kernel.clock.sleep(10)
    assert (await quota(counted)).status.used == {"configmaps": "0"}


async def test_a_reservation_whose_write_failed_is_given_back(counted):
    await counted.create(core_v1.ConfigMap, {"metadata": {"name": "m"}})
    for _ in range(5):
        assert (await counted.refused(counted.create(core_v1.ConfigMap, {"metadata": {"name": "m"}}))).code == 409
    await counted.kernel.clock.sleep(10)
    assert (await quota(counted)).status.used == {"configmaps": "1"}
