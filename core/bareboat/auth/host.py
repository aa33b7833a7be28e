"""What the kernel lends authenticators and authorizers (contracts.auth.AuthHost). ``close`` when the server stops."""

from __future__ import annotations

from typing import Any

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client.webhooks import WebhookCaller
from bareboat.contracts.auth import Expression, Reader


class AuthHost:
    def __init__(self, reader: Reader, clock: Clock, ids: Ids, audiences: tuple[str, ...]) -> None:
        self.clock = clock
        self.ids = ids
        self.audiences = audiences
        self._caller = WebhookCaller(reader, ids)

    async def call(self, client: dict[str, Any], review: bytes, timeout: float) -> bytes:
        """See contracts.auth.AuthHost.call."""
        return await self._caller.post(client, review, timeout)

    def expression(self, text: str, variables: tuple[str, ...]) -> Expression:
        """See contracts.auth.AuthHost.expression."""
        from bareboat.cel.environment import compiled

        return compiled(text, variables)

    async def close(self) -> None:
        await self._caller.close()
