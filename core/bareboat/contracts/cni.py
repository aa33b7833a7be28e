"""CNI: the pod network contract, after the Container Network Interface specification 1.1 (add, delete, check, status, gc).

Vocabulary. An *attachment* is one interface in one sandbox, keyed by (container_id, ifname). The driver owns the address
pool of its node: ``pod_cidr`` is handed over in the network configuration and never changes for a node.

Rules: ``add`` for a known key returns the same result; ``delete`` of an unknown attachment or of a namespace that is
gone is success; ``gc`` removes what is not in the list of valid attachments; addresses survive a restart of the driver
(kept under ``host.state_dir``). Errors: Exhausted when the pool is empty, InvalidConfig for a bad CIDR, Unavailable otherwise.

Scenario: configure(cidr) → add(sandbox id, netns, "eth0", ports) → Result with addresses → … → delete(sandbox id) → gc(valid).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import msgspec

from bareboat.contracts.cri import PortMapping
from bareboat.contracts.driver import Driver

GROUP = "bareboat.cni.v1"


class NetworkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``pod_cidr`` of this node, ``cluster_cidr`` of all pods and ``service_cidr`` (never masqueraded), ``mtu`` 0 = the uplink's.

    ``peers`` are the other nodes: (pod_cidr, node address): the driver routes to them.
    """

    pod_cidr: str
    cluster_cidr: str
    service_cidr: str
    mtu: int = 0
    peers: tuple[tuple[str, str], ...] = ()


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """``netns`` is a path; ``ports`` are hostPorts to open for it."""

    container_id: str
    netns: str
    ifname: str = "eth0"
    ports: tuple[PortMapping, ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """``ips`` in CIDR form, primary first; ``gateway`` "" if none; ``mac`` of the interface."""

    ips: tuple[str, ...]
    gateway: str = ""
    mac: str = ""
    host_interface: str = ""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    port_mappings: bool = True
    peers: bool = True


class NetworkDriver(Driver):
    """The pod network of one node."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    @abstractmethod
    async def configure(self, config: NetworkConfig) -> None:
        """Create or adapt bridge, routes and masquerade.

        Called at start and whenever peers change; the same config again changes nothing.
        """

    @abstractmethod
    async def add(self, attachment: Attachment) -> Result:
        """Give the sandbox its interface and address."""

    @abstractmethod
    async def delete(self, container_id: str, ifname: str = "eth0") -> None:
        """Release interface, address and hostPorts. Unknown: success."""

    @abstractmethod
    async def check(self, attachment: Attachment) -> None:
        """Raise NotFound if the attachment or anything it needs is no longer in place."""

    @abstractmethod
    async def gc(self, valid: frozenset[str]) -> None:
        """Remove every attachment whose container_id is not in ``valid``."""

    @abstractmethod
    async def list_attachments(self) -> dict[str, Result]:
        """container_id → result of every attachment of this node, also of an earlier process."""

    @abstractmethod
    async def teardown(self) -> None:
        """Remove everything of this instance from the host: interfaces, rules, routes. For `bareboat down`."""
