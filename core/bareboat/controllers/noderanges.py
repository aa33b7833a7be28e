"""Nodes get a range of addresses for their pods each, as long as there are ranges left."""

from __future__ import annotations

import asyncio
import ipaddress
from functools import lru_cache
from typing import ClassVar

import msgspec

from bareboat.models import core_v1
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

#: Seconds until a node for which there is no range is tried again.
RETRY = 60.0


class _RangedSpec(msgspec.Struct):
    podCIDR: str = ""


class _RangedNode(msgspec.Struct):
    """What of a node tells the range that it has."""

    spec: _RangedSpec = msgspec.field(default_factory=_RangedSpec)


@lru_cache(1)
def _ranges(cidr: str) -> tuple[str, ...]:
    network = ipaddress.IPv4Network(cidr)
    return tuple(str(found) for found in network.subnets(new_prefix=max(24, network.prefixlen)))


class NodeAddressController(Controller):
    """Gives every node a /24 of ``pod_cidr`` (set by the assembly)."""

    name = "node-ipam-controller"
    workers = 1
    pod_cidr: ClassVar[str] = "10.244.0.0/16"

    def setup(self, informers: InformerFactory) -> None:
        self._nodes = informers.of(core_v1.Node)
        self._nodes.on_view(self._changed, _RangedNode)
        self._needs.append(self._nodes)
        self._nodes.add_index("range", lambda node: (node.spec.podCIDR,) if node.spec.podCIDR else (), _RangedNode)
        self._refused: dict[str, float] = {}

    def _changed(self, key: str, old: _RangedNode | None, new: _RangedNode | None) -> None:
        """Its heartbeats are none of this controller's business."""
        if new is not old:
            self.queue.add(key)

    async def reconcile(self, key: str) -> float | None:
        node = self._nodes.get(key)
        if node is None or node.spec.podCIDR:
            self._refused.pop(key, None)
            return None
        taken = set(self._nodes.index_values("range"))
        free = next((found for found in _ranges(self.pod_cidr) if found not in taken), "")
        if not free:
            return self._refuse(key, node)
        await self.client.patch(core_v1.Node, node.metadata.name, {"spec": {"podCIDR": free, "podCIDRs": [free]}})
        await self._seen(key)
        return None

    def _refuse(self, key: str, node: core_v1.Node) -> float:
        """Told once until it is tried again: what else changes of the node makes no room."""
        now = self.clock.monotonic()
        left = self._refused.get(key, now) - now
        if left > 0:
            return left
        self._refused[key] = now + RETRY
        self.events.event(node, "Warning", "CIDRNotAvailable", f"no free range in {self.pod_cidr}")
        return RETRY

    async def _seen(self, key: str) -> None:
        """The next node must not get the same range: wait until the informer shows this one."""
        for _ in range(200):
            node = self._nodes.get(key)
            if node is None or node.spec.podCIDR:
                return
            await asyncio.sleep(0.01)
