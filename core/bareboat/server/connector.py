"""The subresources of pods that live on their agent: log, exec, attach and port-forward, over plain HTTP, SPDY/3.1 and WebSocket.

A SPDY request comes through the API as a create; once the agent has been reached its connection is taken over. A WebSocket comes
beside it, as a get of which the same create must be allowed.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from bareboat.api.operation import Operation
from bareboat.api.request import ApiRequest, ApiResponse, RequestInfo, parse
from bareboat.api.service import Service
from bareboat.api.writing import admission_request
from bareboat.models import core_v1, meta_v1
from bareboat.models.custom import CustomObject
from bareboat.models.status import BadRequest, Forbidden, NotFound
from bareboat.server.agents import Agents, chunks, refused
from bareboat.server.streams import commands, forwarding
from bareboat.server.streams.channels import COMMANDS, FORWARDS, RAW, V5, negotiated
from bareboat.server.streams.pipes import TransportPipe, WebSocketPipe

if TYPE_CHECKING:
    import aiohttp

_LOG_OPTIONS = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")
_COMMANDS = ("exec", "attach")


class Connector:
    """For one server."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents
        self._pipes: set[TransportPipe] = set()

    async def close(self) -> None:
        for pipe in list(self._pipes):
            await pipe.close()
        await self._agents.close()

    def register(self, service: Service) -> None:
        """Serve the subresources that need an agent."""
        service.virtual["core/pods", "log"] = self.log
        for name in (*_COMMANDS, "portforward"):
            service.virtual["core/pods", name] = lambda op: self._spdy(service, op)

    async def log(self, op: Operation) -> ApiResponse:
        """GET pods/NAME/log."""
        response = await self._log(op.info, op.request)
        return ApiResponse(200, content_type="text/plain", stream=chunks(response))

    async def _log(self, info: RequestInfo, request: ApiRequest) -> aiohttp.ClientResponse:
        pod = self._agents.pod(info.namespace, info.name)
        container = container_of(pod, request.first("container"))
        options = [(k, request.first(k)) for k in _LOG_OPTIONS if request.first(k)]
        response = await self._agents.request(pod.spec.nodeName, "GET", f"/containerLogs/{info.namespace}/{info.name}/{container}", options)
        if response.status >= 400:
            text = (await response.text()).strip()
            response.release()
            raise refused(response.status, text)
        return response

    async def _spdy(self, service: Service, op: Operation) -> ApiResponse:
        """Takes the connection over. Raises BadRequest where nothing asks for that."""
        request, info = op.request, op.info
        if request.headers.get("upgrade", "").lower() != "spdy/3.1" or request.connection is None:
            raise BadRequest("Upgrade request required")
        await self._admit(service, op)
        offered = [p.strip() for p in request.headers.get("x-stream-protocol-version", "").split(",") if p.strip()]
        if info.subresource == "portforward":
            protocol = forwarding.PROTOCOL
            if protocol not in offered:
                raise _no_protocol(offered, [protocol])
            dial = self._dial(info)
            await forwarding.over_spdy(self._take_over(request, protocol), dial)
            return ApiResponse(101, hijacked=True)
        protocol = next((p for p in offered if p in commands.SPDY_PROTOCOLS), "" if offered else "channel.k8s.io")
        if not protocol:
            raise _no_protocol(offered, list(commands.SPDY_PROTOCOLS))
        agent = await self._command(info, request)
        pipe = self._take_over(request, protocol)
        names = commands.wanted(request.query, protocol)
        await commands.over_spdy(pipe, agent, names, status=commands.SPDY_PROTOCOLS[protocol])
        return ApiResponse(101, hijacked=True)

    def _take_over(self, request: ApiRequest, protocol: str) -> TransportPipe:
        hijack: Any = request.connection
        transport, early = hijack()
        head = ("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1", f"X-Stream-Protocol-Version: {protocol}")
        transport.write("\r\n".join((*head, "", "")).encode())
        pipe = TransportPipe(transport, early)
        self._pipes = {p for p in self._pipes if not p.closed} | {pipe}
        return pipe

    async def websocket(self, service: Service, request: ApiRequest, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Raises ApiError before the handshake is answered; afterwards problems end the stream."""
        info = parse("GET", request.path, request.query)
        if info.resource != "pods" or info.subresource not in (*_COMMANDS, "portforward", "log"):
            raise NotFound("the server could not find the requested resource", details={})
        await service.authorize(request, info)
        op = service.operation(request, info)
        offered = tuple(scope.get("subprotocols") or ())
        if info.subresource == "log":
            await self._log_socket(info, request, offered, receive, send)
            return
        await service.authorize(request, parse("POST", request.path, request.query))
        await self._admit(service, op)
        if info.subresource == "portforward":
            await self._forward_socket(info, request, offered, receive, send)
            return
        dialect = negotiated(offered, COMMANDS)
        if dialect is None:
            raise _no_protocol(offered, list(COMMANDS))
        agent = await self._command(info, request)
        await _accept(receive, send, dialect.name)
        await commands.over_websocket(dialect, agent, receive, send)

    async def _log_socket(self, info: RequestInfo, request: ApiRequest, offered: tuple[str, ...], receive: Any, send: Any) -> None:
        protocol = next((p for p in offered if p in RAW), None if offered else "")
        if protocol is None:
            raise _no_protocol(offered, list(RAW))
        response = await self._log(info, request)
        await _accept(receive, send, protocol)
        async for chunk in chunks(response):
            if protocol.startswith("base64"):
                await send({"type": "websocket.send", "text": base64.b64encode(chunk).decode()})
            else:
                await send({"type": "websocket.send", "bytes": chunk})
        await send({"type": "websocket.close", "code": 1000})

    async def _forward_socket(self, info: RequestInfo, request: ApiRequest, offered: tuple[str, ...], receive: Any, send: Any) -> None:
        dial = self._dial(info)
        if forwarding.TUNNEL in offered:
            await _accept(receive, send, forwarding.TUNNEL)
            await forwarding.over_spdy(WebSocketPipe(receive, send), dial)
            return
        dialect = negotiated(offered, FORWARDS)
        if dialect is None:
            raise _no_protocol(offered, [forwarding.TUNNEL, *FORWARDS])
        ports = _ports(request)
        await _accept(receive, send, dialect.name)
        await forwarding.over_websocket(dialect, ports, dial, receive, send)

    async def _admit(self, service: Service, op: Operation) -> None:
        pod = self._agents.pod(op.info.namespace, op.info.name)
        await service.admission.admit(admission_request(op, "CONNECT", _options(op), None, pod.metadata.name))

    async def _command(self, info: RequestInfo, request: ApiRequest) -> aiohttp.ClientWebSocketResponse:
        pod = self._agents.pod(info.namespace, info.name)
        container = container_of(pod, request.first("container"))
        query = [(k, v) for k, values in request.query.items() if k != "container" for v in values]
        path = f"/{info.subresource}/{info.namespace}/{info.name}/{container}"
        return await self._agents.websocket(pod.spec.nodeName, path, query, V5)

    def _dial(self, info: RequestInfo) -> forwarding.Dial:
        pod = self._agents.pod(info.namespace, info.name)

        async def dial(port: int) -> aiohttp.ClientWebSocketResponse:
            path = f"/portForward/{info.namespace}/{info.name}"
            return await self._agents.websocket(pod.spec.nodeName, path, [("port", str(port))], V5)

        return dial


async def _accept(receive: Any, send: Any, protocol: str) -> None:
    await receive()
    await send({"type": "websocket.accept", "subprotocol": protocol or None})


def _no_protocol(offered: Any, known: list[str]) -> Forbidden:
    return Forbidden(f"unable to negotiate protocol: client supports {list(offered)}, server accepts {[p for p in known if p]}", details={})


def _ports(request: ApiRequest) -> list[int]:
    texts = [part for value in request.query.get("ports", []) for part in value.split(",")]
    if not texts or not all(text.isdigit() and 0 < int(text) < 65536 for text in texts):
        raise BadRequest('query parameter "ports" is required: port numbers from 1 to 65535, comma separated')
    return [int(text) for text in texts]


def container_of(pod: core_v1.Pod, wanted: str) -> str:
    """The container that is meant. Raises BadRequest with the choices."""
    spec = pod.spec
    every: list[Any] = [*spec.containers, *spec.initContainers, *spec.ephemeralContainers]
    if wanted:
        if wanted not in [c.name for c in every]:
            raise BadRequest(f"container {wanted} is not valid for pod {pod.metadata.name}")
        return wanted
    if len(spec.containers) > 1:
        choices = " ".join(c.name for c in spec.containers)
        text = f"a container name must be specified for pod {pod.metadata.name}, choose one of: [{choices}]"
        if spec.initContainers:
            text += f" or one of the init containers: [{' '.join(c.name for c in spec.initContainers)}]"
        raise BadRequest(text)
    return spec.containers[0].name


_OPTIONS = {"exec": "PodExecOptions", "attach": "PodAttachOptions", "portforward": "PodPortForwardOptions"}
_FLAGS = ("stdin", "stdout", "stderr", "tty")


def _options(op: Operation) -> CustomObject:
    """What the query says, as the object that admission sees."""
    request = op.request
    found: dict[str, Any] = {}
    if op.info.subresource == "portforward":
        found["ports"] = [int(p) for value in request.query.get("ports", []) for p in value.split(",") if p.isdigit()]
    else:
        found.update({flag: True for flag in _FLAGS if request.flag(flag)})
        found.update({"container": request.first("container")} if request.first("container") else {})
        found.update({"command": request.query["command"]} if "command" in request.query else {})
    return CustomObject(_OPTIONS[op.info.subresource], "v1", meta_v1.ObjectMeta(), found)
