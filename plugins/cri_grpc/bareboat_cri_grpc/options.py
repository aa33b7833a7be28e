"""Options in the cluster file."""

from __future__ import annotations

from typing import Annotated

import msgspec


class CriSocketOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``socket`` of the runtime; ``timeout`` in seconds for one call, ``pullTimeout`` for a pull; ``poll`` in seconds is how often a
    runtime that tells no events is asked for states."""

    socket: str
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 120.0
    pullTimeout: Annotated[float, msgspec.Meta(gt=0)] = 900.0
    poll: Annotated[float, msgspec.Meta(gt=0)] = 0.25
