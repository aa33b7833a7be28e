"""Dials node agents: an agent is at its Node's InternalIP and kubelet port; its certificate names the node. It trusts the server's."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.status import ApiError, BadRequest, InternalError, MethodNotAllowed, NotFound
from bareboat.server.streams.pipes import TransportPipe
from bareboat.server.tunnel import Target

if TYPE_CHECKING:
    import aiohttp

#: The header in which an agent says why it refuses a handshake: its body is lost to WebSocket clients.
REFUSAL = "x-refusal"
#: The header in which an agent is told which of its nodes is meant.
NODE = "x-bareboat-node"
Query = Sequence[tuple[str, str]]


class Agents:
    """Of one server."""

    def __init__(self, reader: Reader, certificate: Path, key: Path, ca: Path) -> None:
        self._reader = reader
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._files = certificate, key
        self.reload()
        self._session: aiohttp.ClientSession | None = None
        #: connections of clients that were handed over to another server
        self.tunnels: set[TransportPipe] = set()

    def reload(self) -> None:
        """Show the certificate that the files have now."""
        self._tls.load_cert_chain(*self._files)

    async def close(self) -> None:
        for pipe in list(self.tunnels):
            await pipe.close()
        if self._session is not None:
            await self._session.close()

    async def request(
        self, node: str, method: str, path: str, query: Query, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> aiohttp.ClientResponse:
        """An answer whose body is still to be read. Raises InternalError if the agent cannot be reached."""
        import aiohttp

        try:
            return await self.session().request(
                method,
                self._url(node, path),
                params=query,
                data=body or None,
                headers={**(headers or {}), NODE: node},
                ssl=self._tls,
                server_hostname=node,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise InternalError(f"error dialing backend: {error}") from error

    async def websocket(self, node: str, path: str, query: Query, protocol: str) -> aiohttp.ClientWebSocketResponse:
        """Raises ApiError with what the agent said against it."""
        import aiohttp

        try:
            return await self.session().ws_connect(
                self._url(node, path),
                params=query,
                protocols=(protocol,),
                ssl=self._tls,
                server_hostname=node,
                max_msg_size=0,
                autoclose=False,
            )
        except aiohttp.WSServerHandshakeError as error:
            said = error.headers.get(REFUSAL, "") if error.headers else ""
            raise refused(error.status, said or error.message) from error
        except (aiohttp.ClientError, OSError) as error:
            raise InternalError(f"error dialing backend: {error}") from error

    def target(self, node: str, path: str, query: Query, headers: Query) -> Target:
        """Where an upgrade request to an agent goes. Raises NotFound, InternalError."""
        return Target(self._url(node, path), list(query), [*headers, (NODE, node)], self._tls, node)

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            # what a client did not say is not said for it: a body without type is JSON to an API server, and nothing to a stranger
            self._session = aiohttp.ClientSession(
                timeout=timeout,
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
            )
        return self._session

    def pod(self, namespace: str, name: str) -> core_v1.Pod:
        """A pod that has a node. Raises NotFound, BadRequest."""
        pod = self._reader.get(core_v1.Pod, name, namespace)
        if pod is None:
            raise NotFound.of("pods", name)
        if not pod.spec.nodeName:
            raise BadRequest(f"pod {name} does not have a host assigned")
        return pod

    def _url(self, name: str, path: str) -> str:
        node = self._reader.get(core_v1.Node, name)
        if node is None:
            raise NotFound.of("nodes", name)
        address = next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")
        port = node.status.daemonEndpoints.kubeletEndpoint.Port
        if not address or not port:
            raise InternalError(f"error dialing backend: node {name} has no agent address")
        return f"https://{address}:{port}{path}"


def refused(status: int, text: str) -> ApiError:
    kinds: dict[int, type[ApiError]] = {400: BadRequest, 404: NotFound, 405: MethodNotAllowed}
    return kinds.get(status, InternalError)(text or f"the agent answered {status}", details={})


async def chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it comes; leaving early closes the connection to the agent."""
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    finally:
        response.close()
