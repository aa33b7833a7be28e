"""The contract's verbs. The table is replaced as a whole: nothing is remembered, so nothing can be out of step."""

from __future__ import annotations

import asyncio

from bareboat.contracts import nftables
from bareboat.contracts.driver import Health, Host, NoOptions
from bareboat.contracts.netpolicy import NetworkPolicyDriver, PolicyState
from bareboat_netpol_nftables.ruleset import ruleset


class NftablesDriver(NetworkPolicyDriver):
    """See contracts.netpolicy.NetworkPolicyDriver."""

    def __init__(self, options: NoOptions, host: Host) -> None:
        super().__init__(options, host)
        self._table = f"bareboat-{host.instance}-netpol"
        self._applied: PolicyState | None = None
        self._lock = asyncio.Lock()

    async def status(self) -> Health:
        code, _, errors = await nftables.run("list", "tables")
        return Health(ready=True) if code == 0 else Health(ready=False, reason="NftFailed", message=errors)

    async def sync(self, state: PolicyState) -> None:
        async with self._lock:
            if state == self._applied:
                return
            self._applied = None
            await nftables.apply(ruleset(self._table, state))
            self._applied = state

    async def teardown(self) -> None:
        async with self._lock:
            self._applied = None
            await nftables.apply(ruleset(self._table, None))
