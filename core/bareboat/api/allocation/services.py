"""Cluster IPs and node ports of Services: chosen or checked at the write, kept by the write, rebuilt from the log.

``plan`` fills in what a Service asks for and says what is wrong. The pools hold what the log's Services have, and what writes
under way will have: entering a plan takes its numbers, leaving it gives them back, by then the log's Service has them.
Another server may take the same number at the same moment: a write that takes one is guarded, and decided again.
"""

from __future__ import annotations

import ipaddress
import random
from types import TracebackType
from typing import Any

from bareboat.api.allocation.pool import Pool, PoolExhausted
from bareboat.models import core_v1
from bareboat.models.codec import decode
from bareboat.models.status import Cause, InternalError
from bareboat.store.entry import Change
from bareboat.store.errors import Raced
from bareboat.store.log import Log

SERVICES = "core/services"
#: Ports 1 … of the service range that are only given when asked for (the API server, DNS).
RESERVED = 16


class Plan:
    """The numbers that one write takes."""

    def __init__(self, owner: Allocations) -> None:
        self.causes: list[Cause] = []
        self.addresses: set[int] = set()
        self.ports: set[int] = set()
        self._owner = owner

    @property
    def guards(self) -> tuple[str, ...]:
        """For Log.write: under what nobody else may have written."""
        return (f"{SERVICES}/",) if self.addresses or self.ports else ()

    def __enter__(self) -> None:
        """Raises Raced if somebody took one of the numbers since the plan was made."""
        if not self.addresses and not self.ports:
            return
        owner = self._owner
        if any(map(owner.addresses.taken, self.addresses)) or any(map(owner.ports.taken, self.ports)):
            raise Raced("a number that was free is taken")
        for number in self.addresses:
            owner.addresses.take(number)
        for number in self.ports:
            owner.ports.take(number)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number in self.addresses:
            self._owner.addresses.release(number)
        for number in self.ports:
            self._owner.ports.release(number)


class Allocations:
    """The cluster's pools. ``configure`` sets the ranges before the first request; ``rebuild`` reads what is taken."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._nothing = Plan(self)
        self.configure("10.96.0.0/16", (30000, 32767))
        log.tap(f"{SERVICES}/", self._changed)

    def configure(self, service_cidr: str, node_ports: tuple[int, int]) -> None:
        self.network = ipaddress.IPv4Network(service_cidr)
        fraction = random.Random().random  # noqa: S311  spreads choices, guards nothing
        self.addresses = Pool(int(self.network[1]), int(self.network[-2]), fraction)
        self.ports = Pool(node_ports[0], node_ports[1], fraction)

    def rebuild(self) -> None:
        """Take what the Services in the log have. Called once, after the log has started."""
        self.addresses.clear()
        self.ports.clear()
        for entry in self._log.scan(f"{SERVICES}/"):
            service = decode(core_v1.Service, entry.data)
            for number in _addresses(service):
                self.addresses.take(number)
            for number in _ports(service):
                self.ports.take(number)

    def plan(self, resource: str, new: Any, old: Any) -> Plan:
        """Complete ``new`` in place. Not a Service: the empty plan."""
        if resource != SERVICES:
            return self._nothing
        plan = Plan(self)
        had_addresses, had_ports = (_addresses(old), _ports(old)) if old is not None else (set(), set())
        self._plan_addresses(plan, new, had_addresses)
        self._plan_ports(plan, new, had_ports)
        return plan

    def _changed(self, change: Change) -> None:
        before = None if change.previous is None else decode(core_v1.Service, change.previous.data)
        after = None if change.deleted else decode(core_v1.Service, change.entry.data)
        _move(self.addresses, _addresses(before) if before else set(), _addresses(after) if after else set())
        _move(self.ports, _ports(before) if before else set(), _ports(after) if after else set())

    def _plan_addresses(self, plan: Plan, service: core_v1.Service, had: set[int]) -> None:
        spec = service.spec
        if spec.type == "ExternalName" or spec.clusterIP == "None":
            return
        if not spec.clusterIP:
            try:
                number = self.addresses.free(set(range(self.addresses.first, self.addresses.first + RESERVED)))
            except PoolExhausted:
                raise InternalError("failed to allocate a serviceIP: range is full") from None
            plan.addresses.add(number)
            spec.clusterIP = str(ipaddress.IPv4Address(number))
            spec.clusterIPs = [spec.clusterIP]
            return
        try:
            number = int(ipaddress.IPv4Address(spec.clusterIP))
        except ValueError:
            return  # validation says so
        if number in had:
            return
        if number not in self.addresses:
            message = f"the provided IP ({spec.clusterIP}) is not in the valid range. The range of valid IPs is {self.network}"
            plan.causes.append(_refused(spec.clusterIPs or spec.clusterIP, "spec.clusterIPs", spec.clusterIP, message))
        elif self.addresses.taken(number):
            plan.causes.append(_refused(spec.clusterIPs, "spec.clusterIPs", spec.clusterIP, "provided IP is already allocated"))
        else:
            plan.addresses.add(number)

    def _plan_ports(self, plan: Plan, service: core_v1.Service, had: set[int]) -> None:
        spec = service.spec
        wants = spec.type == "NodePort" or (spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is not False)
        if not wants and not any(port.nodePort for port in spec.ports):
            return
        shared: dict[int, int] = {}  # the same port number with another protocol gets the same node port
        for index, port in enumerate(spec.ports):
            if not port.nodePort:
                port.nodePort = shared.get(port.port) or self._free_port(plan, had)
                plan.ports |= {port.nodePort} - had
            elif port.nodePort not in had and port.nodePort not in plan.ports:
                self._claim_port(plan, port.nodePort, f"spec.ports[{index}].nodePort")
            shared[port.port] = port.nodePort
        if spec.type == "LoadBalancer" and spec.externalTrafficPolicy == "Local" and not spec.healthCheckNodePort:
            spec.healthCheckNodePort = self._free_port(plan, had)
            plan.ports.add(spec.healthCheckNodePort)

    def _free_port(self, plan: Plan, had: set[int]) -> int:
        try:
            return self.ports.free(plan.ports | had)
        except PoolExhausted:
            raise InternalError("failed to allocate a nodePort: range is full") from None

    def _claim_port(self, plan: Plan, number: int, field: str) -> None:
        if number not in self.ports:
            message = f"provided port is not in the valid range. The range of valid ports is {self.ports.first}-{self.ports.last}"
            plan.causes.append(Cause("FieldValueInvalid", f"Invalid value: {number}: {message}", field))
        elif self.ports.taken(number):
            plan.causes.append(Cause("FieldValueInvalid", f"Invalid value: {number}: provided port is already allocated", field))
        else:
            plan.ports.add(number)


def _move(pool: Pool, before: set[int], after: set[int]) -> None:
    for number in after - before:
        pool.take(number)
    for number in before - after:
        pool.release(number)


def _refused(value: object, field: str, address: str, because: str) -> Cause:
    shown = "[" + ",".join(f'"{v}"' for v in value) + "]" if isinstance(value, list) else f'"{value}"'
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: failed to allocate IP {address}: {because}", field)


def _addresses(service: core_v1.Service) -> set[int]:
    found = set()
    for text in {service.spec.clusterIP, *service.spec.clusterIPs}:
        try:
            found.add(int(ipaddress.IPv4Address(text)))
        except ValueError:
            continue  # None, "" or an IPv6 address: not from this pool
    return found


def _ports(service: core_v1.Service) -> set[int]:
    ports = {port.nodePort for port in service.spec.ports if port.nodePort}
    return ports | {service.spec.healthCheckNodePort} if service.spec.healthCheckNodePort else ports
