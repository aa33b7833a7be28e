"""The VXLAN interface and its entries through netlink. Knows nothing of pods.

Every node's end of the tunnel has the first address of its pod range, and a link address made of it; so the entries for a peer
follow from its range and nobody has to ask. Every function makes the host equal to what is asked and may be repeated.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec

from bareboat.contracts.errors import Conflict
from bareboat_cni_bridge.links import index_of, netlink, remove

#: Bytes of Ethernet, IP, UDP and VXLAN headers around a pod's packet.
ENVELOPE = 50
_PERMANENT, _SELF, _ONLINK = 0x80, 0x02, 0x4

__all__ = ["ENVELOPE", "Endpoint", "ensure_peers", "ensure_tunnel", "is_up", "remove"]


class Endpoint(msgspec.Struct, frozen=True):
    """A node's end: its pod range, the address and the link address that follow from it."""

    cidr: str
    address: str
    mac: str

    @classmethod
    def of(cls, cidr: str) -> Endpoint:
        first = ipaddress.IPv4Network(cidr)[0]
        return cls(cidr, str(first), "02:bb:" + ":".join(f"{byte:02x}" for byte in first.packed))


async def is_up(name: str) -> bool:
    async with netlink() as ip:
        return bool(await index_of(ip, name))


async def ensure_tunnel(name: str, own: Endpoint, vni: int, port: int, mtu: int) -> int:
    """The interface with its addresses; the MTU that it has. Raises Conflict when another one has the VNI and port."""
    async with netlink() as ip:
        mtu = mtu or await _uplink_mtu(ip) - ENVELOPE
        index = await index_of(ip, name)
        if index and await _differs(ip, index, vni, port):
            await ip.link("del", index=index)
            index = 0
        if not index:
            taken = await _holder(ip, vni, port)
            if taken:
                raise Conflict(f"VXLAN network {vni} on UDP port {port} is {taken}'s on this machine: give this cluster another `vni`")
            await ip.link("add", ifname=name, kind="vxlan", vxlan_id=vni, vxlan_port=port, vxlan_learning=False, address=own.mac, mtu=mtu)
            index = await index_of(ip, name)
        await ip.link("set", index=index, address=own.mac, mtu=mtu, state="up")
        await ip.addr("replace", index=index, address=own.address, prefixlen=32)
        return mtu


async def ensure_peers(name: str, peers: dict[Endpoint, str]) -> None:
    """``peers``: the end of the tunnel → the node's address. Entries of others are removed."""
    async with netlink() as ip:
        index = await index_of(ip, name)
        for route in [r async for r in await ip.get_routes(oif=index)]:
            cidr = f"{route.get_attr('RTA_DST')}/{route['dst_len']}"
            if route.get_attr("RTA_GATEWAY") and cidr not in {p.cidr for p in peers}:
                await ip.route("del", dst=cidr, oif=index)
        await _forget(ip, index, {p.mac for p in peers})
        for peer, node in peers.items():
            await ip.fdb("replace", ifindex=index, lladdr=peer.mac, dst=node, state=_PERMANENT, flags=_SELF)
            await ip.neigh("replace", ifindex=index, dst=peer.address, lladdr=peer.mac, state=_PERMANENT)
            await ip.route("replace", dst=peer.cidr, gateway=peer.address, oif=index, flags=_ONLINK)


async def _forget(ip: Any, index: int, wanted: set[str]) -> None:
    for entry in [e async for e in await ip.get_neighbours(ifindex=index)]:
        if entry.get_attr("NDA_LLADDR") not in wanted:
            await ip.neigh("del", ifindex=index, dst=entry.get_attr("NDA_DST"), lladdr=entry.get_attr("NDA_LLADDR"))
    for entry in [e async for e in await ip.fdb("dump", ifindex=index)]:
        mac, node = entry.get_attr("NDA_LLADDR"), entry.get_attr("NDA_DST")
        if node and mac not in wanted:
            await ip.fdb("del", ifindex=index, lladdr=mac, dst=node, flags=_SELF)


async def _uplink_mtu(ip: Any) -> int:
    """Of the interface that leads to everywhere; Ethernet's where none does."""
    async for route in await ip.get_routes(dst_len=0, family=2):
        async for link in await ip.get_links(route.get_attr("RTA_OIF")):
            return int(link.get_attr("IFLA_MTU"))
    return 1500


def _settings(link: Any) -> tuple[int, int] | None:
    info = link.get_attr("IFLA_LINKINFO")
    if info is None or info.get_attr("IFLA_INFO_KIND") != "vxlan":
        return None
    data = info.get_attr("IFLA_INFO_DATA")
    return int(data.get_attr("IFLA_VXLAN_ID")), int(data.get_attr("IFLA_VXLAN_PORT"))


async def _differs(ip: Any, index: int, vni: int, port: int) -> bool:
    return (vni, port) not in [_settings(link) async for link in await ip.get_links(index)]


async def _holder(ip: Any, vni: int, port: int) -> str:
    async for link in await ip.get_links():
        if _settings(link) == (vni, port):
            return str(link.get_attr("IFLA_IFNAME"))
    return ""
