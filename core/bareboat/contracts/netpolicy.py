"""NetworkPolicy: the contract of what lets packets through to and from the pods of a node, and stops the others.

Vocabulary. A pod is *isolated* in a direction when at least one NetworkPolicy selects it for that direction; then only what some
rule allows passes. The kernel resolves selectors, namespaces and named ports; a driver sees addresses. Addresses that rules
share come as named sets, so that a pod which comes or goes changes one set and not a thousand rules.

Rules
* Level-triggered: ``sync`` gets the whole wanted state and makes the host equal to it in one atomic step; no packet passes
  unfiltered in between. The same state again changes nothing.
* Replies always pass. So does what a pod sends to itself, and what the node itself sends to its own pods (probes).
* Matched are a pod's own address and that of its peer *behind* a Service (after translation). What the node itself answers on a
  Service's behalf (names, the API server) may be matched by either: the address that the pod asked for, or the node's.
* What no rule allows is dropped without an answer.
* ``teardown`` removes everything of this instance; twice is success.

Source of the rules: the NetworkPolicy API (networking.k8s.io/v1).
Scenario: sync(pod A isolated, no rules) → nobody reaches A → sync(A, one rule: set "c…", TCP 80) → the set's pods reach A on port 80.
Errors: Unavailable when the host refuses the rules (nothing changed), Unsupported for a protocol that the driver does not know.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import msgspec

from bareboat.contracts.driver import Driver

GROUP = "bareboat.netpolicy.v1alpha1"


class AddressSet(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of pods under a name (``[0-9a-f]{16}``) that stays the same while its members change. May be empty."""

    name: str
    addresses: tuple[str, ...] = ()


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """``cidr`` without the ranges of ``excepted``."""

    cidr: str
    excepted: tuple[str, ...] = ()


class PortRange(msgspec.Struct, frozen=True, kw_only=True):
    """``first`` to ``last``, both included; 0 to 0 is every port of the protocol."""

    protocol: Literal["TCP", "UDP", "SCTP"]
    first: int = 0
    last: int = 0


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Lets through what matches one of the peers (``anyone``, a set, a block) *and* one of the ports (none named: all of them)."""

    anyone: bool = False
    sets: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    ports: tuple[PortRange, ...] = ()


class IsolatedPod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod of this node by its ``address``. ``ingress`` and ``egress``: None = not isolated in that direction, () = nothing passes."""

    name: str
    address: str
    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None


class PolicyState(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, sorted by name. Every set that a rule names is in ``sets``."""

    pods: tuple[IsolatedPod, ...] = ()
    sets: tuple[AddressSet, ...] = ()


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    protocols: tuple[str, ...] = ("TCP", "UDP", "SCTP")


class NetworkPolicyDriver(Driver):
    """The packet filter of one node."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    @abstractmethod
    async def sync(self, state: PolicyState) -> None:
        """Make the host equal to ``state``, atomically."""

    @abstractmethod
    async def teardown(self) -> None:
        """Remove every rule of this instance from the host."""
