"""A refusal is not told before what it was decided on can be found."""

import asyncio

import pytest

from bareboat.contracts.errors import Exhausted
from bareboat.models import core_v1, meta_v1
from bareboat.models.status import AlreadyExists, Conflict, NotFound, ServiceUnavailable
from bareboat.store.memory import MemoryStore
from bareboat.testing.kernel import Kernel

pytestmark = pytest.mark.virtual_time


class SlowStore(MemoryStore):
    """Each commit takes a second. ``full``: and then it fails."""

    full = False

    async def append(self, rows):
        await asyncio.sleep(1)
        if self.full and rows:
            raise Exhausted("no space left")
        await super().append(rows)


@pytest.fixture
async def kernel():
    kernel = await Kernel(store=SlowStore()).start(["default"])
    yield kernel
    await kernel.stop()


def config(name="a", revision="", **data):
    return core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default", resourceVersion=revision), data=data)


async def under_way(kernel, write):
    """The write, begun but not durable."""
    task = asyncio.ensure_future(write)
    await asyncio.sleep(0.1)
    return task


async def test_a_conflict_with_a_write_under_way_is_told_when_that_is_durable(kernel):
    made = await kernel.client.create(config(x="1"))
    writing = await under_way(kernel, kernel.client.update(config(revision=made.metadata.resourceVersion, x="2")))
    with pytest.raises(Conflict):
        await kernel.client.update(config(revision=made.metadata.resourceVersion, x="3"))
    assert (await kernel.client.get(core_v1.ConfigMap, "a", "default")).data == {"x": "2"}
    await writing


async def test_who_comes_second_with_a_name_finds_the_object_of_the_first(kernel):
    writing = await under_way(kernel, kernel.client.create(config()))
    with pytest.raises(AlreadyExists):
        await kernel.client.create(config())
    assert await kernel.client.get(core_v1.ConfigMap, "a", "default")
    await writing


async def test_who_is_told_that_it_is_gone_does_not_find_it(kernel):
    await kernel.client.create(config())
    deleting = await under_way(kernel, kernel.client.delete(core_v1.ConfigMap, "a", "default"))
    with pytest.raises(NotFound):
        await kernel.client.delete(core_v1.ConfigMap, "a", "default")
    with pytest.raises(NotFound):
        await kernel.client.get(core_v1.ConfigMap, "a", "default")
    await deleting


async def test_when_what_it_was_decided_on_is_lost_nobody_is_refused_for_it(kernel):
    kernel.log.store.full = True
    writing = await under_way(kernel, kernel.client.create(config()))
    with pytest.raises(ServiceUnavailable):
        await kernel.client.create(config())
    with pytest.raises(ServiceUnavailable):
        await writing


async def test_a_dry_run_shows_nothing_that_is_not_durable(kernel):
    writing = await under_way(kernel, kernel.client.create(config()))
    status = await kernel.client.transport.request("DELETE", "/api/v1/namespaces/default/configmaps/a", query={"dryRun": "All"})
    assert status.status == 200
    assert await kernel.client.get(core_v1.ConfigMap, "a", "default")
    await writing
