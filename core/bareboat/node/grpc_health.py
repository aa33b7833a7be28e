"""One call of ``grpc.health.v1.Health/Check``: what a gRPC probe asks. Over HTTP/2 without TLS; no more of gRPC than that takes.

What comes in: an address, a port and the name of a service. What goes out: whether it serves, and what to say if it does not.
"""

from __future__ import annotations

import asyncio

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

PATH = "/grpc.health.v1.Health/Check"
SERVING = 1
_NAMES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_UNIMPLEMENTED = "12"


async def check(address: str, port: int, service: str) -> tuple[bool, str]:
    """Raises OSError if nothing answers there."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        return _verdict(*await _ask(reader, writer, f"{address}:{port}", service))
    except ProtocolError as error:
        return False, f"error: health rpc failed: {error}"
    finally:
        writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, service: str) -> tuple[bytes, dict[str, str]]:
    """The bytes of the answer, and headers and trailers together."""
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":authority", authority), (":path", PATH)]
    headers += [("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "kube-probe/1.36")]
    connection.send_headers(1, headers)
    connection.send_data(1, request(service), end_stream=True)
    body, fields = b"", {}
    while True:
        writer.write(connection.data_to_send())
        await writer.drain()
        data = await reader.read(65536)
        if not data:
            raise ConnectionResetError("the connection was closed before the answer")
        for event in connection.receive_data(data):
            body += _data(connection, event)
            fields.update(_fields(event))
            if isinstance(event, StreamEnded | StreamReset):
                return body, fields


def _data(connection: H2Connection, event: Event) -> bytes:
    if not isinstance(event, DataReceived):
        return b""
    connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
    return event.data or b""


def _fields(event: Event) -> dict[str, str]:
    if not isinstance(event, ResponseReceived | TrailersReceived) or isinstance(event, RequestReceived):
        return {}
    return {str(name): str(value) for name, value in event.headers or ()}


def request(service: str) -> bytes:
    """HealthCheckRequest{service}, framed."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _verdict(body: bytes, fields: dict[str, str]) -> tuple[bool, str]:
    code = fields.get("grpc-status", "0")
    if code == _UNIMPLEMENTED:
        return (
            False,
            f"error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {fields.get('grpc-message')}",
        )
    if code != "0" or fields.get(":status") != "200":
        return False, f"error: health rpc failed: code {code}: {fields.get('grpc-message', 'HTTP ' + fields.get(':status', '?'))}"
    message = body[5:]
    status = message[1] if len(message) >= 2 and message[0] == 0x08 else 0
    return status == SERVING, f'service unhealthy (responded with "{_NAMES.get(status, status)}")'
