"""Proxy: the contract that makes Service addresses work on a node (what kube-proxy does upstream).

Level-triggered: the kernel hands over the whole wanted state; the driver makes the host equal to it in one atomic step
and keeps established connections. ``sync`` with the same state changes nothing. An address without backends is rejected
(ICMP port unreachable), not dropped.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import msgspec

from bareboat.contracts.driver import Driver

GROUP = "bareboat.proxy.v1"


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """One ready endpoint; ``local`` if it runs on this node."""

    address: str
    port: int
    local: bool = False


class ServicePort(msgspec.Struct, frozen=True, kw_only=True):
    """One port of one Service.

    ``addresses``: cluster IPs; ``external_addresses``: externalIPs and load-balancer ingress IPs; ``node_port`` 0 = none;
    ``affinity_seconds`` 0 = none (ClientIP otherwise).
    ``backends`` serve cluster traffic (already reduced by internalTrafficPolicy), ``external_backends`` node ports and external addresses
    (already reduced by externalTrafficPolicy); ``preserve_source`` True for externalTrafficPolicy Local (no masquerade).
    """

    name: str
    protocol: Literal["TCP", "UDP", "SCTP"]
    port: int
    addresses: tuple[str, ...]
    external_addresses: tuple[str, ...] = ()
    node_port: int = 0
    affinity_seconds: int = 0
    backends: tuple[Backend, ...] = ()
    external_backends: tuple[Backend, ...] = ()
    preserve_source: bool = False
    source_ranges: tuple[str, ...] = ()
    health_check_node_port: int = 0


class ProxyState(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. ``node_addresses`` are where node ports are opened."""

    services: tuple[ServicePort, ...]
    node_addresses: tuple[str, ...]
    pod_cidr: str
    cluster_cidr: str


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    session_affinity: bool = True
    node_ports: bool = True
    protocols: tuple[str, ...] = ("TCP", "UDP", "SCTP")


class ProxyDriver(Driver):
    """Service addresses of one node."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    @abstractmethod
    async def sync(self, state: ProxyState) -> None:
        """Make the host equal to ``state``, atomically."""

    @abstractmethod
    async def teardown(self) -> None:
        """Remove every rule of this instance from the host."""
