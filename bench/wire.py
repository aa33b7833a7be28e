"""What requests and answers are written in: HTTP/1.1 or HTTP/2, and objects as JSON or as protobuf.

A wire is named as on the command line: `http1/json`, `http2/protobuf`. Goals are of `http1/json`; the others are measured beside it.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bareboat.models import protobuf_encoding
from bareboat.models.protobuf import CONTENT_TYPE as PROTOBUF
from bench import objects
from bench.connection import tls

JSON = "application/json"


@dataclass(frozen=True)
class Wire:
    protocol: str = "http1"
    encoding: str = "json"

    def __str__(self) -> str:
        return f"{self.protocol}/{self.encoding}"

    @property
    def media_type(self) -> str:
        return PROTOBUF if self.encoding == "protobuf" else JSON

    @property
    def accept(self) -> str:
        """A server that cannot answer in protobuf may answer JSON, as typed clients ask for it."""
        return f"{PROTOBUF}, {JSON}" if self.encoding == "protobuf" else JSON

    def body(self, tree: Any) -> bytes:
        return protobuf_encoding.encode(tree) if self.encoding == "protobuf" else objects.body(tree)


PLAIN = Wire()
WIRES = {str(wire): wire for wire in (Wire(protocol, encoding) for protocol in ("http1", "http2") for encoding in ("json", "protobuf"))}


def offers_http2(url: str) -> bool:
    """Whether the server's ALPN has h2."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return False
    context = tls()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection((parts.hostname, parts.port or 443), 10) as plain, context.wrap_socket(plain) as wrapped:
        return wrapped.selected_alpn_protocol() == "h2"
