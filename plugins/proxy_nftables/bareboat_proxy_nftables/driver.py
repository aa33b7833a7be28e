"""The contract's verbs. Level-triggered: a sync compares with what the table holds, not with what was asked before."""

from __future__ import annotations

import asyncio

from pyroute2.netlink.exceptions import NetlinkError

from bareboat.contracts import nftables
from bareboat.contracts.driver import Health, Host, NoOptions
from bareboat.contracts.proxy import Capabilities, ProxyDriver, ProxyState
from bareboat_proxy_nftables.contents import objects
from bareboat_proxy_nftables.flows import Endpoints, endpoints, forget_stale
from bareboat_proxy_nftables.ruleset import Rules, build, transaction


class NftablesDriver(ProxyDriver):
    """See contracts.proxy.ProxyDriver."""

    capabilities = Capabilities()

    def __init__(self, options: NoOptions, host: Host) -> None:
        super().__init__(options, host)
        self._table = f"bareboat-{host.instance}-proxy"
        self._applied: Rules | None = None
        #: for which no flow goes to a former endpoint
        self._swept: Endpoints = {}
        self._lock = asyncio.Lock()

    async def status(self) -> Health:
        code, _, errors = await nftables.run("list", "tables")
        return Health(ready=True) if code == 0 else Health(ready=False, reason="NftFailed", message=errors)

    async def sync(self, state: ProxyState) -> None:
        async with self._lock:
            await self._apply(build(state))
            await self._sweep(endpoints(state))

    async def _apply(self, rules: Rules) -> None:
        if rules == self._applied:
            return
        chains, sets = await objects(self._table)
        stale_chains = {c for c in chains if c.startswith(("svc-", "ext-", "ep-"))} - set(rules.chains)
        stale_sets = {s for s in sets if s.startswith("aff-")} - set(rules.affinity)
        self._applied = None
        await nftables.apply(transaction(self._table, rules, stale_chains, stale_sets))
        self._applied = rules

    async def _sweep(self, wanted: Endpoints) -> None:
        """New rules are for new flows: old ones of UDP are ended where their endpoint is gone."""
        if wanted == self._swept:
            return
        self._swept = wanted
        try:
            forgotten = await self.host.blocking(forget_stale, wanted)
        except (OSError, NetlinkError) as error:  # new flows are right all the same
            self.host.log.warning("UDP flows to endpoints that are gone go on until their clients pause: %s", error)
        else:
            if forgotten:
                self.host.log.info("%d UDP flows to endpoints that are gone were ended", forgotten)

    async def teardown(self) -> None:
        async with self._lock:
            self._applied = None
            await nftables.delete(self._table)
