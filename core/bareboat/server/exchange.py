"""One HTTP exchange in ASGI terms: reading a request into an ApiRequest, sending an ApiResponse, noticing that the client went."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol
from urllib.parse import parse_qs

from bareboat.api.body import LIMIT
from bareboat.api.request import ApiRequest, ApiResponse, Pieces
from bareboat.contracts.auth import Credentials, UserInfo
from bareboat.models.status import BadRequest, RequestEntityTooLarge
from bareboat.server.cycle import at_once, cycle_of

Scope = dict[str, Any]
#: Bodies larger than this are compressed for clients that take gzip (upstream's bound).
GZIP_FROM = 128 * 1024
#: Larger bodies are handed to the transport in pieces, so that other tasks get their turn.
PIECE = 256 * 1024
#: Query parameters at most: a command to execute has one per word.
PARAMETERS = 10_000
#: Characters of all warnings together, and of one when that is exceeded.
WARNINGS, WARNING = 4096, 256
#: Where a scope has its headers by name already.
NAMED = "bareboat.headers"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def headers_of(scope: Scope) -> dict[str, str]:
    """By lower-case name, not to be changed; a header that comes more than once is one list (RFC 9110, section 5.2)."""
    found: dict[str, str] | None = scope.get(NAMED)
    if found is not None:
        return found
    listed = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in scope["headers"]]
    headers = dict(listed)
    if len(headers) != len(listed):
        every: dict[str, list[str]] = {}
        for name, value in listed:
            every.setdefault(name, []).append(value)
        headers = {name: ", ".join(values) for name, values in every.items()}
    return headers


def credentials_of(scope: Scope, headers: dict[str, str]) -> Credentials:
    tls = scope.get("extensions", {}).get("tls", {})
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return Credentials(
        token=token.strip() if scheme.lower() == "bearer" else "",
        certificate_name=tls.get("client_cert_name", ""),
        certificate_organizations=tls.get("client_cert_organizations", ()),
        path=scope["path"],
    )


async def read_body(receive: Any, headers: dict[str, str]) -> bytes:
    """The whole body. Raises RequestEntityTooLarge as soon as it is, or claims to be, too long."""
    claimed = headers.get("content-length", "")
    if len(claimed) > 6 and int(claimed) > LIMIT:
        raise RequestEntityTooLarge(f"Request entity too large: limit is {LIMIT}")
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
        if size > LIMIT:
            raise RequestEntityTooLarge(f"Request entity too large: limit is {LIMIT}")
    return b"".join(parts)


def request_of(scope: Scope, headers: dict[str, str], user: UserInfo, body: bytes) -> ApiRequest:
    query = scope["query_string"]
    return ApiRequest(
        user,
        scope["method"],
        scope["path"],
        parameters(query) if query else {},
        body,
        headers.get("content-type", ""),
        headers.get("accept", ""),
        headers.get("user-agent", ""),
        (scope.get("client") or ("",))[0],
        connection=scope.get("extensions", {}).get("hijack") if "upgrade" in headers else None,
        headers=headers,
    )


def check_path(path: str) -> None:
    """Raises BadRequest for a path that could mean one thing here and another where it is passed on."""
    if not path.isprintable():
        raise BadRequest("the path has characters that cannot be printed")
    if "/." in path:
        for segment in path.partition("/proxy/")[0].split("/"):
            if segment in (".", ".."):
                raise BadRequest(f"Name parameter invalid: \"{segment}\": may not be '{segment}'")


def parameters(query: bytes) -> dict[str, list[str]]:
    """Every value of every parameter. Raises BadRequest for more of them than anybody needs."""
    try:
        return parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETERS)
    except ValueError as error:
        raise BadRequest(f"the query has more than {PARAMETERS} parameters") from error


class Marking(Protocol):
    """Headers for an answer, and where its status is noted."""

    marks: list[tuple[bytes, bytes]]
    shown: int


def marked(send: Any, visit: Marking) -> Any:
    """``send`` for an application of its own."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            visit.shown = message["status"]
            message = {**message, "headers": [*message["headers"], *visit.marks]}
        await send(message)

    return sending


async def send_response(
    response: ApiResponse, accepts_gzip: bool, receive: Any, send: Any, marks: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    head = [(b"content-type", response.content_type.encode()), (b"cache-control", b"no-cache, private"), *marks]
    for name, value in response.headers.items():
        if name == "cache-control":
            head[1] = (b"cache-control", value.encode())
        else:
            head.append((name.encode(), value.encode()))
    head += [(b"warning", text) for text in warnings(response.warnings)]
    cycle = cycle_of(send)
    if response.follow is not None and cycle is not None:
        await cycle.chunked(response.status, head, response.follow)
        return
    if response.stream is not None:
        await _send_stream(response, head, receive, send)
        return
    if response.pieces is not None:
        await _send_pieces(response.status, response.pieces, head, accepts_gzip, send)
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


async def _send_pieces(status: int, pieces: Pieces, head: list[tuple[bytes, bytes]], accepts_gzip: bool, send: Any) -> None:
    """A piece per turn of the loop; compressed as they go, in chunks then."""
    cycle = cycle_of(send)
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS) if accepts_gzip and cycle is not None else None
    if packer is not None:
        head += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    else:
        head.append((b"content-length", b"%d" % pieces.length))
    await send({"type": "http.response.start", "status": status, "headers": head})
    for piece in pieces:
        if cycle is not None and cycle.gone:
            return
        data = piece if packer is None else await asyncio.to_thread(packer.compress, piece)
        if data:
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"" if packer is None else packer.flush()})


def warnings(texts: Sequence[str]) -> list[bytes]:
    """As header values: each once; when they are long together, as upstream, cut short and no more than a few kilobytes."""
    once = list(dict.fromkeys(texts))
    if sum(map(len, once)) <= WARNINGS:
        return [_warning(text) for text in once]
    short = [text[:WARNING] for text in once[: WARNINGS // 16]]
    kept = [text for text, end in zip(short, accumulate(map(len, short)), strict=True) if end <= WARNINGS]
    return [_warning(text) for text in kept]


def _warning(text: str) -> bytes:
    quoted = _CONTROL.sub(" ", text.replace("\\", "\\\\").replace('"', '\\"'))
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
