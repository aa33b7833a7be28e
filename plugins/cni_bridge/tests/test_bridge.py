"""The bridge network on real namespaces: pods reach each other and the node, and nothing is left behind."""

import asyncio
import os
import subprocess
import uuid
from pathlib import Path

import pytest

from bareboat.contracts.cni import Attachment, NetworkConfig
from bareboat.contracts.cri import PortMapping
from bareboat.contracts.errors import Conflict, Exhausted, InvalidConfig, NotFound
from bareboat_cni_bridge.addresses import AddressBook
from bareboat_cni_bridge.options import BridgeOptions
from bareboat_cni_bridge.plugin import BridgeNetwork

CONFIG = NetworkConfig(pod_cidr="10.231.7.0/24", cluster_cidr="10.231.0.0/16", service_cidr="10.232.0.0/16")


class HostDirectories:
    def __init__(self, path, instance):
        self.node_name, self.instance = "n1", instance
        self.state_dir = self.runtime_dir = path


def attachment(name, netns="/run/netns/none", ports=()):
    return Attachment(container_id=name, netns=netns, ports=ports)


class TestAddresses:
    def test_an_address_is_kept_over_a_restart_and_given_once(self, tmp_path):
        book = AddressBook(tmp_path / "a.json")
        book.use("10.1.0.0/29")
        first = book.take("a/eth0", attachment("a"), "bva")
        again = AddressBook(tmp_path / "a.json")
        assert again.leases["a/eth0"] == first
        assert again.take("a/eth0", attachment("a"), "bva").address == first.address
        assert again.take("b/eth0", attachment("b"), "bvb").address != first.address

    def test_a_full_pool_says_so_and_a_released_address_comes_back(self, tmp_path):
        book = AddressBook(tmp_path / "a.json")
        book.use("10.1.0.0/29")
        for i in range(5):
            book.take(f"{i}/eth0", attachment(str(i)), f"bv{i}")
        with pytest.raises(Exhausted) as caught:
            book.take("x/eth0", attachment("x"), "bvx")
        assert caught.value.reason == "AddressesExhausted"
        book.release("2/eth0")
        assert book.take("x/eth0", attachment("x"), "bvx").address == "10.1.0.4"

    def test_a_changed_or_bad_pool_is_refused(self, tmp_path):
        book = AddressBook(tmp_path / "a.json")
        with pytest.raises(InvalidConfig):
            book.use("10.1.0.1/8")
        book.use("10.1.0.0/24")
        book.take("a/eth0", attachment("a"), "bva")
        with pytest.raises(InvalidConfig, match="while 1 addresses are in use"):
            book.use("10.2.0.0/24")


@pytest.fixture
async def network(tmp_path):
    driver = BridgeNetwork(BridgeOptions(), HostDirectories(tmp_path, uuid.uuid4().hex[:8]))
    await driver.open()
    yield driver
    await driver.teardown()


@pytest.fixture
def namespaces():
    made = []

    def make():
        name = f"bbtest-{uuid.uuid4().hex[:8]}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        made.append(name)
        return f"/run/netns/{name}"

    yield make
    for name in made:
        subprocess.run(["ip", "netns", "del", name], check=True)


SERVER = "import socket; s=socket.create_server(('', 8080)); print('up', flush=True)\nwhile True:\n c,a=s.accept(); c.sendall(a[0].encode()); c.close()"
CLIENT = "import socket,sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).recv(99).decode())"


async def serve(netns):
    process = await asyncio.create_subprocess_exec("nsenter", f"--net={netns}", "python3", "-c", SERVER, stdout=asyncio.subprocess.PIPE)
    await process.stdout.readline()
    return process


async def call(address, port, netns=None):
    inside = ["nsenter", f"--net={netns}"] if netns else []
    process = await asyncio.create_subprocess_exec(*inside, "python3", "-c", CLIENT, address, str(port), stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode().strip()


def count_leftovers(network, *containers):
    """Links and tables of this network; others may have theirs on the machine."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    instance = network.host.instance
    return links.count(instance) + sum(links.count(network._interface(f"{c}/eth0")) for c in containers) + tables.count(instance)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
class TestOnThisMachine:
    async def test_pods_reach_each_other_with_their_own_addresses(self, network, namespaces):
        await network.configure(CONFIG)
        one, two = namespaces(), namespaces()
        a = await network.add(attachment("a", one))
        b = await network.add(attachment("b", two))
        server = await serve(two)
        try:
            assert await call(b.ips[0].split("/")[0], 8080, one) == a.ips[0].split("/")[0]
            assert await call(b.ips[0].split("/")[0], 8080) == "10.231.7.1"
        finally:
            server.kill()
            await server.wait()

    async def test_a_host_port_leads_to_its_pod(self, network, namespaces):
        await network.configure(CONFIG)
        netns = namespaces()
        await network.add(attachment("a", netns, (PortMapping(container_port=8080, host_port=18099),)))
        server = await serve(netns)
        try:
            assert await call("10.231.7.1", 18099)
            await network.delete("a")
            assert await call("10.231.7.1", 18099) == ""
        finally:
            server.kill()
            await server.wait()

    async def test_every_verb_may_be_repeated(self, network, namespaces):
        netns = namespaces()
        for _ in range(3):
            await network.configure(CONFIG)
        results = [await network.add(attachment("a", netns)) for _ in range(3)]
        assert results[0] == results[1] == results[2]
        with pytest.raises(Conflict):
            await network.add(attachment("a", "/run/netns/other"))
        await network.check(attachment("a", netns))
        for _ in range(3):
            await network.delete("a")
        with pytest.raises(NotFound):
            await network.check(attachment("a", netns))

    async def test_a_new_process_knows_the_attachments_and_collects_the_rest(self, network, namespaces, tmp_path):
        await network.configure(CONFIG)
        kept, gone = namespaces(), namespaces()
        await network.add(attachment("kept", kept))
        await network.add(attachment("gone", gone))
        successor = BridgeNetwork(BridgeOptions(), HostDirectories(tmp_path, network.host.instance))
        assert set(await successor.list_attachments()) == {"kept", "gone"}
        await successor.configure(CONFIG)
        await successor.gc(frozenset({"kept"}))
        assert set(await successor.list_attachments()) == {"kept"}
        await successor.check(attachment("kept", kept))
        await network.delete("gone")

    async def test_deleting_after_the_namespace_is_gone_succeeds(self, network):
        await network.configure(CONFIG)
        name = f"bbtest-{uuid.uuid4().hex[:8]}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        await network.add(attachment("a", f"/run/netns/{name}"))
        subprocess.run(["ip", "netns", "del", name], check=True)
        await network.delete("a")
        assert await network.list_attachments() == {}

    async def test_an_unknown_namespace_is_not_found(self, network):
        await network.configure(CONFIG)
        with pytest.raises(NotFound):
            await network.add(attachment("a", "/run/netns/no-such"))

    async def test_teardown_leaves_nothing(self, network, namespaces):
        before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
        await network.configure(CONFIG)
        await network.add(attachment("a", namespaces()))
        for _ in range(2):
            await network.teardown()
        assert count_leftovers(network, "a") == 0
        assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == before

    async def test_before_it_is_configured_it_is_not_ready(self, network):
        assert not (await network.status()).ready
        await network.configure(CONFIG)
        assert (await network.status()).ready
