"""Bridge, veth pairs, addresses and routes through netlink (pyroute2's asyncio classes). Knows nothing of pods or pools.

Every function makes the host equal to what is asked and may be repeated.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bareboat.contracts.errors import NotFound, Unavailable
from bareboat_cni_bridge.namespaces import inside

#: Route scope "link" (rtnetlink(7)).
SCOPE_LINK = 253
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


@asynccontextmanager
async def netlink() -> AsyncIterator[Any]:
    """In the namespace of the calling thread. pyroute2 takes 0.3 s to import: whoever only looks at the plugin is spared it."""
    from pyroute2 import AsyncIPRoute, NetlinkError

    try:
        async with AsyncIPRoute() as ip:
            yield ip
    except NetlinkError as error:
        raise Unavailable(f"netlink: {error}", reason="NetlinkFailed") from error


async def index_of(ip: Any, name: str) -> int:
    """0 if there is no such link. Asked for by name: a list of all links may lack some while others come and go."""
    from pyroute2 import NetlinkError

    try:
        found = await ip.link("get", ifname=name)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return 0
        raise
    return int(found[0]["index"])


async def ensure_bridge(name: str, gateway: str, prefix: int, mtu: int, service_cidr: str) -> None:
    """The bridge with its address, and the route of the Service range into it."""
    async with netlink() as ip:
        if not await index_of(ip, name):
            await ip.link("add", ifname=name, kind="bridge")
        index = await index_of(ip, name)
        await ip.addr("replace", index=index, address=gateway, prefixlen=prefix)
        await ip.link("set", index=index, state="up", **({"mtu": mtu} if mtu else {}))
        if service_cidr:
            await ip.route("replace", dst=service_cidr, oif=index)
    sysctl = Path("/proc/sys/net/ipv4/conf") / name
    (sysctl / "send_redirects").write_text("0")
    (sysctl / "rp_filter").write_text("2")
    (sysctl / "route_localnet").write_text("1")  # hostPorts of 127.0.0.1; see rules.py for who is kept out


async def ensure_routes(peers: dict[str, str]) -> None:
    """One route per peer: its pod CIDR through its node's address."""
    async with netlink() as ip:
        for cidr, via in peers.items():
            await ip.route("replace", dst=cidr, gateway=via)


async def drop_routes(cidrs: set[str]) -> None:
    from pyroute2 import NetlinkError

    async with netlink() as ip:
        for cidr in cidrs:
            try:
                await ip.route("del", dst=cidr)
            except NetlinkError as error:
                if error.code != errno.ESRCH:
                    raise


async def attach(bridge: str, host_end: str, netns: str, pod_end: str, address: str, gateway: str, mtu: int) -> str:
    """A veth pair from the bridge into ``netns`` with ``address``/32 and the default route; the pod end's MAC address."""
    if not Path(netns).exists():
        raise NotFound(f"network namespace {netns} is gone")
    async with netlink() as ip:
        if not await index_of(ip, host_end):
            extra = {"mtu": mtu} if mtu else {}
            await ip.link("add", ifname=host_end, kind="veth", peer={"ifname": pod_end, "net_ns_fd": netns, **extra}, **extra)
        index = await index_of(ip, host_end)
        await ip.link("set", index=index, master=await index_of(ip, bridge), state="up")
        # A pod that reaches itself through its node: where br_netfilter is on, such a packet leaves by the port that it came from.
        await ip.brport("set", index=index, mode=1)
    return await inside(netns, lambda: _set_up_pod_end(pod_end, address, gateway))


async def _set_up_pod_end(name: str, address: str, gateway: str) -> str:
    async with netlink() as ip:
        index = await index_of(ip, name)
        await ip.addr("replace", index=index, address=address, prefixlen=32)
        await ip.link("set", index=await index_of(ip, "lo"), state="up")
        await ip.link("set", index=index, state="up")
        await ip.route("replace", dst=f"{gateway}/32", oif=index, scope=SCOPE_LINK)
        await ip.route("replace", dst="default", gateway=gateway, oif=index)
        return await _mac(ip, index)


async def _mac(ip: Any, index: int) -> str:
    async for link in await ip.get_links(index):
        return str(link.get_attr("IFLA_ADDRESS"))
    raise NotFound(f"interface {index} is gone")


async def remove(*names: str) -> None:
    """Delete interfaces; those that are gone are fine (their namespace may have taken them along)."""
    from pyroute2 import NetlinkError

    async with netlink() as ip:
        for name in names:
            index = await index_of(ip, name)
            try:
                if index:
                    await ip.link("del", index=index)
            except NetlinkError as error:
                if error.code != errno.ENODEV:
                    raise


async def check(bridge: str, host_end: str, netns: str, pod_end: str, address: str) -> None:
    """Raise NotFound unless both ends, the address and the bridge membership are in place."""
    async with netlink() as ip:
        index, master = await index_of(ip, host_end), await index_of(ip, bridge)
        if not index or not master:
            raise NotFound(f"interface {host_end if master else bridge} is gone")
        async for link in await ip.get_links(index):
            if link.get_attr("IFLA_MASTER") != master:
                raise NotFound(f"interface {host_end} is not in bridge {bridge}")
    await inside(netns, lambda: _check_pod_end(pod_end, address))


async def _check_pod_end(name: str, address: str) -> None:
    async with netlink() as ip:
        index = await index_of(ip, name)
        if not index:
            raise NotFound(f"interface {name} is gone from its namespace")
        addresses = [a.get_attr("IFA_ADDRESS") async for a in await ip.get_addr(index=index)]
        if address not in addresses:
            raise NotFound(f"address {address} is gone from its namespace")


async def bridge_is_up(name: str) -> bool:
    async with netlink() as ip:
        return bool(await index_of(ip, name))
