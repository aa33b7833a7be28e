"""Whose turn it is: one agent per driver holds its Lease, and what is one node's own is that node's.

What comes in: the driver, the node's place, a client. What goes out: ``leads`` and ``reaches``. A Lease that was not renewed in time is
anybody's; its holder stops acting before that.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.contracts import csi
from bareboat.models import coordination_v1, core_v1, meta_v1
from bareboat.models.status import AlreadyExists, ApiError, Conflict, NotFound
from bareboat.models.times import parse

log = logging.getLogger("bareboat.storage")
NAMESPACE = "kube-system"
#: Seconds for which a Lease holds, and between renewals.
HOLDS, RENEW = 15.0, 5.0


class Seat:
    """One agent's, for one driver. ``driver`` is any plugin with a ``driver_name``; ``info`` where the node is for it."""

    def __init__(self, driver: Any, node: str, client: Client, clock: Clock, info: csi.NodeInfo, prefix: str = "csi") -> None:
        self.driver = driver
        self.node = node
        self.info = info
        self._client = client
        self._clock = clock
        self._lease_name = f"{prefix}-{driver.driver_name}".lower()
        self._until = float("-inf")

    @property
    def name(self) -> str:
        return str(self.driver.driver_name)

    @property
    def local(self) -> bool:
        """Whether the driver's controller verbs reach volumes of this node only."""
        return bool(self.driver.capabilities.scope == "node")

    @property
    def leads(self) -> bool:
        return self._clock.monotonic() < self._until

    def reaches(self, volume: core_v1.PersistentVolume) -> bool:
        """Whether this agent acts for the volume."""
        if not self.local:
            return self.leads
        return any(within(self.info.topology, term) for term in terms_of(volume))

    async def run(self) -> None:
        """Until cancelled: get the Lease, or keep it."""
        while True:
            try:
                await self._try()
            except (Conflict, AlreadyExists):
                log.debug("another agent was faster at the Lease %s", self._lease_name)
            except ApiError as error:
                log.warning("Lease %s: %s", self._lease_name, error)
            await self._clock.sleep(RENEW)

    async def _try(self) -> None:
        started = self._clock.monotonic()
        try:
            lease = await self._client.get(coordination_v1.Lease, self._lease_name, NAMESPACE)
        except NotFound:
            meta = meta_v1.ObjectMeta(name=self._lease_name, namespace=NAMESPACE)
            await self._client.create(coordination_v1.Lease(metadata=meta, spec=self._spec(0)))
        else:
            if lease.spec.holderIdentity not in (self.node, "", None) and not self._is_over(lease):
                return
            changed = lease.spec.holderIdentity != self.node
            lease.spec = self._spec((lease.spec.leaseTransitions or 0) + int(changed))
            await self._client.update(lease)
        self._until = started + HOLDS - RENEW

    def _is_over(self, lease: coordination_v1.Lease) -> bool:
        renewed, seconds = lease.spec.renewTime, lease.spec.leaseDurationSeconds or HOLDS
        return not renewed or parse(renewed).timestamp() + seconds < self._clock.now().timestamp()

    def _spec(self, transitions: int) -> coordination_v1.LeaseSpec:
        now = self._clock.micro()
        return coordination_v1.LeaseSpec(
            holderIdentity=self.node, leaseDurationSeconds=int(HOLDS), acquireTime=now, renewTime=now, leaseTransitions=transitions
        )


def within(labels: Mapping[str, str], term: Mapping[str, set[str]]) -> bool:
    return all(labels.get(key) in values for key, values in term.items())


def terms_of(volume: core_v1.PersistentVolume) -> list[dict[str, set[str]]]:
    """What the volume's node affinity asks of a node's labels; none if it asks nothing."""
    affinity = volume.spec.nodeAffinity
    if affinity is None or affinity.required is None:
        return []
    return [{e.key: set(e.values) for e in term.matchExpressions} for term in affinity.required.nodeSelectorTerms]
