"""Network policies on real namespaces: a node that routes, three pods, and what passes between them."""

import asyncio
import os
import subprocess
import uuid

import pytest

from bareboat.contracts.driver import NoOptions
from bareboat.contracts.errors import Unavailable
from bareboat.contracts.netpolicy import AddressSet, Block, IsolatedPod, PolicyState, PortRange, Rule
from bareboat_netpol_nftables import nft
from bareboat_netpol_nftables.plugin import NftablesPolicies
from bareboat_netpol_nftables.ruleset import ruleset

HOSTS = (11, 12, 20)
SERVER = (
    "import socket,sys,threading\n"
    "def tcp(p):\n"
    " s=socket.create_server(('', p))\n"
    " while True: c,_=s.accept(); c.sendall(b'yes'); c.close()\n"
    "def udp(p):\n"
    " s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', p))\n"
    " while True: s.sendto(b'yes', s.recvfrom(9)[1])\n"
    "for p in (8080, 8081, 8090): threading.Thread(target=tcp, args=(p,)).start(); threading.Thread(target=udp, args=(p,)).start()\n"
    "import time; time.sleep(0.3); print('up', flush=True)\n"
)
CLIENT = (
    "import socket,sys\n"
    "s=socket.socket(socket.AF_INET, socket.SOCK_STREAM if sys.argv[3]=='tcp' else socket.SOCK_DGRAM); s.settimeout(0.4)\n"
    "try:\n"
    " s.connect((sys.argv[1], int(sys.argv[2])))\n"
    " if sys.argv[3]=='udp': s.send(b'?')\n"
    " print(s.recv(9).decode())\n"
    "except OSError: print('no')\n"
)


def address(host):
    return f"10.235.0.{host}"


def pod(host, **rules):
    return IsolatedPod(name=f"default/p{host}", address=address(host), **rules)


def tcp(first, last=0):
    return PortRange(protocol="TCP", first=first, last=last or first)


def test_the_same_state_gives_the_same_text():
    state = PolicyState(pods=(pod(11, ingress=(Rule(anyone=True, ports=(tcp(80),)),)),))
    assert ruleset("t", state) == ruleset("t", state)


def test_without_isolated_pods_no_table_is_left():
    assert ruleset("t", PolicyState()).split("\n") == ["table ip t {}", "delete table ip t", ""]


@pytest.fixture(scope="module")
def lab():
    """A node (0) and three pods behind it that serve TCP and UDP on 8080, 8081 and 8090; the node serves too."""
    tag = uuid.uuid4().hex[:6]
    names = {0: f"bbr-{tag}", **{host: f"bbp{host}-{tag}" for host in HOSTS}}

    def run(*command):
        subprocess.run(command, check=True)

    for name in names.values():
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "netns", "exec", names[0], "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    run("ip", "-n", names[0], "addr", "add", f"{address(1)}/32", "dev", "lo")
    for host in HOSTS:
        run("ip", "-n", names[0], "link", "add", f"v{host}", "type", "veth", "peer", "name", "eth0", "netns", names[host])
        run("ip", "-n", names[0], "link", "set", f"v{host}", "up")
        run("ip", "-n", names[0], "route", "add", f"{address(host)}/32", "dev", f"v{host}")
        run("ip", "-n", names[host], "addr", "add", f"{address(host)}/32", "dev", "eth0")
        run("ip", "-n", names[host], "link", "set", "eth0", "up")
        run("ip", "-n", names[host], "route", "add", f"{address(1)}/32", "dev", "eth0")
        run("ip", "-n", names[host], "route", "add", "default", "via", address(1), "dev", "eth0")
    servers = [subprocess.Popen(["ip", "netns", "exec", name, "python3", "-c", SERVER], stdout=subprocess.PIPE) for name in names.values()]
    for server in servers:
        server.stdout.readline()
    yield names
    for server in servers:
        server.kill()
        server.wait()
        server.stdout.close()
    for name in names.values():
        run("ip", "netns", "del", name)


@pytest.fixture
async def driver(lab, monkeypatch):
    original = asyncio.create_subprocess_exec

    async def inside(*command, **options):
        return await original("ip", "netns", "exec", lab[0], *command, **options)

    class Host:
        instance = "testpol"

    monkeypatch.setattr(nft.asyncio, "create_subprocess_exec", inside)
    found = NftablesPolicies(NoOptions(), Host())
    yield found
    await found.teardown()


@pytest.fixture
def reaches(lab):
    def ask(source, target, port=8080, protocol="tcp"):
        command = ["ip", "netns", "exec", lab[source], "python3", "-c", CLIENT, address(target), str(port), protocol]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "yes"

    return ask


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
class TestOnThisMachine:
    async def test_an_isolated_pod_is_reached_by_its_node_and_itself_alone(self, driver, reaches):
        assert reaches(20, 11)
        await driver.sync(PolicyState(pods=(pod(11, ingress=()),)))
        assert not reaches(20, 11)
        assert not reaches(20, 11, protocol="udp")
        assert reaches(0, 11)
        assert reaches(11, 11)
        assert reaches(11, 20), "egress is not isolated, and replies pass"
        assert reaches(20, 12)

    async def test_a_set_of_pods_and_ports_is_let_in(self, driver, reaches):
        rule = Rule(sets=("a" * 16,), ports=(tcp(8080), tcp(8085, 8095)))
        await driver.sync(PolicyState(pods=(pod(11, ingress=(rule,)),), sets=(AddressSet(name="a" * 16, addresses=(address(12),)),)))
        assert reaches(12, 11, 8080)
        assert reaches(12, 11, 8090)
        assert not reaches(12, 11, 8081)
        assert not reaches(12, 11, 8080, "udp")
        assert not reaches(20, 11, 8080)

    async def test_a_set_may_be_empty_and_change(self, driver, reaches):
        isolated = (pod(11, ingress=(Rule(sets=("b" * 16,)),)),)
        await driver.sync(PolicyState(pods=isolated, sets=(AddressSet(name="b" * 16),)))
        assert not reaches(12, 11)
        await driver.sync(PolicyState(pods=isolated, sets=(AddressSet(name="b" * 16, addresses=(address(12),)),)))
        assert reaches(12, 11)

    async def test_a_block_lets_in_all_but_what_it_excepts(self, driver, reaches):
        block = Block(cidr="10.235.0.0/24", excepted=(f"{address(20)}/32",))
        await driver.sync(PolicyState(pods=(pod(11, ingress=(Rule(blocks=(block,)),)),)))
        assert reaches(12, 11)
        assert not reaches(20, 11)
        everywhere = Block(cidr="0.0.0.0/0", excepted=(f"{address(12)}/32",))
        await driver.sync(PolicyState(pods=(pod(11, ingress=(Rule(blocks=(everywhere,)),)),)))
        assert not reaches(12, 11)
        assert reaches(20, 11)

    async def test_egress_holds_for_pods_and_for_the_node(self, driver, reaches):
        rule = Rule(blocks=(Block(cidr=f"{address(12)}/32"),), ports=(tcp(0),))
        await driver.sync(PolicyState(pods=(pod(11, egress=(rule,)),)))
        assert reaches(11, 12)
        assert not reaches(11, 12, protocol="udp")
        assert not reaches(11, 20)
        assert not reaches(11, 1), "the node is somewhere else, too"
        assert reaches(20, 11)
        await driver.sync(PolicyState(pods=(pod(11, egress=(Rule(blocks=(Block(cidr=f"{address(1)}/32"),), ports=(tcp(8081),)),)),)))
        assert reaches(11, 1, 8081)
        assert not reaches(11, 1, 8080)

    async def test_what_the_node_answers_for_a_service_is_matched_by_either_address(self, driver, reaches, lab):
        rules = "table ip svc { chain p { type nat hook prerouting priority -100; ip daddr 10.235.0.99 tcp dport 80 dnat to 10.235.0.1:8080; }; }"
        subprocess.run(["ip", "netns", "exec", lab[0], "nft", rules], check=True)
        try:
            for asked, port in (("10.235.0.99/32", 80), (f"{address(1)}/32", 8080)):
                await driver.sync(PolicyState(pods=(pod(11, egress=(Rule(blocks=(Block(cidr=asked),), ports=(tcp(port),)),)),)))
                assert reaches(11, 99, 80)
            await driver.sync(PolicyState(pods=(pod(11, egress=()),)))
            assert not reaches(11, 99, 80)
        finally:
            subprocess.run(["ip", "netns", "exec", lab[0], "nft", "delete", "table", "ip", "svc"], check=True)

    async def test_sender_and_receiver_must_both_agree(self, driver, reaches):
        both = (pod(11, egress=(Rule(anyone=True),)), pod(12, ingress=()))
        await driver.sync(PolicyState(pods=both))
        assert not reaches(11, 12)
        await driver.sync(PolicyState(pods=(both[0], pod(12, ingress=(Rule(anyone=True),)))))
        assert reaches(11, 12)

    async def test_a_new_process_takes_over_and_the_end_leaves_no_table(self, driver, reaches, lab):
        await driver.sync(PolicyState(pods=(pod(11, ingress=()),)))
        other = NftablesPolicies(NoOptions(), driver.host)
        await other.sync(PolicyState())
        assert reaches(20, 11)
        await driver.teardown()
        await driver.teardown()
        listed = subprocess.run(["ip", "netns", "exec", lab[0], "nft", "list", "tables"], capture_output=True, text=True, check=True)
        assert listed.stdout == ""

    async def test_what_nft_refuses_is_said_and_changes_nothing(self, driver, reaches):
        await driver.sync(PolicyState(pods=(pod(11, ingress=()),)))
        with pytest.raises(Unavailable, match="nft refused the rules"):
            await driver.sync(PolicyState(pods=(pod(11, ingress=(Rule(sets=("c" * 16,)),)),)))
        assert not reaches(20, 11)
