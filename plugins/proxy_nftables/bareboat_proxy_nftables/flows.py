"""UDP flows that the kernel remembers: one to a Service goes on to the endpoint that it began with for as long as the client sends, also
when that endpoint is gone. Those are forgotten, so that the next datagram finds an endpoint of now (as upstream's kube-proxy does it).

What comes in: the Services as they are now. What goes out: how many flows were forgotten. TCP needs none of it: a connection ends.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from pyroute2 import Conntrack
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from bareboat.contracts.proxy import ProxyState

#: Where datagrams are sent (address, port) → the addresses and ports that may answer.
Endpoints = Mapping[tuple[str, int], frozenset[tuple[str, int]]]


def endpoints(state: ProxyState) -> Endpoints:
    """Of every UDP port of a Service, under each address that it has."""
    found: dict[tuple[str, int], frozenset[tuple[str, int]]] = {}
    for service in state.services:
        if service.protocol != "UDP":
            continue
        inside = frozenset((b.address, b.port) for b in service.backends)
        outside = frozenset((b.address, b.port) for b in service.external_backends)
        found |= {(address, service.port): inside for address in service.addresses}
        found |= {(address, service.port): outside for address in service.external_addresses}
        if service.node_port:
            found |= {(address, service.node_port): outside for address in state.node_addresses}
    return found


def forget_stale(wanted: Endpoints, **where: Any) -> int:
    """Of flows to one of the addresses, those that somebody else answers. ``where``: for the netlink socket (``netns``).

    Raises OSError, NetlinkError.
    """
    forgotten = 0
    with Conntrack(**where) as table:
        udp = NFCTAttrTuple(proto=socket.IPPROTO_UDP)
        for entry in list(table.dump_entries(tuple_orig=udp)):
            sent, answered = entry.tuple_orig, entry.tuple_reply
            allowed = wanted.get((sent.daddr, sent.dport))
            if allowed is None or (answered.saddr, answered.sport) in allowed:
                continue
            try:
                table.delete(entry)
            except NetlinkError as error:
                if error.code != 2:  # ENOENT: it ended meanwhile
                    raise
            else:
                forgotten += 1
    return forgotten
