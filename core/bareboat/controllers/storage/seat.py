"""Whose turn it is: one agent per driver holds its Lease, and what is one node's own is that node's.

What comes in: the driver, the node's place, a client. What goes out: ``leads`` and ``reaches``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client.client import Client
from bareboat.contracts import csi
from bareboat.models import core_v1
from bareboat.reconcile.election import Election


class Seat:
    """One agent's, for one driver. ``driver`` is any plugin with a ``driver_name``; ``info`` where the node is for it."""

    def __init__(self, driver: Any, node: str, client: Client, clock: Clock, ids: Ids, info: csi.NodeInfo, prefix: str = "csi") -> None:
        self.driver = driver
        self.node = node
        self.info = info
        self.election = Election(client, f"{prefix}-{driver.driver_name}".lower(), node, clock, ids)

    @property
    def name(self) -> str:
        return str(self.driver.driver_name)

    @property
    def local(self) -> bool:
        """Whether the driver's controller verbs reach volumes of this node only."""
        return bool(self.driver.capabilities.scope == "node")

    @property
    def leads(self) -> bool:
        return self.election.leads

    def reaches(self, volume: core_v1.PersistentVolume) -> bool:
        """Whether this agent acts for the volume."""
        if not self.local:
            return self.leads
        return any(within(self.info.topology, term) for term in terms_of(volume))

    async def run(self) -> None:
        """Until cancelled: get the Lease, and keep it."""
        await self.election.run(_until_lost)


async def _until_lost() -> None:
    """The controllers look at ``leads`` themselves."""
    await asyncio.Event().wait()


def within(labels: Mapping[str, str], term: Mapping[str, set[str]]) -> bool:
    return all(labels.get(key) in values for key, values in term.items())


def terms_of(volume: core_v1.PersistentVolume) -> list[dict[str, set[str]]]:
    """What the volume's node affinity asks of a node's labels; none if it asks nothing."""
    affinity = volume.spec.nodeAffinity
    if affinity is None or affinity.required is None:
        return []
    return [{e.key: set(e.values) for e in term.matchExpressions} for term in affinity.required.nodeSelectorTerms]
