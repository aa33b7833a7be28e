"""Why a write was not made, as the log tells whoever asked for it."""

from __future__ import annotations

from bareboat.store.entry import Entry


class CompareFailed(Exception):
    """The key is not at the expected revision; ``current`` is what it is at (None = it does not exist)."""

    def __init__(self, key: str, current: Entry | None) -> None:
        super().__init__(f"{key} is at revision {current.revision if current else 0}")
        self.current = current


class StoreFailed(Exception):
    """The write may not have become durable and was not applied; the store's own error is the cause."""


class Raced(Exception):
    """What the write was decided on is no longer so; nothing was written: decide again."""
