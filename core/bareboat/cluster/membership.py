"""Which servers of the cluster live: each keeps a Lease that says where it is reached, and the endpoints of ``default/kubernetes``
are those of the Leases that are kept.

As upstream's identity Leases they are in kube-system, named ``apiserver-<hash>`` and labelled. A server that stops takes its
Lease away; one that died is left out once its Lease was not seen to change for ``DEAD`` seconds, whatever clocks say.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import socket
from datetime import datetime
from pathlib import Path

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client.client import Client
from bareboat.cluster.endpoints import publish
from bareboat.cluster.errors import ClusterError
from bareboat.contracts.auth import Reader
from bareboat.models import coordination_v1, core_v1, meta_v1
from bareboat.models.status import ApiError, NotFound

log = logging.getLogger("bareboat.cluster")
NAMESPACE = "kube-system"
IDENTITY, ADDRESS = "apiserver.kubernetes.io/identity", "bareboat.dev/address"
#: Seconds between two renewals, until one that does not renew is left out, and until its Lease is removed.
RENEW, DEAD, FORGOTTEN = 5.0, 15.0, 3600


def check_authority(reader: Reader, ca_pem: str, pki: Path) -> None:
    """Every server of a cluster needs the same authority and keys. Raises ClusterError if the store is of a cluster with another."""
    known = reader.get(core_v1.ConfigMap, "kube-root-ca.crt", NAMESPACE)
    if known is not None and ca_pem.strip() not in known.data.get("ca.crt", ca_pem):
        raise ClusterError(
            f"the store is of a cluster whose certificate authority is not the one in {pki}: copy that folder from a server of the "
            "cluster, then start again"
        )


class Membership:
    """Of the server that is reached at ``address``:``port``."""

    def __init__(self, client: Client, address: str, port: int, clock: Clock, ids: Ids) -> None:
        self._client = client
        self._address = f"{address}:{port}"
        self._clock = clock
        self._holder = ids.uid()
        self._seen: dict[str, tuple[str, float]] = {}
        digest = hashlib.sha256(f"{socket.gethostname()}\0{self._address}".encode()).digest()[:16]
        self.name = "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.renew()
            except ApiError as error:
                log.info("membership of %s: %s", self._address, error)
            await self._clock.sleep(RENEW)

    async def renew(self) -> None:
        """Say that this server lives, and publish who else does. Raises ApiError."""
        await self._renew()
        await publish(self._client, await self._living())

    async def leave(self) -> None:
        """Take this server out."""
        try:
            await self._client.delete(coordination_v1.Lease, self.name, NAMESPACE)
            await publish(self._client, await self._living())
        except ApiError as error:
            log.info("membership of %s is not taken back: %s", self._address, error)

    async def _renew(self) -> None:
        now = self._clock.micro()
        try:
            lease = await self._client.get(coordination_v1.Lease, self.name, NAMESPACE)
        except NotFound:
            labels = {IDENTITY: "kube-apiserver", "kubernetes.io/hostname": socket.gethostname()}
            meta = meta_v1.ObjectMeta(name=self.name, namespace=NAMESPACE, labels=labels, annotations={ADDRESS: self._address})
            spec = coordination_v1.LeaseSpec(holderIdentity=f"{self.name}_{self._holder}", leaseDurationSeconds=FORGOTTEN, renewTime=now)
            await self._client.create(coordination_v1.Lease(metadata=meta, spec=spec))
            return
        lease.metadata.annotations[ADDRESS] = self._address
        lease.spec.holderIdentity, lease.spec.renewTime = f"{self.name}_{self._holder}", now
        await self._client.update(lease)

    async def _living(self) -> list[tuple[str, int]]:
        now = self._clock.monotonic()
        found = set()
        leases = (await self._client.list(coordination_v1.Lease, NAMESPACE, labels=f"{IDENTITY}=kube-apiserver")).items
        for lease in leases:
            name, renewed = lease.metadata.name, lease.spec.renewTime or ""
            if name not in self._seen or self._seen[name][0] != renewed:
                fresh = name in self._seen or self._age(renewed) < 2 * DEAD
                self._seen[name] = (renewed, now if fresh else now - DEAD)
            host, _, port = lease.metadata.annotations.get(ADDRESS, "").rpartition(":")
            if self._seen[name][1] > now - DEAD and host and port.isdigit():
                found.add((host, int(port)))
            elif self._age(renewed) > FORGOTTEN:
                await self._client.delete(coordination_v1.Lease, name, NAMESPACE)
        return sorted(found)

    def _age(self, stamp: str) -> float:
        return (self._clock.now() - datetime.fromisoformat(stamp)).total_seconds() if stamp else FORGOTTEN * 2.0
