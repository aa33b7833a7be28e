"""Options in the cluster file."""

from __future__ import annotations

import msgspec


class LocalStorageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``directory`` where volumes are kept ("" = the driver's own); ``capacity`` in bytes of all of them (0 = what the disk has)."""

    directory: str = ""
    capacity: int = 0
