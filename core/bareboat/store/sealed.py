"""Encryption at rest, between the log and any driver: rows are sealed on their way down and opened on their way up.

``sealed(DriverClass, …)`` makes a subclass of the driver, so that whatever capabilities it has stay visible. With no keyring
nothing is sealed, and a sealed row that is met says which key is missing instead of being taken for an object. ``restore`` is
not here on purpose: a backup holds rows as they were stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from bareboat.contracts.store import Row, SharedStore, Store
from bareboat.store.entry import resource_of
from bareboat.store.keyring import MARK, Keyring, missing


class Seals:
    """What is done to rows. ``stale``: live keys whose row is not stored as a write of now would store it."""

    def __init__(self, keyring: Keyring | None) -> None:
        self.keyring = keyring
        self.stale: set[str] = set()

    def seal(self, row: Row) -> Row:
        """The row as it is stored; what is sealed already stays as it is."""
        keyring = self.keyring
        if keyring is None or row.value.startswith(MARK) or not keyring.writer(resource_of(row.key)):
            return row
        return msgspec.structs.replace(row, value=keyring.seal(row.key, resource_of(row.key), row.value))

    def written(self, rows: Sequence[Row]) -> None:
        if self.stale:
            self.stale.difference_update(row.key for row in rows)

    def loaded(self, rows: Sequence[Row]) -> None:
        if self.keyring is not None:
            self.stale.update(row.key for row in rows if not self.keyring.fresh(resource_of(row.key), row.value))

    def opened(self, rows: Sequence[Row]) -> list[Row]:
        """Raises InvalidConfig if a key is missing or wrong."""
        return [self._opened(row) if row.value.startswith(MARK) else row for row in rows]

    def _opened(self, row: Row) -> Row:
        if self.keyring is None:
            raise missing(row.key, row.value.split(b":", 5)[4].decode(errors="replace"), "")
        return msgspec.structs.replace(row, value=self.keyring.unseal(row.key, row.value))


class Sealing(Store):
    """Comes before the driver in the order of methods; ``seals`` is set when it is made."""

    seals: Seals

    async def append(self, rows: Sequence[Row]) -> None:
        await super().append([self.seals.seal(row) for row in rows])  # type: ignore[safe-super]  # the driver's
        self.seals.written(rows)

    async def load(self) -> AsyncIterator[list[Row]]:
        async for rows in super().load():  # type: ignore[safe-super]
            self.seals.loaded(rows)
            yield self.seals.opened(rows)

    async def since(self, revision: int, limit: int) -> list[Row]:
        return self.seals.opened(await super().since(revision, limit))  # type: ignore[safe-super]

    async def at(self, prefix: str, revision: int) -> list[Row]:
        return self.seals.opened(await super().at(prefix, revision))  # type: ignore[safe-super]


class SealingShared(Sealing, SharedStore):
    """The same for a driver that several servers share."""

    async def extend(self, rows: Sequence[Row], known: int, guards: Sequence[str] = ()) -> int:
        shift = await super().extend([self.seals.seal(row) for row in rows], known, guards)  # type: ignore[safe-super]
        self.seals.written(rows)
        return shift


def sealed(driver: type[Store], options: msgspec.Struct, host: Any, keyring: Keyring | None) -> Store:
    """A store of that driver that seals what the keyring says."""
    face = SealingShared if issubclass(driver, SharedStore) else Sealing
    made: Sealing = type(f"Sealed{driver.__name__}", (face, driver), {})(options, host)
    made.seals = Seals(keyring)
    return made


def seals_of(store: Store) -> Seals:
    """Those of a store that ``sealed`` made; of another, such that do nothing."""
    return store.seals if isinstance(store, Sealing) else Seals(None)
