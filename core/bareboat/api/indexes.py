"""Label and node-name indexes: which objects a selector can match, without a look at the others.

In: the published changes of a resource, from the first time that somebody selects among its objects. Out: the keys that carry a
label's value, or Pods' keys by node. Equal sets of values are kept once: thousands of Pods of one template share theirs.
"""

from __future__ import annotations

import msgspec

from bareboat.models.selectors import Selector
from bareboat.store.entry import Change, Entry
from bareboat.store.log import Log

#: The field of a resource that is indexed beside its labels.
FIELDS = {"core/pods": "spec.nodeName"}
#: Sets of values that are kept once at most; more of them are kept again, which costs memory and nothing else.
KNOWN = 10_000

Term = tuple[str, str]
Terms = tuple[Term, ...]


class _Meta(msgspec.Struct, gc=False):
    labels: dict[str, str] = {}


class _Spec(msgspec.Struct, frozen=True, gc=False):
    nodeName: str = ""


class _Placed(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: _Spec = _Spec()


class _Labeled(msgspec.Struct, gc=False):
    metadata: _Meta


_decode_placed = msgspec.json.Decoder(_Placed).decode
_decode_labeled = msgspec.json.Decoder(_Labeled).decode


class _Index:
    """Of one resource; ``field`` is indexed as the term (field, value)."""

    def __init__(self, log: Log, prefix: str, field: str) -> None:
        self._field = field
        self._terms: dict[str, Terms] = {}
        self._known: dict[Terms, Terms] = {}
        self._keys: dict[Term, set[str]] = {}
        for entry in log.scan(prefix):
            self._put(entry.key, entry.data)
        log.tap(prefix, self._changed)

    def keys(self, terms: list[Term]) -> set[str]:
        """What carries all of them."""
        found = sorted((self._keys.get(term, set()) for term in terms), key=len)
        return found[0].intersection(*found[1:])

    def _changed(self, change: Change) -> None:
        if change.deleted:
            self._move(change.key, ())
        else:
            self._put(change.key, change.entry.data)

    def _put(self, key: str, data: bytes) -> None:
        if self._field:
            placed = _decode_placed(data)
            terms = (*placed.metadata.labels.items(), (self._field, placed.spec.nodeName))
        else:
            terms = tuple(_decode_labeled(data).metadata.labels.items())
        if len(self._known) > KNOWN:
            self._known.clear()
        self._move(key, self._known.setdefault(terms, terms))

    def _move(self, key: str, terms: Terms) -> None:
        before = self._terms.pop(key, ())
        if terms:
            self._terms[key] = terms
        if before == terms:
            return
        for term in before:
            self._keys[term].discard(key)
            if not self._keys[term]:
                del self._keys[term]
        for term in terms:
            self._keys.setdefault(term, set()).add(key)


class Indexes:
    """Of every resource that was asked for."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._indexes: dict[str, _Index] = {}

    def select(self, resource: str, prefix: str, selector: Selector | None, fields: list[tuple[str, str, str]]) -> list[Entry] | None:
        """The entries under ``prefix`` that match, in key order; None where an index does not answer the whole question."""
        terms: list[Term] = list(selector.equal) if selector is not None else []
        own = FIELDS.get(resource, "")
        for path, operator, value in fields:
            if not own or path != own or operator == "!=":
                return None
            terms.append((path, value))
        if not terms or (selector is not None and (selector.others or selector.nothing)):
            return None
        index = self._indexes.get(resource)
        if index is None:
            index = self._indexes[resource] = _Index(self._log, f"{resource}/", own)
        found = (self._log.get(key) for key in sorted(index.keys(terms)) if key.startswith(prefix))
        return [entry for entry in found if entry is not None]
