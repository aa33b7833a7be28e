"""The contract's verbs as chains of CNI binaries: ADD in order, everything that undoes in reverse.

One attachment is worked on by one call at a time; a cancelled call goes on, and its key is InProgress until it ends. Links of the node
that came with an attachment (a bridge) stay when it goes, as the specification has it, and are removed by ``teardown``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bareboat.contracts.cni import Attachment, Capabilities, NetworkConfig, NetworkDriver, Result
from bareboat.contracts.driver import Health, Host
from bareboat.contracts.errors import Conflict, DriverError, InProgress, InvalidConfig, NotFound, Unavailable
from bareboat_cni_exec import conflist, translate
from bareboat_cni_exec.cache import Cache, Entry, key
from bareboat_cni_exec.chain import Chain, agreed
from bareboat_cni_exec.execution import Binaries
from bareboat_cni_exec.node_links import NodeLinks
from bareboat_cni_exec.options import ExecOptions

T = TypeVar("T")


class ExecDriver(NetworkDriver):
    """See contracts.cni.NetworkDriver."""

    capabilities = Capabilities(peers=False)
    options: ExecOptions

    def __init__(self, options: ExecOptions, host: Host) -> None:
        super().__init__(options, host)
        self._binaries = Binaries(options.binDir, options.timeout)
        self._cache = Cache(host.state_dir / "attachments")
        self._links = NodeLinks(host.state_dir / "links.json")
        self._config: NetworkConfig | None = None
        self._chain: Chain | None = None
        self._running: dict[str, asyncio.Task[Any]] = {}

    async def configure(self, config: NetworkConfig) -> None:
        if self._chain is not None and config == self._config:
            return
        found = conflist.load(self.options, config, instance=self.host.instance, ipam=self.host.state_dir / "ipam")
        version = await agreed(found, self._binaries)
        self._links.remember_forwarding()
        self._config, self._chain = config, Chain(self._binaries, found, version, config)

    async def status(self) -> Health:
        if self._chain is None:
            return Health(ready=False, reason="NetworkNotConfigured", message="the node has no pod CIDR yet")
        try:
            await self._chain.status()
        except DriverError as error:
            return Health(ready=False, reason=error.reason, message=error.message)
        return Health(ready=True)

    async def add(self, attachment: Attachment) -> Result:
        name = key(attachment.container_id, attachment.ifname)
        return await self._alone(name, self._add(name, attachment))

    async def _add(self, name: str, attachment: Attachment) -> Result:
        known = self._cache.entries.get(name)
        if known is not None and known.attachment != attachment:
            raise Conflict(f"{attachment.container_id} is attached with another namespace or other ports")
        if known is not None and known.result:
            return translate.result_of(known.result, attachment.ifname)
        if self._chain is None:
            raise Unavailable("the network is not configured yet: the node has no pod CIDR", reason="NetworkNotConfigured")
        if not Path(attachment.netns).exists():
            raise NotFound(f"network namespace {attachment.netns} does not exist")
        if known is not None:
            await self._undo(name, known)
        return await self._attach(name, attachment, self._chain)

    async def _attach(self, name: str, attachment: Attachment, chain: Chain) -> Result:
        entry = chain.entry(attachment)
        self._cache.note(entry)
        before = set(os.listdir("/sys/class/net"))
        try:
            answer = await chain.add(entry)
            result = translate.result_of(answer, attachment.ifname)
            if not result.ips:
                raise InvalidConfig(f"network {entry.name}: the result has no address for {attachment.ifname}", reason="NoAddress")
        except DriverError as error:
            await self._take_back(name, entry, error)
            raise
        self._links.note([link for link in translate.host_interfaces(answer) if link not in before])
        self._cache.note(msgspec.structs.replace(entry, result=answer))
        return result

    async def _take_back(self, name: str, entry: Entry, error: DriverError) -> None:
        """After a failure: what the first plugins of the chain did. If that fails too, the entry stays for ``delete``."""
        try:
            await self._undo(name, entry)
        except DriverError as second:
            self.host.log.warning("%s: could not be undone after %s: %s", name, error.message, second.message)

    async def delete(self, container_id: str, ifname: str = "eth0") -> None:
        name = key(container_id, ifname)
        if name in self._cache.entries or name in self._running:
            await self._alone(name, self._delete(name))

    async def _delete(self, name: str) -> None:
        entry = self._cache.entries.get(name)
        if entry is not None:
            await self._undo(name, entry)

    async def _undo(self, name: str, entry: Entry) -> None:
        await Chain.of(entry, self._binaries, self._config).delete(entry)
        self._cache.forget(name)

    async def check(self, attachment: Attachment) -> None:
        entry = self._cache.entries.get(key(attachment.container_id, attachment.ifname))
        if entry is None or not entry.result:
            raise NotFound(f"{attachment.container_id} has no attachment {attachment.ifname}")
        if not Path(attachment.netns).exists():
            raise NotFound(f"network namespace {attachment.netns} does not exist")
        disabled = self._chain is not None and self._chain.conf.disable_check
        try:
            await Chain.of(entry, self._binaries, self._config).check(entry, disabled=disabled)
        except Unavailable:
            raise
        except DriverError as error:
            raise NotFound(error.message, reason="CheckFailed") from error

    async def gc(self, valid: frozenset[str]) -> None:
        for name, entry in list(self._cache.entries.items()):
            if entry.attachment.container_id not in valid:
                await self.delete(entry.attachment.container_id, entry.attachment.ifname)
                self._cache.forget(name)
        if self._chain is not None:
            await self._chain.gc([e.attachment for e in self._cache.entries.values()])

    async def list_attachments(self) -> dict[str, Result]:
        found = (e for e in self._cache.entries.values() if e.result)
        return {e.attachment.container_id: translate.result_of(e.result, e.attachment.ifname) for e in found}

    async def teardown(self) -> None:
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self.gc(frozenset())
        await self._links.remove()
        self._config = self._chain = None

    async def close(self) -> None:
        """What runs comes to its end first: a binary killed half-way leaves what nobody knows of."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _alone(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        if name in self._running:
            work.close()
            raise InProgress(f"another call on {name} is running")
        task = asyncio.get_running_loop().create_task(work, name=f"cni-{name}")
        self._running[name] = task
        task.add_done_callback(lambda _: self._running.pop(name, None))
        return await asyncio.shield(task)
