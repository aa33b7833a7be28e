"""nftables keeps the rules of the proxy contract, in a network namespace of its own."""

import asyncio
import json
import os
import subprocess
import uuid

import pytest

from bareboat.contracts import nftables
from bareboat.testing.proxy_suite import ProxySuite
from bareboat_proxy_nftables.plugin import NftablesProxy


@pytest.fixture
def netns(monkeypatch):
    """Where every nft command of the test is run."""
    name = f"bbtest-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    original = asyncio.create_subprocess_exec

    async def inside(*command, **options):
        return await original("ip", "netns", "exec", name, *command, **options)

    monkeypatch.setattr(nftables.asyncio, "create_subprocess_exec", inside)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
class TestNftables(ProxySuite):
    driver_class = NftablesProxy

    @pytest.fixture(autouse=True)
    def _inside(self, netns):
        self.netns = netns

    async def rules(self, driver):
        command = ["ip", "netns", "exec", self.netns, "nft", "-j", "list", "ruleset"]
        listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["nftables"]
        return sorted(json.dumps(_plain(entry), sort_keys=True) for entry in listed if "metainfo" not in entry)


def _plain(value):
    """Without the numbers that nft gives to rules, and what sets remember for a while."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in ("handle", "expires")}
    return sorted((_plain(v) for v in value), key=str) if isinstance(value, list) else value
