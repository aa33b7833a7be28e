"""The HTTP request of a probe or a hook: 200 to 399 is success; certificates are not verified, as upstream.

Redirects are followed as long as they stay on the host; one that leads away counts as success, with a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

from bareboat.models import core_v1

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
_BODY = 10_240


def port_number(container: core_v1.Container, port: int | str) -> int:
    """Raises OSError for a name that the container does not have."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for known in container.ports:
        if known.name == port:
            return known.containerPort
    raise OSError(f"the container has no port named {port}")


async def http_get(
    action: Any, container: core_v1.Container, address: str, agent: str, warn: Callable[[str], None] = lambda _: None
) -> tuple[bool, str]:
    """Whether it succeeded, and what to say if not. ``agent`` is the User-Agent unless the action sets one."""
    import aiohttp

    host = action.host or address
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    url = f"{action.scheme.lower()}://{f'[{host}]' if ':' in host else host}:{port_number(container, action.port)}{path}"
    connector = aiohttp.TCPConnector(force_close=True, ssl=False)
    try:
        async with aiohttp.ClientSession(connector=connector, headers=_headers(action, agent), skip_auto_headers=_AUTO) as session:
            return await _follow(session, url, warn)
    except aiohttp.ClientConnectorError as error:
        return False, f'Get "{url}": dial tcp {error.host}:{error.port}: connect: {(error.strerror or str(error)).lower()}'
    except (aiohttp.ClientError, ValueError) as error:
        return False, f'Get "{url}": {error}'


_AUTO = ("User-Agent", "Accept", "Accept-Encoding")


def _headers(action: Any, agent: str) -> dict[str, str]:
    """The action's own; one with an empty value is not sent."""
    found = {"User-Agent": agent, "Accept": "*/*", "Connection": "close"}
    for header in action.httpHeaders:
        known = next((name for name in found if name.lower() == header.name.lower()), header.name)
        found.pop(known, None)
        if header.value:
            found[header.name] = header.value
    return found


async def _follow(session: Any, url: str, warn: Callable[[str], None]) -> tuple[bool, str]:
    for _ in range(_MOST_REDIRECTS):
        async with session.get(url, allow_redirects=False) as found:
            text = (await found.content.read(_BODY)).decode(errors="replace")
            target = found.headers.get("Location", "") if found.status in _REDIRECTS else ""
            if not target:
                return 200 <= found.status < 400, f"HTTP probe failed with statuscode: {found.status}"
            onward = urljoin(url, target)
            if urlsplit(onward).hostname != urlsplit(url).hostname:
                warn(f"Probe terminated redirects, Response body: {text}")
                return True, ""
            url = onward
    return False, f'Get "{url}": stopped after {_MOST_REDIRECTS} redirects'
