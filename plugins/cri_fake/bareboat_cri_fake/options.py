"""Options of the fake runtime."""

from __future__ import annotations

from typing import Annotated

import msgspec


class FakeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``start_delay`` in seconds; ``persist`` keeps the records over a restart. ``fail`` and ``slow`` are for every pod what the
    annotations of these names are for one."""

    start_delay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    persist: bool = True
    fail: str = ""
    slow: str = ""
