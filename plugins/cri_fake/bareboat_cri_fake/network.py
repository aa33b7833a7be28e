"""A network whose addresses are numbers, and a proxy that remembers."""

from __future__ import annotations

import ipaddress

import msgspec

from bareboat.contracts.cni import Attachment, Capabilities, NetworkConfig, NetworkDriver, Result
from bareboat.contracts.driver import Health, Host, NoOptions
from bareboat.contracts.errors import Conflict, Exhausted, InvalidConfig, NotFound
from bareboat.contracts.proxy import ProxyDriver, ProxyState


class _Book(msgspec.Struct):
    attachments: dict[str, Attachment] = {}
    addresses: dict[str, str] = {}


class FakeNetworkDriver(NetworkDriver):
    """See contracts.cni.NetworkDriver."""

    capabilities = Capabilities()

    def __init__(self, options: NoOptions, host: Host) -> None:
        super().__init__(options, host)
        self._path = host.state_dir / "addresses.json"
        self._book = msgspec.json.decode(self._path.read_bytes(), type=_Book) if self._path.exists() else _Book()
        self._network: ipaddress.IPv4Network | None = None

    async def status(self) -> Health:
        if self._network is None:
            return Health(ready=False, reason="NetworkNotConfigured", message="the node has no pod CIDR yet")
        return Health(ready=True)

    async def configure(self, config: NetworkConfig) -> None:
        try:
            self._network = ipaddress.IPv4Network(config.pod_cidr)
        except ValueError as error:
            raise InvalidConfig(f"pod CIDR {config.pod_cidr!r}: {error}") from error

    async def add(self, attachment: Attachment) -> Result:
        key = f"{attachment.container_id}/{attachment.ifname}"
        known = self._book.attachments.get(key)
        if known is not None and known != attachment:
            raise Conflict(f"{attachment.container_id} is attached with another namespace or other ports")
        if known is None:
            self._book.addresses[key] = self._free()
            self._book.attachments[key] = attachment
            self._save()
        return self._result(key)

    async def delete(self, container_id: str, ifname: str = "eth0") -> None:
        key = f"{container_id}/{ifname}"
        if self._book.attachments.pop(key, None) is not None:
            del self._book.addresses[key]
            self._save()

    async def check(self, attachment: Attachment) -> None:
        if f"{attachment.container_id}/{attachment.ifname}" not in self._book.attachments:
            raise NotFound(f"{attachment.container_id} has no attachment {attachment.ifname}")

    async def gc(self, valid: frozenset[str]) -> None:
        for attachment in list(self._book.attachments.values()):
            if attachment.container_id not in valid:
                await self.delete(attachment.container_id, attachment.ifname)

    async def list_attachments(self) -> dict[str, Result]:
        return {a.container_id: self._result(key) for key, a in self._book.attachments.items()}

    async def teardown(self) -> None:
        self._book = _Book()
        self._save()

    def _free(self) -> str:
        if self._network is None:
            raise InvalidConfig("the network is not configured yet: the node has no pod CIDR")
        taken = set(self._book.addresses.values())
        for number in range(int(self._network[2]), int(self._network[-1])):
            address = str(ipaddress.IPv4Address(number))
            if address not in taken:
                return address
        raise Exhausted(f"no free address in {self._network}", reason="AddressesExhausted")

    def _result(self, key: str) -> Result:
        gateway = str(self._network[1]) if self._network is not None else ""
        return Result(ips=(f"{self._book.addresses[key]}/32",), gateway=gateway)

    def _save(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self._book))
        temporary.replace(self._path)


class FakeProxyDriver(ProxyDriver):
    """``state`` is what it was told last."""

    def __init__(self, options: NoOptions, host: Host) -> None:
        super().__init__(options, host)
        self.state: ProxyState | None = None

    async def status(self) -> Health:
        return Health(ready=True)

    async def sync(self, state: ProxyState) -> None:
        self.state = state

    async def teardown(self) -> None:
        self.state = None
