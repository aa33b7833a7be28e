"""Endpoints and EndpointSlices of the Service ``default/kubernetes``: where the API servers are reached.

Servers on different ports are in different slices: a slice has one list of ports. What is right already is not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bareboat.client.client import Client
from bareboat.models import core_v1, discovery_v1, meta_v1
from bareboat.models.codec import encode
from bareboat.models.status import NotFound

NAME, NAMESPACE = "kubernetes", "default"
_OWN = "kubernetes.io/service-name"


async def publish(client: Client, servers: Sequence[tuple[str, int]]) -> None:
    """Addresses and ports of the servers that live. Raises ApiError."""
    by_port: dict[int, list[str]] = {}
    for address, port in sorted(set(servers)):
        by_port.setdefault(port, []).append(address)
    wanted = [_slice(NAME if i == 0 else f"{NAME}-{port}", port, by_port[port]) for i, port in enumerate(sorted(by_port))]
    for one in wanted:
        await _put(client, one)
    await _put(client, _endpoints(by_port))
    names = {one.metadata.name for one in wanted}
    for known in (await client.list(discovery_v1.EndpointSlice, NAMESPACE, labels=f"{_OWN}={NAME}")).items:
        if known.metadata.name not in names and known.metadata.name.startswith(NAME) and names:
            await client.delete(discovery_v1.EndpointSlice, known.metadata.name, NAMESPACE)


def _slice(name: str, port: int, addresses: Sequence[str]) -> discovery_v1.EndpointSlice:
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(name=name, namespace=NAMESPACE, labels={_OWN: NAME}),
        addressType="IPv4",
        endpoints=[discovery_v1.Endpoint(addresses=[a], conditions=discovery_v1.EndpointConditions(ready=True)) for a in addresses],
        ports=[discovery_v1.EndpointPort(name="https", port=port, protocol="TCP")],
    )


def _endpoints(by_port: dict[int, list[str]]) -> core_v1.Endpoints:
    return core_v1.Endpoints(
        metadata=meta_v1.ObjectMeta(name=NAME, namespace=NAMESPACE, labels={"endpointslice.kubernetes.io/skip-mirror": "true"}),
        subsets=[
            core_v1.EndpointSubset(
                addresses=[core_v1.EndpointAddress(ip=a) for a in addresses],
                ports=[core_v1.EndpointPort(name="https", port=port, protocol="TCP")],
            )
            for port, addresses in sorted(by_port.items())
        ],
    )


async def _put(client: Client, wanted: Any) -> None:
    try:
        known = await client.get(type(wanted), wanted.metadata.name, NAMESPACE)
    except NotFound:
        await client.create(wanted)
        return
    seen = encode(known)
    known.metadata.labels = wanted.metadata.labels
    for field in ("endpoints", "ports", "addressType", "subsets"):
        if hasattr(wanted, field):
            setattr(known, field, getattr(wanted, field))
    if encode(known) != seen:
        await client.update(known)
