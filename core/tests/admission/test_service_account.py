"""A pod's account: the one of every namespace may be on its way, any other is there or is not."""

import asyncio

import pytest

from bareboat.admission.builtin.service_account import ServiceAccount
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import Forbidden
from bareboat.testing.kernel import Kernel

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def client():
    kernel = await Kernel(admission=lambda reader, host: [ServiceAccount(reader)]).start()
    yield kernel.client
    await kernel.stop()


def pod(**spec):
    spec = {"containers": [{"name": "c", "image": "i"}], **spec}
    return from_tree(core_v1.Pod, {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})


def account(name):
    return from_tree(core_v1.ServiceAccount, {"metadata": {"name": name, "namespace": "default"}})


@pytest.mark.parametrize("after", [0.05, 0.5, 0.8])
async def test_a_pod_waits_for_the_default_account_of_a_new_namespace(client, after):
    asked = asyncio.ensure_future(client.create(pod()))
    await asyncio.sleep(after)
    assert not asked.done()
    await client.create(account("default"))
    made = await asked
    assert made.spec.serviceAccountName == "default"
    assert made.spec.volumes[0].projected is not None


async def test_it_does_not_wait_for_ever(client):
    began = asyncio.get_running_loop().time()
    with pytest.raises(Forbidden, match='error looking up service account default/default: serviceaccount "default" not found'):
        await client.create(pod())
    assert 0.8 < asyncio.get_running_loop().time() - began < 2


async def test_another_account_has_to_be_there(client):
    began = asyncio.get_running_loop().time()
    with pytest.raises(Forbidden, match="robot"):
        await client.create(pod(serviceAccountName="robot"))
    assert asyncio.get_running_loop().time() == began
