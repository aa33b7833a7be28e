"""The cluster's zone, after the specification of DNS for Services and Pods: what every name of it means now.

What comes in: a name and a kind of record. What goes out: records from the Services and EndpointSlices as they are, or None for a name
that is not the cluster's. Nothing is stored: the informers are the zone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from bareboat.models import core_v1, discovery_v1
from bareboat.node.dns import message
from bareboat.node.dns.message import Record
from bareboat.reconcile.informer import Informer, InformerFactory

SERVICE_LABEL = "kubernetes.io/service-name"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """``exists``: the name means something, if not of this kind. ``elsewhere`` is where an alias leads out of the zone."""

    exists: bool
    records: tuple[Record, ...] = ()
    extra: tuple[Record, ...] = ()
    elsewhere: str = ""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a Service leads to: a name, its address and, by name and protocol, its ports."""

    name: str
    address: str
    ports: dict[tuple[str, str], int]


def dns_address(service_cidr: str) -> str:
    """Where pods ask: the tenth address for Services, as is the custom."""
    return str(ipaddress.ip_network(service_cidr)[10])


_NOTHING = Answer(exists=False)


class Zone:
    """``domain`` of the cluster; the informers are started by who owns them."""

    def __init__(self, domain: str, informers: InformerFactory) -> None:
        self.domain = domain
        self._services: Informer[core_v1.Service] = informers.of(core_v1.Service)
        self._slices: Informer[discovery_v1.EndpointSlice] = informers.of(discovery_v1.EndpointSlice)
        self._services.add_index("dns-address", lambda s: s.spec.clusterIPs)
        self._services.add_index("dns-namespace", lambda s: (s.metadata.namespace,))
        self._slices.add_index("dns-service", _service_of)
        self._slices.add_index("dns-address", _addresses_of)

    async def synced(self) -> None:
        await self._services.synced()
        await self._slices.synced()

    def lookup(self, name: str, kind: int) -> Answer | None:
        """None if the name is not of this zone."""
        if name.endswith((".in-addr.arpa", ".ip6.arpa")):
            return self._reverse(name, kind)
        if name != self.domain and not name.endswith(f".{self.domain}"):
            return None
        match name.removesuffix(self.domain).rstrip(".").split("."):
            case [*_, "pod"] as labels:
                return self._pod(name, labels[:-1], kind)
            case [*_, "svc"] as labels:
                return self._service_name(name, labels[:-1], kind)
            case ["dns-version"]:
                return Answer(exists=True, records=(Record(name=name, kind=message.TXT, data=b"\x051.1.0"),) if kind == message.TXT else ())
            case [""]:
                return Answer(exists=True, records=(message.start_of_authority(self.domain),) if kind == message.SOA else ())
        return _NOTHING

    def _pod(self, name: str, labels: list[str], kind: int) -> Answer:
        """Its address is in its name."""
        if len(labels) != 2:
            return _NOTHING
        try:
            found = message.address(name, str(ipaddress.IPv4Address(labels[0].replace("-", "."))))
        except ValueError:
            return _NOTHING
        return Answer(exists=True, records=(found,) if kind in (message.A, message.ANY) else ())

    def _service_name(self, name: str, labels: list[str], kind: int) -> Answer:
        if len(labels) < 2:
            return Answer(exists=not labels or bool(self._services.by_index("dns-namespace", labels[0])))
        *front, service_name, namespace = labels
        service = self._services.get(f"{namespace}/{service_name}")
        if service is None:
            return _NOTHING
        if service.spec.type == "ExternalName":
            return _NOTHING if front else self._alias(name, service, kind)
        targets = list(self._targets(service))
        match front:
            case []:
                return self._of_service(name, service, targets, kind)
            case [host] if _is_headless(service):
                found = [message.address(name, t.address) for t in targets if t.name.partition(".")[0] == host]
                return Answer(exists=bool(found), records=_of_kind(found, kind))
            case [port, protocol] if port.startswith("_") and protocol.startswith("_"):
                return self._port(name, targets, port[1:], protocol[1:], kind)
        return _NOTHING

    def _of_service(self, name: str, service: core_v1.Service, targets: list[Target], kind: int) -> Answer:
        if kind == message.SRV:
            return _services(name, [(port, t) for t in targets for port in t.ports.values()])
        found = [message.address(name, address) for address in dict.fromkeys(t.address for t in targets)]
        return Answer(exists=bool(found) or not _is_headless(service), records=_of_kind(found, kind))

    def _port(self, name: str, targets: list[Target], port: str, protocol: str, kind: int) -> Answer:
        found = [(t.ports[port, protocol], t) for t in targets if (port, protocol) in t.ports]
        if kind == message.SRV:
            return _services(name, found)
        return Answer(exists=bool(found))

    def _alias(self, name: str, service: core_v1.Service, kind: int) -> Answer:
        target = service.spec.externalName.rstrip(".").lower()
        alias = Record(name=name, kind=message.CNAME, data=message.encode_name(target))
        if kind == message.CNAME:
            return Answer(exists=True, records=(alias,))
        inside = self.lookup(target, kind)
        if inside is None:
            return Answer(exists=True, records=(alias,), elsewhere=target)
        return Answer(exists=True, records=(alias, *inside.records), extra=inside.extra, elsewhere=inside.elsewhere)

    def _targets(self, service: core_v1.Service) -> Iterator[Target]:
        full = f"{service.metadata.name}.{service.metadata.namespace}.svc.{self.domain}"
        if not _is_headless(service):
            ports = {(p.name.lower(), p.protocol.lower()): p.port for p in service.spec.ports}
            yield from (Target(name=full, address=address, ports=ports) for address in service.spec.clusterIPs)
            return
        for key in self._slices.by_index("dns-service", f"{service.metadata.namespace}/{service.metadata.name}"):
            found = self._slices.get(key)
            ports = {((p.name or "").lower(), (p.protocol or "TCP").lower()): p.port or 0 for p in found.ports} if found is not None else {}
            for endpoint in found.endpoints if found is not None else ():
                for address in endpoint.addresses if endpoint.conditions.ready is not False else ():
                    host = endpoint.hostname or address.replace(".", "-").replace(":", "-")
                    yield Target(name=f"{host.lower()}.{full}", address=address, ports=ports)

    def _reverse(self, name: str, kind: int) -> Answer | None:
        """The name of a Service, or of an endpoint of a headless one; None for addresses of others."""
        if not name.endswith(".in-addr.arpa"):
            return None
        text = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
        names = [*self._names_of_services(text), *self._names_of_endpoints(text)]
        if not names:
            return None
        records = tuple(Record(name=name, kind=message.PTR, data=message.encode_name(found)) for found in names)
        return Answer(exists=True, records=records if kind in (message.PTR, message.ANY) else ())

    def _names_of_services(self, address: str) -> Iterator[str]:
        for key in self._services.by_index("dns-address", address):
            namespace, _, service = key.partition("/")
            yield f"{service}.{namespace}.svc.{self.domain}"

    def _names_of_endpoints(self, address: str) -> Iterator[str]:
        for key in self._slices.by_index("dns-address", address):
            found = self._slices.get(key)
            owner = next(iter(_service_of(found)), "") if found is not None else ""
            service = self._services.get(owner) if owner else None
            if service is not None and _is_headless(service):
                yield from (target.name for target in self._targets(service) if target.address == address)


def _is_headless(service: core_v1.Service) -> bool:
    return service.spec.clusterIP in ("", "None")


def _of_kind(records: list[Record], kind: int) -> tuple[Record, ...]:
    return tuple(r for r in records if kind in (r.kind, message.ANY))


def _services(name: str, found: list[tuple[int, Target]]) -> Answer:
    weight = max(1, 100 // len(found)) if found else 0
    records = tuple(message.service(name, port, target.name, weight) for port, target in found)
    extra = tuple(message.address(n, a) for n, a in dict.fromkeys((t.name, t.address) for _, t in found))
    return Answer(exists=bool(found), records=records, extra=extra)


def _service_of(found: discovery_v1.EndpointSlice) -> Iterable[str]:
    name = found.metadata.labels.get(SERVICE_LABEL)
    return (f"{found.metadata.namespace}/{name}",) if name else ()


def _addresses_of(found: discovery_v1.EndpointSlice) -> Iterable[str]:
    return [address for endpoint in found.endpoints for address in endpoint.addresses]
