"""The way to agents: logs and other plain requests are streamed, exec and attach carried over WebSocket.

The server dials the agent at its Node's InternalIP and kubelet port, with the client certificate that agents trust. Paths
are the kubelet's own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bareboat.api.operation import Operation
from bareboat.api.request import ApiRequest, ApiResponse, parse
from bareboat.api.service import Service
from bareboat.api.writing import admission_request
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.status import ApiError, BadRequest, InternalError, MethodNotAllowed, NotFound

if TYPE_CHECKING:
    import aiohttp

CHUNK = 1 << 16
_LOG_OPTIONS = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")
_STREAMS = {"exec": "exec", "attach": "attach"}


class Connector:
    """Dials agents for one server."""

    def __init__(self, reader: Reader, certificate: Path, key: Path, ca: Path) -> None:
        self._reader = reader
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._tls.check_hostname = False  # the certificate names the node; addresses may change
        self._tls.load_cert_chain(certificate, key)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def register(self, service: Service) -> None:
        """Serve the subresources that need an agent."""
        service.virtual["core/pods", "log"] = lambda op: self.log(service, op)
        for name in ("exec", "attach", "portforward"):
            service.virtual["core/pods", name] = self._needs_websocket

    async def log(self, service: Service, op: Operation) -> ApiResponse:
        """GET pods/NAME/log."""
        pod = self._pod(op.info.namespace, op.info.name)
        container = _container(pod, op.request.first("container"))
        options = {k: op.request.first(k) for k in _LOG_OPTIONS if op.request.first(k)}
        path = f"/containerLogs/{op.info.namespace}/{op.info.name}/{container}"
        del service
        response = await self._get(pod, path, options)
        if response.status >= 400:
            text = (await response.text()).strip()
            response.release()
            raise _agent_error(response.status, text)
        return ApiResponse(200, content_type="text/plain", stream=_chunks(response))

    async def _needs_websocket(self, op: Operation) -> ApiResponse:
        raise BadRequest(f"{op.info.subresource} needs a WebSocket upgrade; SPDY is not offered here")

    async def websocket(self, service: Service, request: ApiRequest, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Raises ApiError before the handshake is answered; afterwards problems end the stream."""
        info = parse("POST" if request.first("method") == "POST" else "GET", request.path, request.query)
        if info.resource != "pods" or info.subresource not in _STREAMS:
            raise NotFound("the server could not find the requested resource", details={})
        await service.authorize(request, info)
        op = service.operation(request, info)
        pod = self._pod(info.namespace, info.name)
        await service.admission.validate(admission_request(op, "CONNECT", None, pod, info.name))
        container = _container(pod, request.first("container"))
        path = f"/{_STREAMS[info.subresource]}/{info.namespace}/{info.name}/{container}"
        import aiohttp

        url = self._url(pod, path)
        query = [(k, v) for k, values in request.query.items() if k != "container" for v in values]
        try:
            agent = await self._sessions().ws_connect(
                url, params=query, protocols=scope.get("subprotocols") or (), ssl=self._tls, max_msg_size=0, autoclose=False
            )
        except aiohttp.WSServerHandshakeError as error:
            raise _agent_error(error.status, error.message) from error
        except (aiohttp.ClientError, OSError) as error:
            raise InternalError(f"error dialing backend: {error}") from error
        async with agent:
            await receive()
            await send({"type": "websocket.accept", "subprotocol": agent.protocol})
            await _carry(agent, receive, send)

    async def _get(self, pod: core_v1.Pod, path: str, query: dict[str, str]) -> aiohttp.ClientResponse:
        import aiohttp

        try:
            return await self._sessions().get(self._url(pod, path), params=query, ssl=self._tls)
        except (aiohttp.ClientError, OSError) as error:
            raise InternalError(f"error dialing backend: {error}") from error

    def _sessions(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        return self._session

    def _pod(self, namespace: str, name: str) -> core_v1.Pod:
        pod = self._reader.get(core_v1.Pod, name, namespace)
        if pod is None:
            raise NotFound.of("pods", name)
        if not pod.spec.nodeName:
            raise BadRequest(f"pod {name} does not have a host assigned")
        return pod

    def _url(self, pod: core_v1.Pod, path: str) -> str:
        node = self._reader.get(core_v1.Node, pod.spec.nodeName)
        if node is None:
            raise NotFound.of("nodes", pod.spec.nodeName)
        address = next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")
        port = node.status.daemonEndpoints.kubeletEndpoint.Port
        if not address or not port:
            raise InternalError(f"error dialing backend: node {node.metadata.name} has no agent address")
        return f"https://{address}:{port}{path}"


def _container(pod: core_v1.Pod, wanted: str) -> str:
    spec = pod.spec
    every: list[Any] = [*spec.containers, *spec.initContainers, *spec.ephemeralContainers]
    names = [c.name for c in every]
    if wanted:
        if wanted not in names:
            raise BadRequest(f"container {wanted} is not valid for pod {pod.metadata.name}")
        return wanted
    if len(spec.containers) > 1:
        choices = " ".join(c.name for c in spec.containers)
        raise BadRequest(f"a container name must be specified for pod {pod.metadata.name}, choose one of: [{choices}]")
    return spec.containers[0].name


def _agent_error(status: int, text: str) -> ApiError:
    kinds: dict[int, type[ApiError]] = {400: BadRequest, 404: NotFound, 405: MethodNotAllowed}
    return kinds.get(status, InternalError)(text or f"the agent answered {status}", details={})


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    finally:
        response.close()


async def _carry(agent: aiohttp.ClientWebSocketResponse, receive: Any, send: Any) -> None:
    """Messages both ways until either side ends."""

    async def up() -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                await agent.send_bytes(message["bytes"])
            elif message.get("text") is not None:
                await agent.send_str(message["text"])

    async def down() -> None:
        import aiohttp

        async for message in agent:
            if message.type is aiohttp.WSMsgType.BINARY:
                await send({"type": "websocket.send", "bytes": message.data})
            elif message.type is aiohttp.WSMsgType.TEXT:
                await send({"type": "websocket.send", "text": message.data})
        await send({"type": "websocket.close", "code": agent.close_code or 1000})

    loop = asyncio.get_running_loop()
    ways = [loop.create_task(up(), name="ws-up"), loop.create_task(down(), name="ws-down")]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await agent.close()
