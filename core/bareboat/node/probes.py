"""Probes: one task per container and probe, telling success and failure after the thresholds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bareboat.base.clock import Clock
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.node.http_action import http_get, port_number

Exec = Callable[[tuple[str, ...], float], Awaitable[tuple[int, bytes, bytes]]]
AGENT = "kube-probe/1.36"
_OUTPUT = 10_240


class Prober:
    """Runs one probe until cancelled; ``tell(True or False, message)`` once enough results agree, ``failed(message)`` for each failure."""

    def __init__(
        self,
        probe: core_v1.Probe,
        container: core_v1.Container,
        address: str,
        run: Exec,
        clock: Clock,
        *,
        reachable: bool = True,
        warn: Callable[[str], None] = lambda _: None,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._probe = probe
        self._container = container
        self._address = address
        self._exec = run
        self._clock = clock
        self._reachable = reachable
        self._warn = warn
        self._failed = failed

    async def run(self, tell: Callable[[bool, str], None], *, once: bool = False) -> None:
        """``once``: return after the first success (startup probes)."""
        probe, successes, failures = self._probe, 0, 0
        await self._clock.sleep(probe.initialDelaySeconds)
        while True:
            passed, message = await self._try()
            successes, failures = (successes + 1, 0) if passed else (0, failures + 1)
            if not passed:
                self._failed(message)
            if successes >= probe.successThreshold:
                tell(True, "")
                if once:
                    return
            elif failures >= probe.failureThreshold:
                tell(False, message)
                failures = 0
            await self._clock.sleep(probe.periodSeconds)

    async def _try(self) -> tuple[bool, str]:
        try:
            async with asyncio.timeout(self._probe.timeoutSeconds):
                return await self._once()
        except TimeoutError:
            return False, f"timed out after {self._probe.timeoutSeconds} s"
        except (OSError, DriverError) as error:
            return False, str(error)

    async def _once(self) -> tuple[bool, str]:
        probe: Any = self._probe
        if probe.exec is not None:
            code, out, err = await self._exec(tuple(probe.exec.command), float(probe.timeoutSeconds))
            return code == 0, (out + err).decode(errors="replace")[:_OUTPUT]
        if not self._reachable:
            return True, ""
        if probe.tcpSocket is not None:
            host = probe.tcpSocket.host or self._address
            _, writer = await asyncio.open_connection(host, port_number(self._container, probe.tcpSocket.port))
            writer.close()
            return True, ""
        if probe.httpGet is not None:
            return await http_get(probe.httpGet, self._container, self._address, AGENT, self._warn)
        from bareboat.node import grpc_health

        return await grpc_health.check(self._address, int(probe.grpc.port), probe.grpc.service or "")
