"""One HTTP exchange in ASGI terms: reading a request into an ApiRequest, sending an ApiResponse, noticing that the client went."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any
from urllib.parse import parse_qs

from bareboat.api.body import LIMIT
from bareboat.api.request import ApiRequest, ApiResponse
from bareboat.contracts.auth import Credentials, UserInfo
from bareboat.models.status import RequestEntityTooLarge
from bareboat.server.cycle import at_once, cycle_of

Scope = dict[str, Any]
#: Bodies larger than this are compressed for clients that take gzip (upstream's bound).
GZIP_FROM = 128 * 1024
#: Larger bodies are handed to the transport in pieces, so that other tasks get their turn.
PIECE = 256 * 1024


def headers_of(scope: Scope) -> dict[str, str]:
    """By lower-case name; a header that comes more than once is one list (RFC 9110, section 5.2)."""
    listed = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in scope["headers"]]
    headers = dict(listed)
    if len(headers) != len(listed):
        for name in headers:
            headers[name] = ", ".join(value for key, value in listed if key == name)
    return headers


def credentials_of(scope: Scope, headers: dict[str, str]) -> Credentials:
    tls = scope.get("extensions", {}).get("tls", {})
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return Credentials(
        token=token.strip() if scheme.lower() == "bearer" else "",
        certificate_name=tls.get("client_cert_name", ""),
        certificate_organizations=tls.get("client_cert_organizations", ()),
    )


async def read_body(receive: Any) -> bytes:
    """The whole body. Raises RequestEntityTooLarge as soon as it is too long."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LIMIT + 1024:
            raise RequestEntityTooLarge(f"Request entity too large: limit is {LIMIT}")
    return b"".join(parts)


def request_of(scope: Scope, headers: dict[str, str], user: UserInfo, body: bytes) -> ApiRequest:
    query = scope["query_string"]
    return ApiRequest(
        user,
        scope["method"],
        scope["path"],
        parse_qs(query.decode("latin-1"), keep_blank_values=True) if query else {},
        body,
        headers.get("content-type", ""),
        headers.get("accept", ""),
        headers.get("user-agent", ""),
        (scope.get("client") or ("",))[0],
        connection=scope.get("extensions", {}).get("hijack") if "upgrade" in headers else None,
        headers=headers,
    )


async def send_response(response: ApiResponse, accepts_gzip: bool, receive: Any, send: Any) -> None:
    head = [(b"content-type", response.content_type.encode()), (b"cache-control", b"no-cache, private")]
    for name, value in response.headers.items():
        if name == "cache-control":
            head[1] = (b"cache-control", value.encode())
        else:
            head.append((name.encode(), value.encode()))
    head += [(b"warning", _warning(text)) for text in dict.fromkeys(response.warnings)]
    cycle = cycle_of(send)
    if response.follow is not None and cycle is not None:
        await cycle.chunked(response.status, head, response.follow)
        return
    if response.stream is not None:
        await _send_stream(response, head, receive, send)
        return
    body = response.body
    if accepts_gzip and len(body) > GZIP_FROM:
        body = await asyncio.to_thread(gzip.compress, body, 1)
        head += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    head.append((b"content-length", b"%d" % len(body)))
    if len(body) <= PIECE and at_once(send, response.status, head, body):
        return
    await send({"type": "http.response.start", "status": response.status, "headers": head})
    for start in range(0, len(body) - PIECE, PIECE):
        await send({"type": "http.response.body", "body": body[start : start + PIECE], "more_body": True})
    last = (len(body) - 1) // PIECE * PIECE if len(body) > PIECE else 0
    await send({"type": "http.response.body", "body": body[last:]})


def _warning(text: str) -> bytes:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'299 - "{quoted}"'.encode("utf-8", "replace")


async def _send_stream(response: ApiResponse, head: list[tuple[bytes, bytes]], receive: Any, send: Any) -> None:
    """Chunks as they come, until the stream ends or the client goes."""
    await send({"type": "http.response.start", "status": response.status, "headers": head})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    stream = response.stream
    assert stream is not None

    async def pump() -> None:
        async for chunk in stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    loop = asyncio.get_running_loop()
    pumping, leaving = loop.create_task(pump(), name="stream"), loop.create_task(gone(), name="client-gone")
    try:
        await asyncio.wait([pumping, leaving], return_when=asyncio.FIRST_COMPLETED)
        if pumping.done():
            pumping.result()
    finally:
        for task in (pumping, leaving):
            task.cancel()
        await asyncio.gather(pumping, leaving, return_exceptions=True)
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
