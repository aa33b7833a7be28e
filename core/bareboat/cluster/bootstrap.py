"""What a new cluster has: namespaces, the plugins' objects, and the Service ``default/kubernetes`` with its endpoint.

Roles and bindings are brought up to date at every start (``reconciling``).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from contextlib import suppress
from typing import Any

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.cluster import reconciling
from bareboat.cluster.endpoints import publish
from bareboat.models import core_v1, meta_v1, networking_v1
from bareboat.models.codec import from_tree
from bareboat.models.scheme import Scheme
from bareboat.models.status import AlreadyExists, Invalid, NotFound

log = logging.getLogger("bareboat.cluster")
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class Bootstrap:
    """Creates what is missing; what is there stays as it is, but for roles, bindings and the API server's own endpoint."""

    def __init__(self, client: Client, scheme: Scheme, clock: Clock) -> None:
        self._client = client
        self._scheme = scheme
        self._clock = clock

    async def run(self, objects: list[dict[str, Any]], service_cidr: str, address: str, port: int) -> None:
        """``port`` 0: who serves the API is published elsewhere (membership)."""
        for name in NAMESPACES:
            await self._create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)))
        made = [self._decoded(tree) for tree in objects]
        for start in range(0, len(made), 32):
            await asyncio.gather(*(self._ensure(o) for o in made[start : start + 32]))
        await self._create(
            networking_v1.ServiceCIDR(
                metadata=meta_v1.ObjectMeta(name="kubernetes"), spec=networking_v1.ServiceCIDRSpec(cidrs=[service_cidr])
            )
        )
        await self._kubernetes_service(service_cidr)
        await self._dns_service(service_cidr)
        if port:
            await publish(self._client, [(address, port)])

    def _decoded(self, tree: dict[str, Any]) -> Any:
        resource = self._scheme.by_kind(tree["apiVersion"], tree["kind"])
        if resource is None or resource.type is None:
            raise ValueError(f"a plugin's bootstrap object is of an unknown kind: {tree['apiVersion']}/{tree['kind']}")
        return from_tree(resource.type, tree)

    async def _ensure(self, wanted: Any) -> None:
        try:
            await self._client.create(wanted)
        except AlreadyExists:
            if isinstance(wanted, reconciling.KINDS):
                await self._reconcile(wanted)

    async def _reconcile(self, wanted: Any) -> None:
        meta = wanted.metadata
        known = await self._client.get(type(wanted), meta.name, meta.namespace)
        if reconciling.protected(known):
            return
        if reconciling.replaced(known, wanted):
            await self._client.delete(type(wanted), meta.name, meta.namespace, uid=known.metadata.uid)
            await self._create(wanted)
        elif reconciling.updated(known, wanted):
            await self._client.update(known)

    async def _create(self, obj: Any) -> None:
        try:
            await self._client.create(obj)
        except AlreadyExists:
            return

    async def _kubernetes_service(self, service_cidr: str) -> None:
        try:
            await self._client.get(core_v1.Service, "kubernetes", "default")
        except NotFound:
            await self._new_kubernetes_service(service_cidr)

    async def _new_kubernetes_service(self, service_cidr: str) -> None:
        first = str(ipaddress.IPv4Network(service_cidr)[1])
        labels = {"component": "apiserver", "provider": "kubernetes"}
        port = core_v1.ServicePort(name="https", port=443, targetPort=443, protocol="TCP")
        await self._create(
            core_v1.Service(
                metadata=meta_v1.ObjectMeta(name="kubernetes", namespace="default", labels=labels),
                spec=core_v1.ServiceSpec(clusterIP=first, ports=[port], type="ClusterIP"),
            )
        )

    async def _dns_service(self, service_cidr: str) -> None:
        """Where pods ask for names. Without endpoints of its own every node answers itself."""
        labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
        ports = [
            core_v1.ServicePort(name="dns", port=53, targetPort=53, protocol="UDP"),
            core_v1.ServicePort(name="dns-tcp", port=53, targetPort=53, protocol="TCP"),
        ]
        wanted = core_v1.Service(
            metadata=meta_v1.ObjectMeta(name="kube-dns", namespace="kube-system", labels=labels),
            spec=core_v1.ServiceSpec(clusterIP=str(ipaddress.IPv4Network(service_cidr)[10]), ports=ports, type="ClusterIP"),
        )
        with suppress(NotFound):
            await self._client.get(core_v1.Service, wanted.metadata.name, wanted.metadata.namespace)
            return
        try:
            await self._create(wanted)
        except Invalid as error:  # a cluster from before: somebody has the address already
            log.warning("there is no Service kube-dns: %s", error)
