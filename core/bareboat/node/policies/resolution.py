"""NetworkPolicies, pods and namespaces as they are now → who of this node's pods is isolated, and what may pass. Pure functions.

A named port means the number that the receiving pod gives it: the isolated pod's own for ingress, each peer's for egress. A rule
whose ports name nothing lets nothing through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from bareboat.contracts.netpolicy import AddressSet, Block, IsolatedPod, PolicyState, PortRange, Rule
from bareboat.models import core_v1, networking_v1
from bareboat.models.codec import encode
from bareboat.models.selectors import Selector, from_label_selector

Protocol: TypeAlias = Literal["TCP", "UDP", "SCTP"]
_ENDED = ("Succeeded", "Failed")


class PodFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What policies ask of a pod. ``ports``: (name, protocol) → number. ``local``: it runs on this node."""

    namespace: str
    name: str
    labels: dict[str, str]
    address: str
    ports: dict[tuple[str, str], int] = {}
    local: bool = False


def facts(pod: core_v1.Pod, node: str) -> PodFacts | None:
    """None for a pod that has no address of its own (yet, any more, or because it uses the node's)."""
    address = next((a for a in (pod.status.podIP,) if ":" not in a), "")
    if not address or pod.spec.hostNetwork or pod.status.phase in _ENDED:
        return None
    ports = {(p.name, p.protocol or "TCP"): p.containerPort for c in pod.spec.containers for p in c.ports if p.name}
    return PodFacts(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        labels=dict(pod.metadata.labels),
        address=address,
        ports=ports,
        local=pod.spec.nodeName == node,
    )


def resolve(
    policies: Iterable[networking_v1.NetworkPolicy], pods: Sequence[PodFacts], namespaces: Mapping[str, Mapping[str, str]]
) -> PolicyState:
    """``namespaces``: name → labels."""
    resolution = _Resolution(pods, namespaces)
    for policy in sorted(policies, key=lambda p: (p.metadata.namespace, p.metadata.name)):
        resolution.take(policy)
    return resolution.state()


class _Resolution:
    def __init__(self, pods: Sequence[PodFacts], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self._pods = pods
        self._namespaces = namespaces
        self._sets: dict[str, AddressSet] = {}
        self._rules: dict[str, dict[str, list[Rule]]] = {}
        self._isolated: dict[str, PodFacts] = {}

    def take(self, policy: networking_v1.NetworkPolicy) -> None:
        space, spec = policy.metadata.namespace, policy.spec
        wanted = _selector(spec.podSelector)
        selected = [p for p in self._pods if p.local and p.namespace == space and wanted.matches(p.labels)]
        for pod in selected:
            rules = self._rules.setdefault(pod.address, {})
            self._isolated[pod.address] = pod
            if "Ingress" in spec.policyTypes:
                found = [r for rule in spec.ingress if (r := self._ingress(space, rule, pod)) is not None]
                rules.setdefault("ingress", []).extend(found)
            if "Egress" in spec.policyTypes:
                rules.setdefault("egress", []).extend(r for rule in spec.egress for r in self._egress(space, rule))

    def state(self) -> PolicyState:
        isolated = [
            IsolatedPod(
                name=f"{pod.namespace}/{pod.name}",
                address=address,
                ingress=_unique(self._rules[address].get("ingress")),
                egress=_unique(self._rules[address].get("egress")),
            )
            for address, pod in self._isolated.items()
        ]
        return PolicyState(
            pods=tuple(sorted(isolated, key=lambda p: (p.name, p.address))), sets=tuple(self._sets[n] for n in sorted(self._sets))
        )

    def _ingress(self, space: str, rule: Any, pod: PodFacts) -> Rule | None:
        ports = [found for port in rule.ports if (found := _ports(port, pod.ports)) is not None]
        if rule.ports and not ports:
            return None
        return self._rule(space, rule.from_, tuple(ports))

    def _egress(self, space: str, rule: Any) -> list[Rule]:
        """One rule for the ports that are numbers, one for each named port and number that a peer gives it."""
        if not rule.ports:
            return [self._rule(space, rule.to, ())]
        named = [p for p in rule.ports if isinstance(p.port, str)]
        numbers = tuple(found for p in rule.ports if (found := _ports(p, {})) is not None)
        rules = [self._rule(space, rule.to, numbers)] if numbers else []
        for port in named:
            protocol: Protocol = port.protocol or "TCP"
            key = (port.port, protocol)
            for number in sorted({p.ports[key] for p in self._pods if key in p.ports}):
                ports = (PortRange(protocol=protocol, first=number, last=number),)
                rules.append(self._rule(space, rule.to or [_EVERY_POD], ports, (*key, number)))
        return rules

    def _rule(self, space: str, peers: Sequence[Any], ports: tuple[PortRange, ...], named: tuple[str, str, int] | None = None) -> Rule:
        if not peers:
            return Rule(anyone=True, ports=ports)
        blocks = tuple(Block(cidr=p.ipBlock.cidr, excepted=tuple(p.ipBlock.except_)) for p in peers if p.ipBlock is not None)
        sets = tuple(self._set(space, p, named) for p in peers if p.ipBlock is None)
        return Rule(sets=tuple(dict.fromkeys(sets)), blocks=() if named else _ipv4(blocks), ports=ports)

    def _set(self, space: str, peer: Any, named: tuple[str, str, int] | None) -> str:
        """The name of the set of the pods that a peer means, of those only that give a port this name and number."""
        spaces = "" if peer.namespaceSelector is not None else space
        text = b"|".join((spaces.encode(), _text(peer.namespaceSelector), _text(peer.podSelector), repr(named).encode()))
        name = hashlib.sha256(text).hexdigest()[:16]
        if name not in self._sets:
            members = sorted({p.address for p in self._meant(spaces, peer) if named is None or p.ports.get(named[:2]) == named[2]})
            self._sets[name] = AddressSet(name=name, addresses=tuple(members))
        return name

    def _meant(self, space: str, peer: Any) -> list[PodFacts]:
        spaces = {space}
        if peer.namespaceSelector is not None:
            wanted = _selector(peer.namespaceSelector)
            spaces = {name for name, labels in self._namespaces.items() if wanted.matches(labels)}
        pods = _selector(peer.podSelector)
        return [p for p in self._pods if p.namespace in spaces and pods.matches(p.labels)]


_EVERY_POD = networking_v1.NetworkPolicyPeer(namespaceSelector=networking_v1.NetworkPolicySpec().podSelector)


def _selector(selector: Any) -> Selector:
    return Selector() if selector is None else from_label_selector(selector)


def _text(selector: Any) -> bytes:
    return b"-" if selector is None else encode(selector)


def _ports(port: Any, named: Mapping[tuple[str, str], int]) -> PortRange | None:
    """None for a name that means nothing."""
    protocol: Protocol = port.protocol or "TCP"
    if isinstance(port.port, str):
        number = named.get((port.port, protocol))
        return None if number is None else PortRange(protocol=protocol, first=number, last=number)
    first = port.port or 0
    return PortRange(protocol=protocol, first=first, last=port.endPort or first)


def _ipv4(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    return tuple(b for b in blocks if ":" not in b.cidr)


def _unique(rules: list[Rule] | None) -> tuple[Rule, ...] | None:
    return None if rules is None else tuple(dict.fromkeys(rules))
