"""A driver in a process of its own: the rules of its contract hold, and its death is nobody else's."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from bareboat.cluster.isolation.child import Start
from bareboat.cluster.isolation.driver import isolated
from bareboat.contracts.errors import Conflict, DriverError
from bareboat.plugins.running import guarded
from bareboat.testing.cni_suite import NetworkSuite
from bareboat.testing.csi_fake import FakeStorage
from bareboat_cri_fake.plugin import FakeNetwork


def start(directory):
    return Start(target="bareboat_cri_fake.plugin:FakeNetwork", options={}, name="t", node="n1", instance="t1", state=str(directory))


class TestIsolatedFake(NetworkSuite):
    def make_driver(self, host):
        made = isolated(FakeNetwork, start(host.state_dir.parent / "isolated"))
        made.host = host
        return made

    def test_the_class_is_one_that_the_kernel_loads(self):
        """It is the kernel's own."""


async def test_a_driver_that_is_killed_is_begun_anew(tmp_path):
    made = []

    def make():
        made.append(isolated(FakeNetwork, start(tmp_path)))
        return made[-1]

    driver = guarded(FakeNetwork, "cni fake (d 1)", make, inline=True)
    await driver.open()
    suite = TestIsolatedFake()
    suite._made = []
    await driver.configure(suite.config())
    first = await driver.add(await suite.attachment("a"))
    memory = int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{made[0].pid}/smaps_rollup").read_text(), re.MULTILINE)[1]) // 1024
    assert memory < 60
    os.kill(made[0].pid, signal.SIGKILL)
    with pytest.raises(DriverError) as caught:
        for _ in range(3):
            await driver.add(await suite.attachment("b"))
    assert caught.value.reason in ("PluginDied", "Unavailable")
    assert not (await driver.status()).ready
    await asyncio.sleep(1.2)
    await driver.configure(suite.config())
    assert await driver.list_attachments() == {"a": first}, "what it had is there again"
    with pytest.raises(Conflict):
        await driver.add(type(await suite.attachment("a"))(container_id="a", netns="/other"))
    print(f"\nisolated driver: {memory} MB")
    await driver.close()


async def test_a_storage_driver_keeps_its_name_and_what_it_can_do(tmp_path):
    begin = Start(target="bareboat.testing.csi_fake:FakeStorage", options={}, name="t", node="n1", instance="t1", state=str(tmp_path))
    driver = guarded(FakeStorage, "csi fake (d 1)", lambda: isolated(FakeStorage, begin), inline=True)
    await driver.open()
    try:
        assert (driver.driver_name, driver.capabilities) == (FakeStorage.driver_name, FakeStorage.capabilities)
        assert (await driver.node_get_info()).node_id == "fake-n1"
    finally:
        await driver.close()
