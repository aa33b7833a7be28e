"""Endpoints and EndpointSlices of Services with a selector: the addresses of their pods, ready or not, per port."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.controllers.labelled import labelled_pods, select
from bareboat.controllers.pods import is_ready
from bareboat.models import core_v1, discovery_v1, meta_v1
from bareboat.models.codec import decode
from bareboat.models.meta import owner_reference
from bareboat.models.selectors import Selector, from_labels
from bareboat.models.status import AlreadyExists, NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import InformerFactory

SERVICE_LABEL, MANAGED_LABEL = "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
ENDPOINTS_MANAGED, HEADLESS = "endpoints.kubernetes.io/managed-by", "service.kubernetes.io/headless"
#: Endpoints in one slice at most.
SLICE = 100


class _OfServices(Controller):
    """Keys are Services; a pod change concerns the Services whose selector matches it before or after."""

    workers = 4

    def setup(self, informers: InformerFactory) -> None:
        self._selectors: dict[str, dict[str, Selector]] = {}
        services = informers.of(core_v1.Service)
        services.on_change(self._note_selector)
        self._services = self.watch(services)
        self._pods = labelled_pods(informers)
        self.watch(self._pods, self._selecting, PodFacts)
        self._resource = self.client.scheme.by_type(core_v1.Service)

    def _note_selector(self, key: str, _old: bytes | None, new: bytes | None) -> None:
        """Selectors by namespace, so that a change of a pod need not decode every Service."""
        known = self._selectors.setdefault(key.partition("/")[0], {})
        selector = decode(core_v1.Service, new).spec.selector if new is not None else {}
        if selector:
            known[key] = from_labels(selector)
        else:
            known.pop(key, None)

    def _selecting(self, _key: str, pod: PodFacts) -> Iterable[str]:
        found = self._selectors.get(pod.metadata.namespace, {})
        return [key for key, selector in found.items() if selector.matches(pod.metadata.labels)]

    def pods_of(self, service: core_v1.Service) -> list[core_v1.Pod]:
        """Selected pods that have an address and are not over."""
        chosen = select(self._pods, service.metadata.namespace, from_labels(service.spec.selector))
        found = [p for p in chosen if p.status.podIP and p.status.phase not in ("Succeeded", "Failed")]
        self.note_size(f"{service.metadata.namespace}/{service.metadata.name}", len(found))
        return found


def target_ports(service: core_v1.Service, pod: core_v1.Pod) -> list[tuple[str, str, int, str | None]]:
    """(name, protocol, number, appProtocol) of the Service's ports on this pod; a named port the pod lacks is left out."""
    found = []
    for port in service.spec.ports:
        number = port.targetPort if isinstance(port.targetPort, int) else _named_port(pod, port.targetPort, port.protocol)
        if number:
            found.append((port.name, port.protocol, number, port.appProtocol))
    return found


def _named_port(pod: core_v1.Pod, name: str, protocol: str) -> int:
    sidecars = [c for c in pod.spec.initContainers if c.restartPolicy == "Always"]
    for container in [*pod.spec.containers, *sidecars]:
        for port in container.ports:
            if port.name == name and (port.protocol or "TCP") == protocol:
                return port.containerPort
    return 0


def serves(service: core_v1.Service, pod: core_v1.Pod) -> bool:
    return is_ready(pod) or service.spec.publishNotReadyAddresses


class EndpointsController(_OfServices):
    name = "endpoint-controller"

    def setup(self, informers: InformerFactory) -> None:
        super().setup(informers)
        self._endpoints = self.watch(informers.of(core_v1.Endpoints))

    async def reconcile(self, key: str) -> float | None:
        service = self._services.get(key)
        namespace, _, name = key.rpartition("/")
        known = self._endpoints.get(key)
        if service is None:
            if known is not None and known.metadata.labels.get(ENDPOINTS_MANAGED) == self.name:
                await _ignore_gone(self.client.delete(core_v1.Endpoints, name, namespace))
            return None
        if not service.spec.selector or service.spec.type == "ExternalName":
            return None
        subsets = self._subsets(service)
        labels = {**service.metadata.labels, ENDPOINTS_MANAGED: self.name}
        if service.spec.clusterIP == "None":
            labels[HEADLESS] = ""
        if known is not None and known.subsets == subsets and known.metadata.labels == labels:
            return None
        meta = meta_v1.ObjectMeta(
            name=name,
            namespace=namespace,
            labels=labels,
            annotations=dict(known.metadata.annotations) if known is not None else {},
        )
        wanted = core_v1.Endpoints(metadata=meta, subsets=subsets)
        if known is None:
            await self.client.create(wanted)
        else:
            wanted.metadata.resourceVersion = known.metadata.resourceVersion
            await self.client.update(wanted)
        return None

    def _subsets(self, service: core_v1.Service) -> list[core_v1.EndpointSubset]:
        groups: dict[tuple[Any, ...], tuple[list[Any], list[Any]]] = {}
        for pod in self.pods_of(service):
            if pod.metadata.deletionTimestamp and not service.spec.publishNotReadyAddresses:
                continue
            ports = tuple(target_ports(service, pod))
            if not ports and service.spec.ports:
                continue
            ready, not_ready = groups.setdefault(ports, ([], []))
            (ready if serves(service, pod) else not_ready).append(_address(service, pod))
        subsets = []
        for ports, (ready, not_ready) in sorted(groups.items(), key=str):
            listed = [core_v1.EndpointPort(name=n, protocol=p, port=number, appProtocol=app) for n, p, number, app in ports]
            subsets.append(
                core_v1.EndpointSubset(
                    addresses=sorted(ready, key=lambda a: a.ip), notReadyAddresses=sorted(not_ready, key=lambda a: a.ip), ports=listed
                )
            )
        return subsets


def _address(service: core_v1.Service, pod: core_v1.Pod) -> core_v1.EndpointAddress:
    target = core_v1.ObjectReference(kind="Pod", namespace=pod.metadata.namespace, name=pod.metadata.name, uid=pod.metadata.uid)
    hostname = pod.spec.hostname if pod.spec.hostname and pod.spec.subdomain == service.metadata.name else ""
    return core_v1.EndpointAddress(ip=pod.status.podIP, nodeName=pod.spec.nodeName or None, targetRef=target, hostname=hostname)


class EndpointSliceController(_OfServices):
    name = "endpointslice-controller"

    def setup(self, informers: InformerFactory) -> None:
        super().setup(informers)
        self._slices = informers.of(discovery_v1.EndpointSlice)
        self._slices.add_index("service", _managed_service)
        self.watch(self._slices, lambda _key, s: _managed_service(s))

    async def reconcile(self, key: str) -> float | None:
        service = self._services.get(key)
        known = [s for k in self._slices.by_index("service", key) if (s := self._slices.get(k)) is not None]
        if service is None or not service.spec.selector or service.spec.type == "ExternalName":
            if service is None:
                for found in known:
                    await _ignore_gone(self.client.delete(discovery_v1.EndpointSlice, found.metadata.name, found.metadata.namespace))
            return None
        wanted = self._wanted(service)
        for found, (ports, endpoints) in zip(known, wanted, strict=False):
            labels = _slice_labels(service)
            if found.ports != ports or found.endpoints != endpoints or found.metadata.labels != labels:
                found.ports, found.endpoints, found.metadata.labels = ports, endpoints, labels
                await self.client.update(found)
        for ports, endpoints in wanted[len(known) :]:
            await self.client.create(self._slice(service, ports, endpoints))
        for found in known[len(wanted) :]:
            await _ignore_gone(self.client.delete(discovery_v1.EndpointSlice, found.metadata.name, found.metadata.namespace))
        return None

    def _wanted(self, service: core_v1.Service) -> list[tuple[list[Any], list[Any]]]:
        groups: dict[tuple[Any, ...], list[Any]] = {}
        for pod in self.pods_of(service):
            groups.setdefault(tuple(target_ports(service, pod)), []).append(_endpoint(service, pod))
        wanted = []
        for ports, endpoints in sorted(groups.items(), key=str):
            listed = [discovery_v1.EndpointPort(name=n, protocol=p, port=number, appProtocol=app) for n, p, number, app in ports]
            endpoints.sort(key=lambda e: e.addresses)
            wanted += [(listed, endpoints[i : i + SLICE]) for i in range(0, len(endpoints), SLICE)]
        return wanted or [([], [])]

    def _slice(self, service: core_v1.Service, ports: list[Any], endpoints: list[Any]) -> discovery_v1.EndpointSlice:
        meta = meta_v1.ObjectMeta(
            generateName=f"{service.metadata.name}-",
            namespace=service.metadata.namespace,
            labels=_slice_labels(service),
            ownerReferences=[owner_reference(service, self._resource)],
        )
        return discovery_v1.EndpointSlice(metadata=meta, addressType="IPv4", ports=ports, endpoints=endpoints)


def _slice_labels(service: core_v1.Service) -> dict[str, str]:
    headless = {HEADLESS: ""} if service.spec.clusterIP == "None" else {}
    return {**service.metadata.labels, SERVICE_LABEL: service.metadata.name, MANAGED_LABEL: MANAGER, **headless}


def _managed_service(found: discovery_v1.EndpointSlice) -> Iterable[str]:
    labels = found.metadata.labels
    if labels.get(MANAGED_LABEL) == MANAGER and SERVICE_LABEL in labels:
        return (f"{found.metadata.namespace}/{labels[SERVICE_LABEL]}",)
    return ()


def _endpoint(service: core_v1.Service, pod: core_v1.Pod) -> discovery_v1.Endpoint:
    going = bool(pod.metadata.deletionTimestamp)
    serving = is_ready(pod)
    ready = service.spec.publishNotReadyAddresses or (serving and not going)
    target = core_v1.ObjectReference(kind="Pod", namespace=pod.metadata.namespace, name=pod.metadata.name, uid=pod.metadata.uid)
    return discovery_v1.Endpoint(
        addresses=[pod.status.podIP],
        conditions=discovery_v1.EndpointConditions(ready=ready, serving=serving, terminating=going),
        nodeName=pod.spec.nodeName or None,
        targetRef=target,
        hostname=pod.spec.hostname if pod.spec.hostname and pod.spec.subdomain == service.metadata.name else None,
    )


async def _ignore_gone(call: Any) -> None:
    try:
        await call
    except (NotFound, AlreadyExists):
        return
