"""Options of the fake runtime."""

from __future__ import annotations

from typing import Annotated

import msgspec


class FakeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``start_delay`` in seconds; ``persist`` keeps the records over a restart."""

    start_delay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    persist: bool = True
