"""Service addresses on real namespaces: a client, two servers, and a node that routes and balances between them."""

import asyncio
import os
import subprocess
import uuid
from collections import Counter

import pytest

from bareboat.contracts import nftables
from bareboat.contracts.driver import NoOptions
from bareboat.contracts.proxy import Backend, ProxyState, ServicePort
from bareboat_proxy_nftables.contents import objects
from bareboat_proxy_nftables.plugin import NftablesProxy
from bareboat_proxy_nftables.ruleset import build, transaction

SERVER = (
    "import socket,sys; s=socket.create_server(('', 8080)); print('up', flush=True)\n"
    "while True:\n c,a=s.accept(); c.sendall((sys.argv[1]+' '+a[0]).encode()); c.close()"
)
CLIENT = (
    "import socket,sys\n"
    "for i in range(int(sys.argv[3])):\n"
    " try: print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).recv(99).decode())\n"
    " except OSError as e: print(type(e).__name__)"
)


def state(*services, nodes=("10.233.0.1",)):
    return ProxyState(services=services, node_addresses=nodes, pod_cidr="10.233.0.0/24", cluster_cidr="10.233.0.0/16")


def web(*hosts, **changes):
    backends = tuple(Backend(address=f"10.233.0.{h}", port=8080) for h in hosts)
    return ServicePort(
        **{
            "name": "default/web",
            "protocol": "TCP",
            "port": 80,
            "addresses": ("10.234.0.10",),
            "backends": backends,
            "external_backends": backends,
            "node_port": 30080,
            **changes,
        }
    )


def test_the_same_state_gives_the_same_rules_in_any_order():
    one, two = web(11, 12), web(11, name="default/other", addresses=("10.234.0.11",), node_port=0)
    assert build(state(one, two)) == build(state(two, one))


def test_a_service_without_endpoints_is_rejected_not_dropped():
    rules = build(state(web()))
    assert rules.rejected == ["10.234.0.10 . tcp . 80"]
    assert rules.services == []


def test_what_is_stale_is_deleted_in_the_same_transaction():
    text = transaction("t", build(state()), {"svc-old"}, {"aff-old"})
    assert text.index("flush chain ip t svc-old") < text.index("delete chain ip t svc-old")
    assert "delete set ip t aff-old" in text


@pytest.fixture
def pods():
    """A node (router) namespace with pods 11 and 12 as servers and 20 as client; all reach each other only through it."""
    tag = uuid.uuid4().hex[:6]
    router = f"bbr-{tag}"
    made = [router]

    def run(*command):
        subprocess.run(command, check=True)

    run("ip", "netns", "add", router)
    run("ip", "-n", router, "link", "set", "lo", "up")
    run("ip", "netns", "exec", router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    run("ip", "-n", router, "link", "add", "node0", "type", "bridge")
    run("ip", "-n", router, "addr", "add", "10.233.0.1/32", "dev", "node0")
    run("ip", "-n", router, "link", "set", "node0", "up")
    run("ip", "-n", router, "route", "add", "10.234.0.0/16", "dev", "node0")
    for host in (11, 12, 20):
        name = f"bbp{host}-{tag}"
        made.append(name)
        run("ip", "netns", "add", name)
        run("ip", "-n", router, "link", "add", f"v{host}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "-n", router, "link", "set", f"v{host}", "up")
        run("ip", "-n", router, "route", "add", f"10.233.0.{host}/32", "dev", f"v{host}")
        run("ip", "-n", name, "addr", "add", f"10.233.0.{host}/32", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "route", "add", "10.233.0.1/32", "dev", "eth0")
        run("ip", "-n", name, "route", "add", "default", "via", "10.233.0.1", "dev", "eth0")
    yield {0: router, **{host: f"bbp{host}-{tag}" for host in (11, 12, 20)}}
    for name in made:
        run("ip", "netns", "del", name)


@pytest.fixture
async def node(pods, monkeypatch):
    """The proxy of the node, its nft run inside the node's namespace, and two servers."""
    original = asyncio.create_subprocess_exec

    async def inside(*command, **options):
        return await original("ip", "netns", "exec", pods[0], *command, **options)

    class Host:
        instance = "testprox"

    monkeypatch.setattr(nftables.asyncio, "create_subprocess_exec", inside)
    servers = [
        subprocess.Popen(["ip", "netns", "exec", pods[h], "python3", "-c", SERVER, str(h)], stdout=subprocess.PIPE) for h in (11, 12)
    ]
    for server in servers:
        server.stdout.readline()
    proxy = NftablesProxy(NoOptions(), Host())
    yield proxy
    await proxy.teardown()
    for server in servers:
        server.kill()
        server.wait()
        server.stdout.close()


def calls(netns, address, port, times=1):
    command = ["ip", "netns", "exec", netns, "python3", "-c", CLIENT, address, str(port), str(times)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
class TestOnThisMachine:
    async def test_a_cluster_ip_is_balanced_and_keeps_the_client_address(self, node, pods):
        await node.sync(state(web(11, 12)))
        answers = Counter(calls(pods[20], "10.234.0.10", 80, 40))
        assert set(answers) == {"11 10.233.0.20", "12 10.233.0.20"}

    async def test_a_pod_reaches_itself_through_its_service(self, node, pods):
        await node.sync(state(web(11)))
        assert calls(pods[11], "10.234.0.10", 80) == ["11 10.233.0.1"]

    async def test_a_node_port_answers_on_the_node_address(self, node, pods):
        await node.sync(state(web(11, 12)))
        answers = calls(pods[20], "10.233.0.1", 30080, 5)
        assert all(a.split()[0] in ("11", "12") for a in answers)

    async def test_the_node_itself_reaches_a_cluster_ip(self, node, pods):
        await node.sync(state(web(12)))
        assert calls(pods[0], "10.234.0.10", 80)[0].startswith("12 ")

    async def test_affinity_keeps_a_client_with_its_endpoint_while_others_change(self, node, pods):
        await node.sync(state(web(11, 12, affinity_seconds=60)))
        (first,) = set(calls(pods[20], "10.234.0.10", 80, 10))
        chosen = int(first.split()[0])
        await node.sync(state(web(11, 12, affinity_seconds=60), web(11, name="x/y", addresses=("10.234.0.99",), node_port=0)))
        assert set(calls(pods[20], "10.234.0.10", 80, 10)) == {first}
        other = 23 - chosen
        await node.sync(state(web(other, affinity_seconds=60)))
        assert calls(pods[20], "10.234.0.10", 80)[0].startswith(str(other))

    async def test_a_service_without_endpoints_is_refused_at_once(self, node, pods):
        await node.sync(state(web(11)))
        await node.sync(state(web()))
        assert calls(pods[20], "10.234.0.10", 80) == ["ConnectionRefusedError"]

    async def test_source_ranges_keep_others_out(self, node, pods):
        await node.sync(state(web(11, external_addresses=("10.234.9.9",), source_ranges=("10.233.0.12/32",))))
        assert calls(pods[12], "10.234.9.9", 80)[0].startswith("11 ")
        assert calls(pods[20], "10.234.9.9", 80) == ["TimeoutError"]

    async def test_a_repeated_sync_changes_nothing_and_a_restart_takes_over(self, node, pods):
        wanted = state(web(11, 12, affinity_seconds=60))
        await node.sync(wanted)
        before = await objects("bareboat-testprox-proxy")
        successor = NftablesProxy(NoOptions(), node.host)
        await successor.sync(wanted)
        await successor.sync(wanted)
        assert await objects("bareboat-testprox-proxy") == before
        await successor.sync(state())
        chains, sets = await objects("bareboat-testprox-proxy")
        assert not any(name.startswith(("svc-", "ep-", "ext-", "aff-")) for name in chains | sets)

    async def test_teardown_leaves_no_table(self, node):
        await node.sync(state(web(11)))
        for _ in range(2):
            await node.teardown()
        _, tables, _ = await nftables.run("list", "tables")
        assert b"testprox" not in tables
