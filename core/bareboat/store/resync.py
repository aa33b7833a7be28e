"""What changed between the entries in memory and the live rows of the store, when the history between them is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bareboat.base.wide import WideDict
from bareboat.contracts.store import Row
from bareboat.store.entry import Change, Entry


def differences(known: WideDict[str, Entry], live: Mapping[str, Row], head: int, entry_of: Callable[[Row], Entry]) -> list[Change]:
    """One change a key, in revision order, deletes last (at ``head``): for those who follow every change to end up with the same state."""
    changes = []
    for key, row in live.items():
        before = known.get(key)
        if before is None or before.revision != row.revision:
            changes.append(Change(key, row.revision, False, entry_of(row), before))
    changes.sort(key=lambda change: change.revision)
    for key, entry in known.items():
        if key not in live:
            gone = Entry(key, head, entry.created, entry.data, entry.expires_at)
            changes.append(Change(key, head, True, gone, entry))
    return changes
