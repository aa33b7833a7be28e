"""The contract's verbs over ``addresses``, ``links`` and ``rules``. One change at a time: the pool and the rules are shared."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import msgspec

from bareboat.contracts import nftables
from bareboat.contracts.cni import Attachment, Capabilities, NetworkConfig, NetworkDriver, Result
from bareboat.contracts.driver import Health, Host
from bareboat.contracts.errors import Conflict, NotFound
from bareboat_cni_bridge import links, rules
from bareboat_cni_bridge.addresses import AddressBook, Lease
from bareboat_cni_bridge.options import BridgeOptions


class BridgeDriver(NetworkDriver):
    """See contracts.cni.NetworkDriver."""

    capabilities = Capabilities()

    def __init__(self, options: BridgeOptions, host: Host) -> None:
        super().__init__(options, host)
        self._options = options
        self._bridge = f"bc{host.instance}"
        self._table = rules.table_name(host.instance)
        self._book = AddressBook(host.state_dir / "addresses.json")
        self._forwarding_before = host.state_dir / "ip_forward.before"
        self._config: NetworkConfig | None = None
        self._peers: set[str] = set()
        self._mtu = options.mtu
        self._lock = asyncio.Lock()

    async def status(self) -> Health:
        if self._config is None:
            return Health(ready=False, reason="NetworkNotConfigured", message="the node has no pod CIDR yet")
        if not await links.bridge_is_up(self._bridge):
            return Health(ready=False, reason="BridgeGone", message=f"bridge {self._bridge} is gone")
        return Health(ready=True)

    async def configure(self, config: NetworkConfig) -> None:
        async with self._lock:
            self._book.use(config.pod_cidr)
            self._switch_forwarding_on()
            self._mtu = self._options.mtu or config.mtu
            await self._prepare()
            await links.ensure_bridge(self._bridge, self._book.gateway, self._book.network.prefixlen, self._mtu, config.service_cidr)
            await self._connect(dict(config.peers))
            self._config = config
            await self._apply_rules()

    async def _prepare(self) -> None:
        """Before the bridge is made: what a network that builds on this one needs."""

    async def _connect(self, peers: dict[str, str]) -> None:
        """Lead to the other nodes' pods (their range: the node's address), and to no others."""
        await links.ensure_routes(peers)
        await links.drop_routes(self._peers - set(peers))
        self._peers = set(peers)

    async def _disconnect(self) -> None:
        await links.drop_routes(self._peers)

    async def add(self, attachment: Attachment) -> Result:
        async with self._lock:
            key = _key(attachment.container_id, attachment.ifname)
            known = self._book.leases.get(key)
            if known is not None and known.attachment != attachment:
                raise Conflict(f"{attachment.container_id} is attached with another namespace or other ports")
            lease = self._book.take(key, attachment, self._interface(key))
            gateway = self._book.gateway
            mac = await links.attach(self._bridge, lease.interface, attachment.netns, attachment.ifname, lease.address, gateway, self._mtu)
            lease = msgspec.structs.replace(lease, mac=mac)
            self._book.note(key, lease)
            if attachment.ports:
                await self._apply_rules()
            return self._result(lease)

    async def delete(self, container_id: str, ifname: str = "eth0") -> None:
        async with self._lock:
            await self._delete(_key(container_id, ifname))

    async def check(self, attachment: Attachment) -> None:
        lease = self._book.leases.get(_key(attachment.container_id, attachment.ifname))
        if lease is None:
            raise NotFound(f"{attachment.container_id} has no attachment {attachment.ifname}")
        await links.check(self._bridge, lease.interface, attachment.netns, attachment.ifname, lease.address)

    async def gc(self, valid: frozenset[str]) -> None:
        async with self._lock:
            for key, lease in list(self._book.leases.items()):
                if lease.attachment.container_id not in valid:
                    await self._delete(key)

    async def list_attachments(self) -> dict[str, Result]:
        return {lease.attachment.container_id: self._result(lease) for lease in self._book.leases.values()}

    async def teardown(self) -> None:
        async with self._lock:
            for key in list(self._book.leases):
                await self._delete(key, keep_rules=True)
            await self._disconnect()
            await links.remove(self._bridge)
            await nftables.delete(self._table)
            self._restore_forwarding()
            self._config = None

    async def _delete(self, key: str, *, keep_rules: bool = False) -> None:
        lease = self._book.leases.get(key)
        if lease is None:
            return
        await links.remove(lease.interface)
        self._book.release(key)
        if lease.attachment.ports and not keep_rules:
            await self._apply_rules()

    async def _apply_rules(self) -> None:
        if self._config is None:
            return
        ports = [(lease.address, port) for lease in self._book.leases.values() for port in lease.attachment.ports]
        await nftables.apply(rules.ruleset(self._table, self._config, ports, masquerade=self._options.masquerade))

    def _interface(self, key: str) -> str:
        """Fifteen characters at most: two, eight of the hash of instance and key, unique on the machine."""
        return "bv" + hashlib.sha256(f"{self.host.instance}/{key}".encode()).hexdigest()[:11]

    def _result(self, lease: Lease) -> Result:
        return Result(ips=(f"{lease.address}/32",), gateway=self._book.gateway, mac=lease.mac, host_interface=lease.interface)

    def _switch_forwarding_on(self) -> None:
        before = links.FORWARDING.read_text().strip()
        if before != "1":
            self._forwarding_before.write_text(before)
            links.FORWARDING.write_text("1")

    def _restore_forwarding(self) -> None:
        path: Path = self._forwarding_before
        if path.exists():
            links.FORWARDING.write_text(path.read_text())
            path.unlink()


def _key(container_id: str, ifname: str) -> str:
    return f"{container_id}/{ifname}"
