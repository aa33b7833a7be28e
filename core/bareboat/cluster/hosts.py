"""Several nodes on one machine: a network namespace per node, joined by one bridge on the machine.

    bb<instance> (bridge, 172.30.X.1/24)  ──veth──  n1: eth0 172.30.X.11
                                          ──veth──  n2: eth0 172.30.X.12 …

The bridge's address is where the nodes reach the API server; traffic of the nodes to the outside is masqueraded by the
machine only if it forwards already: nothing of the machine's own configuration is changed but forwarding on the bridge.
pyroute2 does the work; ``remove`` undoes all of it and may be called at any time, any number of times.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bareboat.cluster.errors import ClusterError
from bareboat.cluster.layout import Layout


class Hosts:
    """The node hosts of one cluster on this machine."""

    def __init__(self, layout: Layout, network: str = "") -> None:
        self.instance = layout.instance()
        self.bridge = f"bb{self.instance}"
        self._first = int(self.instance[:2], 16)
        self.network = ipaddress.IPv4Network(network or f"172.30.{self._first}.0/24")

    def choose(self, taken: Sequence[ipaddress.IPv4Network]) -> str:
        """A network that overlaps nothing that the machine has a route to. Raises ClusterError."""
        octets = [*range(self._first, 256), *range(self._first)]
        candidates = (ipaddress.IPv4Network(f"172.{second}.{third}.0/24") for second in (30, 29, 28) for third in octets)
        free = next((c for c in candidates if not any(c.overlaps(t) for t in taken)), None)
        if free is None:
            raise ClusterError("no free network among 172.28.0.0/16 … 172.30.0.0/16 for the hosts of nodes")
        self.network = free
        return str(free)

    @property
    def gateway(self) -> str:
        return str(self.network[1])

    def netns(self, node: str) -> str:
        return f"bareboat-{self.instance}-{node}"

    def free_address(self, taken: set[str]) -> str:
        """For one more node; at most 240. Raises ClusterError."""
        free = next((str(a) for a in list(self.network.hosts())[10:250] if str(a) not in taken), "")
        if not free:
            raise ClusterError(f"{self.network} has no address left for another node on this machine")
        return free

    def create(self, nodes: list[tuple[str, str]]) -> None:
        """Make bridge, namespaces and links of nodes with their addresses; what exists is kept."""
        from pyroute2 import IPRoute

        with IPRoute() as ip:
            bridge = self._bridge(ip)
            for node, address in nodes:
                self._join(ip, bridge, node, address)

    def _bridge(self, ip: Any) -> int:
        found = ip.link_lookup(ifname=self.bridge)
        if not found:
            ip.link("add", ifname=self.bridge, kind="bridge")
            found = ip.link_lookup(ifname=self.bridge)
            ip.addr("add", index=found[0], address=self.gateway, prefixlen=24)
        ip.link("set", index=found[0], state="up")
        Path(f"/proc/sys/net/ipv4/conf/{self.bridge}/forwarding").write_text("1")
        return int(found[0])

    def _join(self, ip: Any, bridge: int, node: str, address: str) -> None:
        from pyroute2 import NetNS, netns

        name = self.netns(node)
        if name in netns.listnetns():
            return
        netns.create(name)
        outside = f"bh{self.instance[:6]}{address.rpartition('.')[2]}"
        ip.link("add", ifname=outside, kind="veth", peer={"ifname": "eth0", "net_ns_fd": name})
        link = ip.link_lookup(ifname=outside)[0]
        ip.link("set", index=link, master=bridge, state="up")
        with NetNS(name) as inside:
            eth0 = inside.link_lookup(ifname="eth0")[0]
            inside.addr("add", index=eth0, address=address, prefixlen=24)
            inside.link("set", index=inside.link_lookup(ifname="lo")[0], state="up")
            inside.link("set", index=eth0, state="up")
            inside.route("add", dst="default", gateway=self.gateway)

    def route(self, nodes: dict[str, str]) -> None:
        """This machine reaches the pods of every node: range → address of the node. What is there is replaced; ranges of nodes that
        are gone are dropped."""
        from pyroute2 import IPRoute

        with IPRoute() as ip:
            bridge = ip.link_lookup(ifname=self.bridge)[0]
            for cidr, address in nodes.items():
                ip.route("replace", dst=cidr, gateway=address, oif=bridge)
            for cidr in self._routed(ip, bridge) - set(nodes):
                ip.route("del", dst=cidr, oif=bridge)

    def _routed(self, ip: Any, bridge: int) -> set[str]:
        found = set()
        for route in ip.get_routes(family=2, oif=bridge):
            if route.get_attr("RTA_GATEWAY") and route.get_attr("RTA_DST"):
                found.add(f"{route.get_attr('RTA_DST')}/{route['dst_len']}")
        return found

    def remove_node(self, node: str, address: str) -> None:
        """Its namespace, its link and the routes through it."""
        from pyroute2 import IPRoute, netns

        if self.netns(node) in netns.listnetns():
            netns.remove(self.netns(node))
        with IPRoute() as ip:
            for bridge in ip.link_lookup(ifname=self.bridge):
                for route in ip.get_routes(family=2, oif=bridge):
                    if route.get_attr("RTA_GATEWAY") == address:
                        ip.route("del", dst=f"{route.get_attr('RTA_DST')}/{route['dst_len']}", oif=bridge)

    def remove(self) -> None:
        """Delete the namespaces (their links go with them) and the bridge."""
        from pyroute2 import IPRoute, netns

        for name in netns.listnetns():
            if name.startswith(f"bareboat-{self.instance}-"):
                netns.remove(name)
        with IPRoute() as ip:
            for link in ip.link_lookup(ifname=self.bridge):
                ip.link("del", index=link)


def primary_address() -> str:
    """The machine's address towards the default route; 127.0.0.1 on a machine without one. Nothing is sent."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
