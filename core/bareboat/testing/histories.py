"""A checker for what clients saw of a store: was it one log, in one order, from which nothing was lost and nothing made up?

What comes in: operations with the times at which they began and ended, and what watches were told. What goes out: violations in
words; [] means that the history is linearizable per key and that no watch missed or repeated anything.

Every written value must be unique. Revisions name the order that the store claims, and compare-and-swap pins each write to the
one before it; so instead of searching for an order (Wing and Gong) the claimed one is checked, in linear time:

* a revision is one change; a value came from one write, which was not refused, and is there once
* a write replaced exactly the revision that it named, a create nothing; so no update was lost in between
* a write that began after another was acknowledged has a higher revision
* a read shows nothing older than what was acknowledged, or read, before it began, and nothing that was not yet asked for
* who was refused a write on a revision is never shown that revision again: the refusal was not made up either
* a list shows every key as it was at the list's own revision
* a watch is told every change after its start, once, in order, up to the last that it was told
* at the end every acknowledged write is there, or a later one of its key
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable

import msgspec

NEVER = float("inf")


class Operation(msgspec.Struct, kw_only=True):
    """``kind``: create, update, delete, get or list. ``outcome``: ok, refused (it cannot have happened) or unknown (it may have).

    ``expect``: the revision that a write is based on (None: any). ``revision``: a write's own, a read's object's (0 = absent, or
    not told), a list's own. ``value``: written, or seen. ``items``: of a list, key → (revision, value).
    """

    kind: str
    begin: float
    end: float = NEVER
    key: str = ""
    value: str = ""
    expect: int | None = None
    outcome: str = "unknown"
    revision: int = 0
    items: dict[str, tuple[int, str]] = {}


class Seen(msgspec.Struct, frozen=True):
    """One event of a watch."""

    key: str
    revision: int
    value: str
    deleted: bool = False


class Watched(msgspec.Struct):
    """What one watch was told after revision ``start``, over as many connections as it took without being told to list again."""

    start: int
    events: list[Seen] = []


class History(msgspec.Struct):
    """``final``: key → (revision, value), read when all was quiet; None if it was not read."""

    operations: list[Operation] = []
    watches: list[Watched] = []
    final: dict[str, tuple[int, str]] | None = None


def check(history: History) -> list[str]:
    """The violations."""
    return _Checker(history).run()


class _Checker:
    def __init__(self, history: History) -> None:
        self._history = history
        self._problems: dict[str, None] = {}
        self._changes: dict[int, Seen] = {}
        self._writes = {o.value: o for o in history.operations if o.kind in ("create", "update") and o.value}
        self._of_key: dict[str, list[int]] = {}

    def run(self) -> list[str]:
        self._collect()
        of_key = defaultdict(list)
        for revision in sorted(self._changes):
            of_key[self._changes[revision].key].append(revision)
        self._of_key = dict(of_key)
        self._check_origins()
        self._check_swaps()
        self._check_times()
        self._check_lists()
        for watched in self._history.watches:
            self._check_watch(watched)
        self._check_final()
        return list(self._problems)

    def _report(self, text: str) -> None:
        self._problems[text] = None

    def _collect(self) -> None:
        """All changes that anybody knows of."""
        for seen in self._observed():
            known = self._changes.setdefault(seen.revision, seen)
            if known.key != seen.key or (known.value != seen.value and not (known.deleted or seen.deleted)):
                self._report(f"revision {seen.revision} is both {_shown(known)} and {_shown(seen)}")
            elif known.deleted != seen.deleted:
                self._report(f"revision {seen.revision} of {seen.key} is both a delete and a write")

    def _observed(self) -> Iterable[Seen]:
        for watched in self._history.watches:
            yield from watched.events
        for o in self._history.operations:
            if o.kind == "list":
                yield from (Seen(key, revision, value) for key, (revision, value) in o.items.items())
            elif o.revision and o.outcome == "ok" and o.kind != "delete":
                yield Seen(o.key, o.revision, o.value)
        for key, (revision, value) in (self._history.final or {}).items():
            yield Seen(key, revision, value)

    def _check_origins(self) -> None:
        places: dict[str, int] = {}
        for revision, seen in self._changes.items():
            if seen.deleted:
                continue
            write = self._writes.get(seen.value)
            if write is None or write.key != seen.key:
                self._report(f"{_shown(seen)}, which nobody wrote")
            elif write.outcome == "refused":
                self._report(f"{_shown(seen)}, whose write was refused")
            elif write.outcome == "ok" and write.revision != revision:
                self._report(f"{_shown(seen)}, but its write was acknowledged as revision {write.revision}")
            if places.setdefault(seen.value, revision) != revision:
                self._report(f"{seen.key} = {seen.value!r} is there twice, at revisions {places[seen.value]} and {revision}")

    def _check_swaps(self) -> None:
        for key, revisions in self._of_key.items():
            before: Seen | None = None
            for revision in revisions:
                change = self._changes[revision]
                write = None if change.deleted else self._writes.get(change.value)
                if write is not None and write.expect is not None:
                    self._check_swap(key, change, write.expect, before)
                before = change

    def _check_swap(self, key: str, change: Seen, expect: int, before: Seen | None) -> None:
        at = 0 if before is None or before.deleted else before.revision
        if before is not None and at > expect:
            self._report(f"{key} at revision {change.revision} replaced {expect}, though revision {at} was there: a lost update")
        elif before is not None and not at and expect and before.revision > expect:
            self._report(f"{key} at revision {change.revision} replaced {expect}, though it was deleted at revision {before.revision}")

    def _check_times(self) -> None:
        """Nothing older than what was known to somebody before it began; nothing before it was asked for."""
        ends = sorted((o for o in self._history.operations if o.outcome != "unknown"), key=lambda o: o.end)
        begins = sorted((o for o in self._history.operations if o.outcome == "ok"), key=lambda o: o.begin)
        highest, known, at = 0, dict[str, int](), 0
        for o in begins:
            while at < len(ends) and ends[at].end < o.begin:
                highest = self._learn(ends[at], known, highest)
                at += 1
            if o.kind in ("create", "update"):
                if o.revision <= highest:
                    self._report(f"{o.key} = {o.value!r} got revision {o.revision}, after revision {highest} had been acknowledged")
            elif o.kind == "list":
                if o.revision < highest:
                    self._report(f"a list at revision {o.revision} is stale: {highest} had been acknowledged")
                for key, (revision, _) in o.items.items():
                    if revision < known.get(key, 0):
                        self._report(f"a list shows {key} at {revision}, but {known[key]} had been acknowledged, read or ahead of a write")
            elif o.kind == "get":
                self._check_read(o, known.get(o.key, 0))

    def _learn(self, o: Operation, known: dict[str, int], highest: int) -> int:
        if o.outcome == "refused":
            known[o.key] = max(known.get(o.key, 0), (o.expect or 0) + 1 if o.expect else 0)
            return highest
        if o.kind == "list":
            for key, (revision, _) in o.items.items():
                known[key] = max(known.get(key, 0), revision)
        elif o.kind != "delete":
            known[o.key] = max(known.get(o.key, 0), o.revision)
        return max(highest, o.revision)

    def _check_read(self, o: Operation, least: int) -> None:
        if o.revision:
            write = self._writes.get(o.value)
            if o.revision < least:
                self._report(
                    f"a read of {o.key} is stale: revision {o.revision}, but {least} had been acknowledged, read or ahead of a write"
                )
            if write is not None and write.begin > o.end:
                self._report(f"a read of {o.key} shows {o.value!r} before it was written")
        elif least and not self._may_be_deleted(o.key, least, o.end):
            self._report(f"a read of {o.key} finds nothing, but revision {least} had been acknowledged or read")

    def _may_be_deleted(self, key: str, after: int, before: float) -> bool:
        if any(self._changes[r].deleted for r in self._of_key.get(key, ()) if r > after):
            return True
        return any(o.kind == "delete" and o.key == key and o.outcome != "refused" and o.begin < before for o in self._history.operations)

    def _check_lists(self) -> None:
        for o in (o for o in self._history.operations if o.kind == "list" and o.outcome == "ok"):
            for key, revisions in self._of_key.items():
                place = bisect.bisect_right(revisions, o.revision)
                newest = self._changes[revisions[place - 1]] if place else None
                found = o.items.get(key, (0, ""))[0]
                if found > o.revision:
                    self._report(f"a list at revision {o.revision} shows {key} at revision {found}")
                elif newest is not None and newest.revision > found and not self._excused(newest, found, o.end):
                    self._report(f"a list at revision {o.revision} shows {key} at {found}, not at {newest.revision}")

    def _excused(self, newest: Seen, found: int, end: float) -> bool:
        return not found and (newest.deleted or self._may_be_deleted(newest.key, newest.revision, end))

    def _check_watch(self, watched: Watched) -> None:
        last = watched.start
        for event in watched.events:
            if event.revision <= last:
                self._report(f"a watch was told of revision {event.revision} after {last}: a duplicate, or out of order")
            last = max(last, event.revision)
        told = {event.revision for event in watched.events}
        for revision in self._changes:
            if watched.start < revision <= last and revision not in told:
                self._report(f"a watch from {watched.start} to {last} was not told of revision {revision}: a gap")

    def _check_final(self) -> None:
        final = self._history.final
        if final is None:
            return
        for key, revisions in self._of_key.items():
            newest = self._changes[revisions[-1]]
            found = final.get(key, (0, ""))[0]
            if newest.deleted:
                if found:
                    self._report(f"{key} is there at revision {found}, but it was deleted at revision {newest.revision}")
            elif found != newest.revision and (found or not self._may_be_deleted(key, newest.revision, NEVER)):
                self._report(f"{key}: revision {newest.revision} is lost; at the end it is at {found}")
        for o in self._history.operations:
            if o.kind in ("create", "update") and o.outcome == "ok" and o.key not in self._of_key:
                self._report(f"{o.key}: acknowledged revision {o.revision} is lost")


def _shown(seen: Seen) -> str:
    return f"the delete of {seen.key}" if seen.deleted else f"{seen.key} = {seen.value!r} at revision {seen.revision}"
