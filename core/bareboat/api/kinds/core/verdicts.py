"""Pod specs that were seen before, with which nothing is wrong, and of which nobody has to be warned.

Pods of one template differ in the name of their token volume only, so that name is taken out of what a spec is remembered by
(for a byte that no JSON has); of several the first. Only specs without a fault are remembered, and only where the verdict depends on
nothing but the spec.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from bareboat.api.kinds import capabilities

#: Verdicts that are kept, and the size of the largest spec.
MOST, LARGEST = 512, 32 * 1024
_encode = msgspec.json.Encoder().encode
_token_volume = re.compile(rb'"(kube-api-access-[a-z0-9]{5})"').search


def known_as(spec: Any, data: bytes = b"") -> bytes:
    """Equal for specs of which the same is true; b"" for one that is not remembered: its verdict depends on the pod's name. ``data``:
    the spec, encoded."""
    data = data or _encode(spec)
    if len(data) > LARGEST or b'"ephemeral":' in data:
        return b""
    token = _token_volume(data)
    if token is not None:
        data = data.replace(token[1], b"\xff")
    return b"%d%b" % (capabilities.CURRENT.allow_privileged, data)


class Spotless:
    """Specs about which one question has nothing to say."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def ask(self, name: bytes, find: Callable[[], list[Any]]) -> list[Any]:
        """What ``find`` gives, asked unless it is known to be nothing."""
        if name and name in self._known:
            return []
        found = find()
        if name and not found:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known.add(name)
        return found
