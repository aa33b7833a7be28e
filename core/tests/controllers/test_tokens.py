"""Tokens that live in Secrets: bootstrap tokens sign and expire, those of accounts are filled in and go with their account."""

import asyncio
import base64
from datetime import timedelta

import pytest

from bareboat.auth import detached
from bareboat.base.clock import rfc3339
from bareboat.controllers.tokens.accounts import NAME, UID, ServiceAccountTokenController
from bareboat.controllers.tokens.bootstrap import BootstrapSigner, TokenCleaner
from bareboat.models import core_v1

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench, monkeypatch):
    monkeypatch.setattr(ServiceAccountTokenController, "sign", lambda account, secret: f"token-of-{account.metadata.name}-{secret}")
    monkeypatch.setattr(ServiceAccountTokenController, "ca_pem", "CA")
    await bench.create(core_v1.Namespace, {"metadata": {"name": "kube-public"}})
    bench.agent.interval = 600
    await bench.start(TokenCleaner, BootstrapSigner, ServiceAccountTokenController)
    return bench


async def token(world, token_id="abcdef", seconds=None, **change):
    data = {"token-id": token_id, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true", **change}
    data |= {"expiration": rfc3339(world.kernel.clock.now() + timedelta(seconds=seconds))} if seconds else {}
    tree = {"metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"}, "type": "bootstrap.kubernetes.io/token"}
    return await world.create(core_v1.Secret, {**tree, "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}})


async def info(world):
    return (await world.get(core_v1.ConfigMap, "cluster-info", "kube-public")).data


async def test_every_signing_token_signs_what_everybody_may_read(world):
    await token(world)
    await token(world, "bbbbbb", **{"usage-bootstrap-signing": "false"})
    await world.create(core_v1.ConfigMap, {"metadata": {"name": "cluster-info", "namespace": "kube-public"}, "data": {"kubeconfig": "K"}})
    await asyncio.sleep(1)
    found = await info(world)
    assert set(found) == {"kubeconfig", "jws-kubeconfig-abcdef"}
    assert detached.verified(found["jws-kubeconfig-abcdef"], "K", "abcdef", "0123456789abcdef")
    await world.client.delete(core_v1.Secret, "bootstrap-token-abcdef", "kube-system")
    await asyncio.sleep(1)
    assert set(await info(world)) == {"kubeconfig"}


async def test_an_expired_token_goes_with_its_signature(world):
    await world.create(core_v1.ConfigMap, {"metadata": {"name": "cluster-info", "namespace": "kube-public"}, "data": {"kubeconfig": "K"}})
    await token(world, seconds=60)
    await asyncio.sleep(30)
    assert "jws-kubeconfig-abcdef" in await info(world)
    await asyncio.sleep(40)
    assert await world.exists(core_v1.Secret, "bootstrap-token-abcdef", "kube-system") is None
    assert set(await info(world)) == {"kubeconfig"}


async def account_secret(world, uid=None):
    notes = {NAME: "bot", **({UID: uid} if uid else {})}
    return await world.create(
        core_v1.Secret, {"metadata": {"name": "s", "annotations": notes}, "type": "kubernetes.io/service-account-token"}
    )


async def test_the_secret_of_an_account_is_filled(world):
    account = await world.create(core_v1.ServiceAccount, {"metadata": {"name": "bot"}})
    await account_secret(world)
    await asyncio.sleep(1)
    found = await world.get(core_v1.Secret, "s")
    assert found.metadata.annotations[UID] == account.metadata.uid
    plain = {key: base64.b64decode(value).decode() for key, value in found.data.items()}
    assert plain == {"token": "token-of-bot-s", "ca.crt": "CA", "namespace": "default"}


async def test_it_goes_with_its_account(world):
    await world.create(core_v1.ServiceAccount, {"metadata": {"name": "bot"}})
    await account_secret(world)
    await asyncio.sleep(1)
    await world.client.delete(core_v1.ServiceAccount, "bot", "default")
    await asyncio.sleep(1)
    assert await world.exists(core_v1.Secret, "s") is None


async def test_it_is_not_for_another_account_of_the_same_name(world):
    await world.create(core_v1.ServiceAccount, {"metadata": {"name": "bot"}})
    await account_secret(world, uid="of-the-former-one")
    await asyncio.sleep(1)
    assert await world.exists(core_v1.Secret, "s") is None
