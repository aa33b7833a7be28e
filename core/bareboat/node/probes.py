"""Probes: one task per container and probe, telling success and failure after the thresholds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bareboat.base.clock import Clock
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1

Exec = Callable[[tuple[str, ...], float], Awaitable[tuple[int, bytes, bytes]]]


class Prober:
    """Runs one probe until cancelled; ``tell(True or False, message)`` on every change of mind."""

    def __init__(
        self, probe: core_v1.Probe, container: core_v1.Container, address: str, run: Exec, clock: Clock, *, reachable: bool = True
    ) -> None:
        self._probe = probe
        self._container = container
        self._address = address
        self._exec = run
        self._clock = clock
        self._reachable = reachable

    async def run(self, tell: Callable[[bool, str], None], *, once: bool = False) -> None:
        """``once``: return after the first success (startup probes)."""
        probe, successes, failures = self._probe, 0, 0
        await self._clock.sleep(probe.initialDelaySeconds)
        while True:
            passed, message = await self._try()
            successes, failures = (successes + 1, 0) if passed else (0, failures + 1)
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
            return code == 0, (out + err).decode(errors="replace")[:1024]
        if not self._reachable:
            return True, ""
        if probe.tcpSocket is not None:
            host = probe.tcpSocket.host or self._address
            _, writer = await asyncio.open_connection(host, port_number(self._container, probe.tcpSocket.port))
            writer.close()
            return True, ""
        if probe.httpGet is not None:
            return await http_get(probe.httpGet, self._container, self._address)
        return False, "this kind of probe is not offered by the node"


def port_number(container: core_v1.Container, port: int | str) -> int:
    """Raises OSError for a name that the container does not have."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for known in container.ports:
        if known.name == port:
            return known.containerPort
    raise OSError(f"the container has no port named {port}")


async def http_get(action: Any, container: core_v1.Container, address: str) -> tuple[bool, str]:
    """200 to 399 is success; certificates are not verified, as upstream."""
    import aiohttp

    scheme = action.scheme.lower()
    url = f"{scheme}://{action.host or address}:{port_number(container, action.port)}{action.path}"
    headers = {h.name: h.value for h in action.httpHeaders}
    headers.setdefault("User-Agent", "kube-probe/1.36")
    connector = aiohttp.TCPConnector(force_close=True, ssl=False)
    try:
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url, headers=headers, allow_redirects=False) as found:
            text = (await found.content.read(1024)).decode(errors="replace")
            return 200 <= found.status < 400, f"HTTP probe failed with statuscode: {found.status}: {text}"
    except aiohttp.ClientError as error:
        return False, f'Get "{url}": {error}'
