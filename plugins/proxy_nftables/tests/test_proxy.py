"""Service addresses on real namespaces: a client, two servers, and a node that routes and balances between them."""

import asyncio
import logging
import os
import subprocess
import uuid
from collections import Counter
from functools import partial

import pytest

from bareboat.contracts import nftables
from bareboat.contracts.driver import NoOptions
from bareboat.contracts.proxy import Backend, ProxyState, ServicePort
from bareboat_proxy_nftables import driver, flows
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
        instance, log = "testprox", logging.getLogger("test")
        blocking = staticmethod(asyncio.to_thread)

    monkeypatch.setattr(nftables.asyncio, "create_subprocess_exec", inside)
    monkeypatch.setattr(driver, "forget_stale", partial(flows.forget_stale, netns=pods[0]))
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


def names(*hosts, **changes):
    """A Service for datagrams."""
    backends = tuple(Backend(address=f"10.233.0.{h}", port=5300) for h in hosts)
    fixed = {"name": "default/names", "protocol": "UDP", "port": 53, "node_port": 30053}
    return web(**{**fixed, "backends": backends, "external_backends": backends, **changes})


class Process:
    """Python in a network namespace, which says that it is there."""

    def __init__(self, netns, script, *arguments):
        command = ["ip", "netns", "exec", netns, "python3", "-uc", script, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "up\n"

    def close(self):
        self.process.kill()
        self.process.communicate()


class Answering(Process):
    def __init__(self, netns, said):
        script = (
            "import socket,sys; s=socket.socket(2,2); s.bind(('',5300)); print('up')\n"
            "while 1: s.sendto(sys.argv[1].encode(), s.recvfrom(9)[1])"
        )
        super().__init__(netns, script, said)


class Asking(Process):
    def __init__(self, netns, address, port):
        script = (
            "import socket,sys; s=socket.socket(2,2); s.bind(('',4000)); s.settimeout(3); print('up')\n"
            "for _ in sys.stdin:\n"
            " try: s.sendto(b'?', (sys.argv[1], int(sys.argv[2]))); print(s.recv(9).decode())\n"
            " except OSError: print()"
        )
        super().__init__(netns, script, address, str(port))

    def answers(self, times):
        found = []
        for _ in range(times):
            self.process.stdin.write("ask\n")
            self.process.stdin.flush()
            found.append(self.process.stdout.readline().strip())
        return found


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

    @pytest.mark.parametrize(("address", "port"), [("10.234.0.10", 53), ("10.233.0.1", 30053)], ids=["cluster IP", "node port"])
    async def test_a_client_that_goes_on_sending_datagrams_finds_the_endpoint_that_follows(self, node, pods, address, port):
        """From one port of its own, so that the kernel takes it for one flow."""
        answering = [Answering(pods[h], str(h)) for h in (11, 12)]
        client = Asking(pods[20], address, port)
        try:
            await node.sync(state(names(11)))
            assert client.answers(1) == ["11"]
            other = names(11, name="default/other", addresses=("10.234.0.77",), node_port=0)
            await node.sync(state(names(11), other))
            assert client.answers(1) == ["11"], "what has not changed goes on"
            await node.sync(state(names(12), other))
            assert client.answers(3) == ["12"] * 3
            await node.sync(state(names(), other))
            assert client.answers(1) == [""]
            await node.sync(state(names(11, 12), other))
            assert client.answers(2)[0] in ("11", "12")
        finally:
            for one in (*answering, client):
                one.close()

    async def test_teardown_leaves_no_table(self, node):
        await node.sync(state(web(11)))
        for _ in range(2):
            await node.teardown()
        _, tables, _ = await nftables.run("list", "tables")
        assert b"testprox" not in tables
