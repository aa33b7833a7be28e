"""The WebSocket protocols of Kubernetes: which channel a message belongs to, in each of their dialects.

``v5.channel.k8s.io`` ends a channel with a message on channel 255; the base64 forms carry text with the channel as a digit. The
unversioned forms and v4 differ in what the error channel says. Logs go as ``binary.k8s.io`` or ``base64.binary.k8s.io`` without
channels.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255
V5 = "v5.channel.k8s.io"


@dataclass(frozen=True, slots=True)
class Dialect:
    """``name`` as negotiated; "" is the oldest, spoken where a client names none."""

    name: str
    text: bool = False  # base64 in text messages
    status: bool = True  # the error channel carries a Status, else words
    closes: bool = False  # single channels can be ended

    def message(self, channel: int, data: bytes) -> dict[str, Any]:
        """For ASGI's send."""
        if self.text:
            return {"type": "websocket.send", "text": f"{channel}{base64.b64encode(data).decode()}"}
        return {"type": "websocket.send", "bytes": bytes([channel]) + data}

    def read(self, message: dict[str, Any]) -> tuple[int, bytes] | None:
        """Channel and data of a received message; None for one that says nothing. Raises ValueError."""
        if self.text:
            text = message.get("text") or (message.get("bytes") or b"").decode()
            if not text:
                return None
            try:
                return int(text[0]), base64.b64decode(text[1:], validate=True)
            except binascii.Error as error:
                raise ValueError(f"not base64: {error}") from error
        data = message.get("bytes") or (message.get("text") or "").encode()
        return (data[0], data[1:]) if data else None


COMMANDS = {
    d.name: d
    for d in (
        Dialect(V5, closes=True),
        Dialect("v4.channel.k8s.io"),
        Dialect("v4.base64.channel.k8s.io", text=True),
        Dialect("channel.k8s.io", status=False),
        Dialect("base64.channel.k8s.io", text=True, status=False),
        Dialect("", status=False),
    )
}
FORWARDS = {d.name: d for d in (Dialect("v4.channel.k8s.io"), Dialect("v4.base64.channel.k8s.io", text=True), Dialect(""))}
RAW = ("binary.k8s.io", "base64.binary.k8s.io", "")


def negotiated(offered: Sequence[str], known: dict[str, Dialect]) -> Dialect | None:
    """The client's first choice that is known; the oldest if it has none."""
    if not offered:
        return known[""]
    return next((known[name] for name in offered if name in known), None)


def error_words(status: bytes) -> bytes:
    """What an error channel without Status says: nothing of a success."""
    found = msgspec.json.decode(status)
    return b"" if found.get("status") == "Success" else str(found.get("message", "")).encode()
