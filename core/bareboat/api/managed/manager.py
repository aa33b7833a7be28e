"""Keeps book of who owns which field: after an ordinary write, and for server-side apply.

In: the live and the new object as trees, who writes, and the books so far. Out: the books after the write; for an apply also the
object. Comparing happens before mutating admission and before the strategy resets anything, as upstream does; ``reset`` names the
fields that this endpoint never writes and so never owns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bareboat.api.managed import sets
from bareboat.api.managed.atoms import Atom
from bareboat.api.managed.conflicts import Conflicts
from bareboat.api.managed.entries import BEFORE, Managed, Owned, Owner, ordered, spelled
from bareboat.api.managed.merging import merge
from bareboat.api.managed.pruning import prune
from bareboat.api.managed.sets import Node
from bareboat.api.managed.walks import Comparison, NoKey, compare, named

#: What every object has to the end.
_NAME = {"f:metadata": {"f:name": sets.EMPTY}}
#: Nobody owns what the server writes itself.
_STRIPPED = {
    "f:apiVersion": sets.EMPTY,
    "f:kind": sets.EMPTY,
    "f:metadata": {
        sets.SELF: sets.EMPTY,
        **{
            f"f:{name}": sets.EMPTY
            for name in (
                "creationTimestamp",
                "generation",
                "managedFields",
                "name",
                "namespace",
                "resourceVersion",
                "selfLink",
                "uid",
            )
        },
    },
}


@dataclass(frozen=True, slots=True, eq=False)
class FieldManager:
    """Of one endpoint: ``atom`` its kind's shape, ``reset`` what it never writes."""

    atom: Atom
    reset: Node

    def updated(self, managed: Managed, live: dict[str, Any], new: dict[str, Any], owner: Owner, now: str) -> Managed:
        """After create, update or patch. ``live`` is the kind's empty object when there was none."""
        try:
            change = self._compare(live, new)
        except NoKey:
            return managed
        if not change:
            return managed
        gained, before = _gained(change), managed.get(owner)
        books = self._taken(managed, change, owner)
        left = sets.difference(before.fields, change.removed) if before else sets.EMPTY
        if gained:
            fields = sets.union(left, ordered(gained))
            books[owner] = before.having(fields, now) if before else Owned(fields, now)
        elif before and not left:
            del books[owner]
        elif before and left is not before.fields:
            books[owner] = Owned(left, before.time)
        return books

    def gained(self, live: dict[str, Any], new: dict[str, Any]) -> Node:
        """What the writer of ``new`` owns of it, where nobody owned anything. Raises NoKey."""
        return _gained(self._compare(live, new))

    def applied(
        self, managed: Managed, live: dict[str, Any], config: dict[str, Any], owner: Owner, now: str, *, force: bool
    ) -> tuple[dict[str, Any], Managed]:
        """The object with the configuration in it, and the books. Raises Conflicts unless forced."""
        last = managed.get(owner)
        asked = sets.without(named(config, self.atom), self.reset)
        mine = sets.difference(asked, _STRIPPED)
        merged = merge(live, config, self.atom)
        if last and sets.difference(last.fields, mine):  # something that it named it names no longer
            owned = sets.union(asked, _NAME)  # or metadata would go with the last label
            for key, other in managed.items():
                owned = owned if key == owner else sets.union(owned, other.fields)
            merged = prune(merged, last.fields, owned, self.atom)
        change = self._compare(live, merged)
        if not force:
            self._check(managed, change, owner)
        books = self._taken(managed, change, owner)
        books.pop(owner, None)
        if mine:
            books[owner] = Owned(ordered(mine), now if change else last.time if last else None)
        return merged, books

    def adopted(self, empty: dict[str, Any], live: dict[str, Any], api_version: str, now: str) -> Managed:
        """Books for an object of which none were kept."""
        return self.updated({}, empty, live, Owner(BEFORE, "Update", api_version), now)

    def _compare(self, old: dict[str, Any], new: dict[str, Any]) -> Comparison:
        found = compare(old, new, self.atom)
        if not self.reset:
            return found
        return Comparison(*(sets.without(part, self.reset) for part in (found.added, found.modified, found.removed)))

    def _check(self, managed: Managed, change: Comparison, owner: Owner) -> None:
        touched = sets.union(change.added, change.modified)
        named = spelled(sets.names(touched))
        others = [(key, owned) for key, owned in managed.items() if key != owner and owned.less(touched, named) is not None]
        found = {key: common for key, owned in others if (common := sets.intersection(owned.fields, touched))}
        if found:
            raise Conflicts(found)

    def _taken(self, managed: Managed, change: Comparison, keep: Owner | None) -> Managed:
        """The books after everybody but ``keep`` lost what was changed or removed."""
        lost = sets.union(sets.union(change.added, change.modified), change.removed)
        named = spelled(sets.names(lost))
        books: Managed = {}
        for key, owned in managed.items():
            left = None if key == keep else owned.less(lost, named)
            if left is None:
                books[key] = owned
            elif left:
                books[key] = Owned(left, owned.time)
        return books


def _gained(change: Comparison) -> Node:
    return sets.difference(sets.union(change.added, change.modified), _STRIPPED)
