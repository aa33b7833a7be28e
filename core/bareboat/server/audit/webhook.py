"""The webhook back end: events in batches, as EventLists, to the server that a kubeconfig names.

Never waits for that server on a request's behalf: what does not fit into the buffer, or cannot be delivered after some tries, is
lost, counted and told in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from bareboat.base.clock import Clock
from bareboat.client import kubeconfig
from bareboat.client.kubeconfig import KubeconfigError
from bareboat.models.status import ApiError
from bareboat.server.audit.policy import PolicyError

log = logging.getLogger("bareboat.audit")
TRIES: Final = 5
_LIST: Final = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":['
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})


class WebhookOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``kubeconfig`` says where to and with which credentials. The rest as upstream's ``--audit-webhook-batch-…``; times in seconds."""

    kubeconfig: str
    bufferSize: int = 10_000
    maxBatchSize: int = 400
    maxBatchWait: float = 30.0
    throttleQPS: float = 10.0
    throttleBurst: int = 15
    initialBackoff: float = 10.0


class WebhookBackend:
    """One server. Raises PolicyError for a kubeconfig that cannot be used."""

    name = "webhook"
    full = False

    def __init__(self, options: WebhookOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        try:
            self._transport = kubeconfig.load(Path(options.kubeconfig), user_agent="kube-apiserver-audit")
        except KubeconfigError as error:
            raise PolicyError(f"the audit webhook's kubeconfig: {error}") from error
        self._events: deque[bytes] = deque()
        self._come = asyncio.Event()
        self._tokens, self._filled = float(options.throttleBurst), clock.monotonic()
        self.errors = 0

    def put(self, event: bytes) -> None:
        if len(self._events) >= self._options.bufferSize:
            self.errors += 1
            return
        self._events.append(event)
        if len(self._events) == 1 or len(self._events) >= self._options.maxBatchSize:
            self._come.set()

    async def run(self) -> None:
        try:
            while True:
                await self._batch_there()
                await self._throttle()
                await self._deliver(self._taken())
        finally:
            await self._last()

    async def _batch_there(self) -> None:
        """A full batch, or the first of its events has waited long enough."""
        options = self._options
        await self._come.wait()
        try:
            async with asyncio.timeout(options.maxBatchWait):
                while len(self._events) < options.maxBatchSize:
                    self._come.clear()
                    await self._come.wait()
        except TimeoutError:
            return

    def _taken(self) -> list[bytes]:
        batch = list(islice(self._events, self._options.maxBatchSize))
        for _ in batch:
            self._events.popleft()
        if not self._events:
            self._come.clear()
        else:
            self._come.set()
        return batch

    async def _throttle(self) -> None:
        options, now = self._options, self._clock.monotonic()
        self._tokens = min(float(options.throttleBurst), self._tokens + (now - self._filled) * options.throttleQPS)
        self._filled = now
        if self._tokens < 1:
            await self._clock.sleep((1 - self._tokens) / options.throttleQPS)
        self._tokens -= 1

    async def _deliver(self, batch: list[bytes]) -> None:
        if not batch:
            return
        body, wait, fault = _LIST + b",".join(batch) + b"]}", self._options.initialBackoff, ""
        for left in range(TRIES - 1, -1, -1):
            fault = await self._post(body)
            if not fault or fault.startswith("refused"):
                break
            if left:
                await self._clock.sleep(wait)
                wait *= 1.5
        if fault:
            self.errors += len(batch)
            log.warning("%d audit events were not delivered: %s", len(batch), fault)

    async def _post(self, body: bytes) -> str:
        """What went wrong; "": nothing."""
        try:
            async with asyncio.timeout(30.0):
                answer: Any = await self._transport.request("POST", "", body=body)
        except (ApiError, OSError, TimeoutError) as error:
            return str(error) or type(error).__name__
        if answer.status < 300:
            return ""
        return f"{'status' if answer.status in _AGAIN else 'refused with'} {answer.status}"

    async def _last(self) -> None:
        """What is left when the server stops gets one try."""
        if self._events:
            batch = list(self._events)
            self._events.clear()
            fault = await self._post(_LIST + b",".join(batch) + b"]}")
            if fault:
                self.errors += len(batch)
                log.warning("%d audit events were not delivered: %s", len(batch), fault)
        await self._transport.close()
