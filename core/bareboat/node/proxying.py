"""Services for the node's proxy, and peers for its network: informers in, one whole state out whenever it differs.

In: Services, EndpointSlices, Nodes. Out: ``proxy.sync(state)`` and ``network.configure(config)``, debounced, retried.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from bareboat.base.clock import Clock
from bareboat.contracts.cni import NetworkConfig, NetworkDriver
from bareboat.contracts.errors import DriverError
from bareboat.contracts.proxy import Backend, ProxyDriver, ProxyState, ServicePort
from bareboat.models import core_v1, discovery_v1
from bareboat.node.config import NodeConfig
from bareboat.reconcile.informer import Informer, InformerFactory

log = logging.getLogger("bareboat.node")
#: The Service that leads to the node's own name server, unless somebody gives it other endpoints.
DNS = "kube-system/kube-dns"
SERVICE_LABEL = "kubernetes.io/service-name"
DEBOUNCE, RETRY = 0.03, 2.0


class NodeNetwork:
    """Keeps proxy and network driver equal to what the API says."""

    def __init__(
        self, config: NodeConfig, network: NetworkDriver | None, proxy: ProxyDriver | None, informers: InformerFactory, clock: Clock
    ) -> None:
        self._config = config
        self._network = network
        self._proxy = proxy
        self._clock = clock
        self._changed = asyncio.Event()
        self._nodes: Informer[core_v1.Node] = informers.of(core_v1.Node)
        self._services: Informer[core_v1.Service] = informers.of(core_v1.Service)
        self._slices: Informer[discovery_v1.EndpointSlice] = informers.of(discovery_v1.EndpointSlice)
        self._slices.add_index("service", _service_of)
        for informer in (self._nodes, self._services, self._slices):
            informer.on_change(lambda *_: self._changed.set())
        self._configured: NetworkConfig | None = None
        self.ready = asyncio.Event()
        #: Where the node's own name server listens, 0 if it has none.
        self.dns_port = 0

    async def run(self) -> None:
        for informer in (self._nodes, self._services, self._slices):
            await informer.synced()
        self._changed.set()
        while True:
            await self._changed.wait()
            await self._clock.sleep(DEBOUNCE)
            self._changed.clear()
            try:
                await self._sync()
            except DriverError as error:
                log.warning("the node's network cannot be brought up to date: %s", error)
                await self._clock.sleep(error.retry_after or RETRY)
                self._changed.set()

    async def _sync(self) -> None:
        config = self._network_config()
        if config is None:
            return
        if self._network is not None and config != self._configured:
            await self._network.configure(config)
            self._configured = config
        if self._proxy is not None:
            await self._proxy.sync(self.state(config))
        self.ready.set()

    def node(self) -> core_v1.Node | None:
        """This one, as it was seen last."""
        return self._nodes.get(self._config.name)

    def _network_config(self) -> NetworkConfig | None:
        """None until the node has its range."""
        own, peers = "", []
        for node in self._nodes.list():
            if node.metadata.name == self._config.name:
                own = node.spec.podCIDR
                continue
            address = next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")
            if node.spec.podCIDR and address and address != self._config.internal_ip:
                peers.append((node.spec.podCIDR, address))
        if not own:
            return None
        return NetworkConfig(
            pod_cidr=own, cluster_cidr=self._config.cluster_cidr, service_cidr=self._config.service_cidr, peers=tuple(sorted(peers))
        )

    def state(self, config: NetworkConfig) -> ProxyState:
        ports = [port for service in self._services.list() for port in self._ports(service)]
        return ProxyState(
            services=tuple(sorted(ports, key=lambda p: (p.name, p.protocol, p.port))),
            node_addresses=(self._config.internal_ip,),
            pod_cidr=config.pod_cidr,
            cluster_cidr=config.cluster_cidr,
        )

    def _ports(self, service: core_v1.Service) -> Iterable[ServicePort]:
        spec = service.spec
        if spec.type == "ExternalName" or spec.clusterIP in ("", "None"):
            return
        name = f"{service.metadata.namespace}/{service.metadata.name}"
        slices = [s for k in self._slices.by_index("service", name) if (s := self._slices.get(k)) is not None]
        external = (*spec.externalIPs, *(i.ip for i in service.status.loadBalancer.ingress if i.ip))
        affinity = 0
        if (
            spec.sessionAffinity == "ClientIP"
            and spec.sessionAffinityConfig is not None
            and spec.sessionAffinityConfig.clientIP is not None
        ):
            affinity = spec.sessionAffinityConfig.clientIP.timeoutSeconds or 10800
        for port in spec.ports:
            backends = self._backends(slices, port)
            if not backends and name == DNS and self.dns_port and port.port == 53:
                backends = (Backend(address=self._config.internal_ip, port=self.dns_port, local=True),)
            local = tuple(b for b in backends if b.local)
            yield ServicePort(
                name=f"{name}:{port.name}",
                protocol=port.protocol,  # type: ignore[arg-type]  # validated by the API
                port=port.port,
                addresses=tuple(spec.clusterIPs),
                external_addresses=external,
                node_port=port.nodePort,
                affinity_seconds=affinity,
                backends=local if spec.internalTrafficPolicy == "Local" else backends,
                external_backends=local if spec.externalTrafficPolicy == "Local" else backends,
                preserve_source=spec.externalTrafficPolicy == "Local",
                source_ranges=tuple(spec.loadBalancerSourceRanges),
                health_check_node_port=spec.healthCheckNodePort,
            )

    def _backends(self, slices: list[discovery_v1.EndpointSlice], port: Any) -> tuple[Backend, ...]:
        """Ready endpoints; if there are none, those that still serve while they terminate."""
        ready, serving = set(), set()
        for found in slices:
            number = next((p.port for p in found.ports if (p.name or "") == port.name and p.protocol == port.protocol), None)
            if number is None:
                continue
            for endpoint in found.endpoints:
                backends = {Backend(address=a, port=number, local=endpoint.nodeName == self._config.name) for a in endpoint.addresses}
                conditions = endpoint.conditions
                if conditions.ready is not False:
                    ready |= backends
                elif conditions.serving and conditions.terminating:
                    serving |= backends
        return tuple(sorted(ready or serving, key=lambda b: (b.address, b.port)))


def _service_of(found: discovery_v1.EndpointSlice) -> Iterable[str]:
    name = found.metadata.labels.get(SERVICE_LABEL)
    return (f"{found.metadata.namespace}/{name}",) if name else ()
