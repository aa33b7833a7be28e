"""Label and node-name indexes: which objects a selector can match, without a look at the others.

In: the published changes of a resource, from the first time that somebody selects among its objects; what was there before is taken in
some at a time, by whoever waits for it. Out: the keys that carry a label's value, or Pods' keys by node. Equal sets of values are
kept once: thousands of Pods of one template share theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import islice

import msgspec

from bareboat.base.wide import PLAIN, WideDict, WideSet
from bareboat.models.selectors import Selector
from bareboat.store.entry import Change
from bareboat.store.log import Log

#: The field of a resource that is indexed beside its labels.
FIELDS = {"core/pods": "spec.nodeName"}
#: Sets of values that are kept once at most; more of them are kept again, which costs memory and nothing else.
KNOWN = 10_000
#: Sorted results that are kept of one resource.
ORDERED = 64
#: Objects that are taken in before others have their turn.
PORTION = 100

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


class Common:
    """What is in all of some large sets: it is not worked out but asked for, key by key."""

    def __init__(self, sets: Sequence[WideSet[str]]) -> None:
        """The smallest first."""
        self._sets = sets

    def __contains__(self, key: str) -> bool:
        return all(key in keys for keys in self._sets)


Keys = set[str] | Common
_NONE: set[str] = set()


class _Index:
    """Of one resource; ``field`` is indexed as the term (field, value)."""

    def __init__(self, log: Log, prefix: str, field: str) -> None:
        self._field = field
        self._terms: WideDict[str, Terms] = WideDict()
        self._known: dict[Terms, Terms] = {}
        self._keys: dict[Term, set[str] | WideSet[str]] = {}
        #: by terms and prefix, while no term comes or goes
        self._ordered: dict[tuple[Terms, str], list[str]] = {}
        self._scan, self._after = partial(log.scan, prefix), ""
        self.whole = False
        log.tap(prefix, self._changed)

    def advance(self) -> None:
        """Take in some more of what was there before; what changes meanwhile comes by itself."""
        if self.whole:
            return
        some = list(islice(self._scan(self._after), PORTION))
        for entry in some:
            self._put(entry.key, entry.data)
        self._after = some[-1].key if some else ""
        self.whole = len(some) < PORTION

    def keys(self, terms: Terms) -> Keys:
        """What carries all of them."""
        found = sorted((self._keys.get(term, _NONE) for term in terms), key=len)
        least, others = found[0], found[1:]
        if len(least) > PLAIN:
            return Common([keys.snapshot() for keys in found if isinstance(keys, WideSet)])
        plain = [keys for keys in others if isinstance(keys, set)]
        if isinstance(least, set) and len(plain) == len(others):
            return least.intersection(*plain)
        return {key for key in least if all(key in keys for keys in others)}

    def ordered(self, terms: Terms, prefix: str, most: int) -> list[str] | None:
        """The keys under ``prefix`` of what carries all of them, sorted, not to be changed; None: there may be more than ``most``."""
        known = self._ordered.get((terms, prefix))
        if known is None:
            if min(len(self._keys.get(term, _NONE)) for term in terms) > most:
                return None
            keys = self.keys(terms)
            if isinstance(keys, Common):
                return None
            if len(self._ordered) >= ORDERED:
                self._ordered.clear()
            known = self._ordered[terms, prefix] = sorted(key for key in keys if key.startswith(prefix))
        return known

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
        self._ordered.clear()
        for term in before:
            self._keys[term].discard(key)
            if not self._keys[term]:
                del self._keys[term]
        for term in terms:
            WideSet.put_into(self._keys, term, key)


class Indexes:
    """Of every resource that was asked for."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._indexes: dict[str, _Index] = {}

    async def select(self, resource: str, selector: Selector | None, fields: list[tuple[str, str, str]]) -> Terms | None:
        """What ``keys`` is to look for, once the index is there; None where one does not answer the whole question."""
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
        while not index.whole:
            index.advance()
            await asyncio.sleep(0)
        return tuple(terms)

    def keys(self, resource: str, terms: Terms) -> Keys:
        """The keys, of any namespace, that match now what ``select`` found."""
        return self._indexes[resource].keys(terms)

    def ordered(self, resource: str, terms: Terms, prefix: str, most: int) -> list[str] | None:
        """The same in order and under a prefix; None: there may be more than ``most``."""
        return self._indexes[resource].ordered(terms, prefix, most)
