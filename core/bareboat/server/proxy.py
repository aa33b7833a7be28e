"""The proxy subresources: HTTP requests of clients carried to pods, Services and node agents.

    pods/[scheme:]NAME[:PORT]/proxy/PATH         the first port that the pod names, else 80, unless PORT says another
    services/[scheme:]NAME[:PORT]/proxy/PATH     one of the Service's ready endpoints; PORT is a name or number of the Service
    nodes/NAME[:PORT]/proxy/PATH                 the agent's own API

Answers are streamed, links in HTML lead through the proxy, upgrades (WebSocket, SPDY) are passed through. What the server itself means
to the client (its credentials, hop-by-hop headers) stays here, and so does what the other end says of other origins (CORS).
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bareboat.api.operation import Operation
from bareboat.api.request import ApiRequest, ApiResponse
from bareboat.api.service import Service
from bareboat.api.writing import admission_request
from bareboat.base.ids import Ids
from bareboat.client.endpoints import NoEndpoint, endpoint, host
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.status import BadRequest, NotFound, ServiceUnavailable
from bareboat.server.agents import Agents, chunks
from bareboat.server.rewriting import behind, rewritten
from bareboat.server.tunnel import Target, is_upgrade, tunnelled

_HOP = frozenset(("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"))
_KEPT_BACK = _HOP | {"authorization", "content-length", "host", "accept-encoding"}
_CORS = frozenset(f"access-control-allow-{what}" for what in ("credentials", "headers", "methods", "origin"))
_NOT_RETURNED = _HOP | _CORS | {"content-length", "content-type"}


class Proxy:
    """For one server."""

    def __init__(self, reader: Reader, agents: Agents, ids: Ids) -> None:
        self._reader = reader
        self._agents = agents
        self._ids = ids

    def register(self, service: Service) -> None:
        for resource in ("pods", "services", "nodes"):
            service.virtual[f"core/{resource}", "proxy"] = lambda op: self._answer(service, op)

    async def _answer(self, service: Service, op: Operation) -> ApiResponse:
        scheme, name, port = split(op.info.name)
        await service.admission.admit(admission_request(op, "CONNECT", None, None, name))
        request = op.request
        prefix, path = parted(request.path, op.info.resource, op.info.name)
        if not path and request.method in ("GET", "HEAD"):
            return _to_the_root(request)
        path = path or "/"
        query = [(k, v) for k, values in request.query.items() for v in values]
        if op.info.resource == "nodes":
            if is_upgrade(request):
                target = self._agents.target(name, path, query, list(forwarded(request).items()))
                return await tunnelled(request, target, self._agents.tunnels)
            response = await self._agents.request(name, request.method, path, query, body=request.body, headers=forwarded(request))
            return returned(response)
        address = self._pod(op.info.namespace, name, port) if op.info.resource == "pods" else self._service(op.info.namespace, name, port)
        url = f"{scheme or 'http'}://{address}{path}"
        if is_upgrade(request):
            target = Target(url, query, list(forwarded(request).items()), _unverified() if scheme == "https" else None)
            return await tunnelled(request, target, self._agents.tunnels)
        return await self._fetch(request, url, prefix)

    def _pod(self, namespace: str, name: str, port: str) -> str:
        pod = self._reader.get(core_v1.Pod, name, namespace)
        if pod is None:
            raise NotFound.of("pods", name)
        if not proxyable(pod.status.podIP):
            raise BadRequest("address not allowed")
        if not port:
            port = next((str(p.containerPort) for c in pod.spec.containers for p in c.ports), "80")
        elif not port.isdigit():
            port = next((str(p.containerPort) for c in pod.spec.containers for p in c.ports if p.name == port), "")
        if not port.isdecimal() or not port.isascii() or not 0 < int(port) < 65536:
            raise BadRequest(f'invalid pod request "{name}": there is no such port')
        return f"{host(pod.status.podIP)}:{port}"

    def _service(self, namespace: str, name: str, port: str) -> str:
        if self._reader.get(core_v1.Service, name, namespace) is None:
            raise NotFound.of("services", name)
        try:
            return endpoint(self._reader, self._ids, namespace, name, port)
        except NoEndpoint as error:
            raise ServiceUnavailable(str(error)) from error

    async def _fetch(self, request: ApiRequest, url: str, prefix: str) -> ApiResponse:
        """``prefix``: the path behind which the client sees what is at the other end's root."""
        import aiohttp

        tls: Any = _unverified() if url.startswith("https") else False
        query = [(k, v) for k, values in request.query.items() for v in values]
        try:
            response = await self._agents.session().request(
                request.method, url, params=query, data=request.body or None, headers=forwarded(request), ssl=tls, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ServiceUnavailable(f"error trying to reach service: {error}") from error
        hosts = urlsplit(url).netloc, request.headers.get("host", "")
        return returned(response, lambda link: behind(prefix, hosts, link))


def _unverified() -> ssl.SSLContext:
    """A pod's certificate is its own affair."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls


def _to_the_root(request: ApiRequest) -> ApiResponse:
    """Where the client ends up when it asks for the proxy itself: relative links need the slash."""
    query = urlencode([(k, v) for k, values in request.query.items() for v in values])
    return ApiResponse(301, headers={"location": f"{request.path}/" + (f"?{query}" if query else "")})


def proxyable(address: str) -> bool:
    """Whether it can be a pod's: whoever writes a status must not lead the server to itself or to what only its machine reaches."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return not (found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified)


def parted(path: str, resource: str, name: str) -> tuple[str, str]:
    """Of the path of a request: what the client puts before paths of the other end, and the path that it asks for there."""
    before, proxied, behind = path.partition(f"/{resource}/{name}/proxy")
    return before + proxied, behind


def split(name: str) -> tuple[str, str, str]:
    """Scheme, name and port of ``[scheme:]name[:port]``. Raises BadRequest."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", parts[0], ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0], parts[1], parts[2]
    raise BadRequest(f'invalid service request "{name}"')


def forwarded(request: ApiRequest) -> dict[str, str]:
    """The client's headers, less what is between it and this server; with what the client asked for, so that the other end can make
    links that lead back here."""
    kept = {k: v for k, v in request.headers.items() if k not in _KEPT_BACK and not k.startswith(("impersonate-", "x-remote-"))}
    forwarded = [request.headers.get("x-forwarded-for", ""), request.remote]
    kept["x-forwarded-for"] = ", ".join(part for part in forwarded if part)
    kept["x-forwarded-uri"] = quote(request.path)
    kept["accept-encoding"] = "identity"
    return kept


def returned(response: Any, place: Callable[[str], str] | None = None) -> ApiResponse:
    """The answer as it came; with ``place``, a place that it sends or links to is a place behind the proxy."""
    headers = {k.lower(): v for k, v in response.headers.items() if k.lower() not in _NOT_RETURNED}
    content_type = response.headers.get("content-type", "application/octet-stream")
    body = chunks(response)
    if place is None:
        return ApiResponse(response.status, content_type=content_type, headers=headers, stream=body)
    if "location" in headers:
        headers["location"] = place(headers["location"])
    elif content_type.partition(";")[0].strip().lower() == "text/html" and headers.get("content-encoding", "identity") == "identity":
        body = rewritten(body, place)
    return ApiResponse(response.status, content_type=content_type, headers=headers, stream=body)
