"""Dictionaries and sets of very many keys that never grow all at once.

Python's own dictionary is copied when it is full: with a hundred thousand keys that takes milliseconds, in which nothing else happens.
These are plain ones while they are small, and beyond that many small ones, of which each grows on its own. Small ones keep the order in
which keys came; large ones have none that may be relied on.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from itertools import chain
from typing import Any, Generic, TypeVar, overload

#: Keys of a plain one at most, and into how many a larger one is divided (a power of two).
PLAIN, PARTS = 1024, 64
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")
#: What one part is.
P = TypeVar("P", bound="dict[Any, Any] | set[Any]")


class _Wide(Collection[K], Generic[K, P]):
    """What both are made of: one plain part, or PARTS of them. The set bits of ``_mask`` of a key's hash number its part."""

    __slots__ = ("_mask", "_parts")
    _mask: int
    _parts: list[P]

    def __contains__(self, key: object) -> bool:
        return key in self._parts[hash(key) & self._mask]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __bool__(self) -> bool:
        return any(self._parts)

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._parts)

    def parts(self) -> list[P]:
        """What it consists of: to be looked at and copied piece by piece, not to be changed."""
        return self._parts


class WideDict(_Wide[K, dict[K, V]], Generic[K, V]):
    """As ``dict``, as far as it goes; looking up costs a tenth of a microsecond."""

    __slots__ = ()

    def __init__(self) -> None:
        self._mask = 0
        self._parts: list[dict[K, V]] = [{}]

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V | T, /) -> V | T: ...
    def get(self, key: K, default: V | T | None = None, /) -> V | T | None:
        return self._parts[hash(key) & self._mask].get(key, default)

    def __getitem__(self, key: K) -> V:
        return self._parts[hash(key) & self._mask][key]

    def __setitem__(self, key: K, value: V) -> None:
        part = self._parts[hash(key) & self._mask]
        part[key] = value
        if not self._mask and len(part) > PLAIN:
            self._divide()

    def __delitem__(self, key: K) -> None:
        del self._parts[hash(key) & self._mask][key]

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, default: V | T, /) -> V | T: ...
    def pop(self, key: K, /, *default: V | T) -> V | T:
        return self._parts[hash(key) & self._mask].pop(key, *default)

    def values(self) -> Iterator[V]:
        return chain.from_iterable(part.values() for part in self._parts)

    def items(self) -> Iterator[tuple[K, V]]:
        return chain.from_iterable(part.items() for part in self._parts)

    def clear(self) -> None:
        self._mask, self._parts = 0, [{}]

    def popitem(self) -> tuple[K, V]:
        """Some item; of a small one the last that came. Raises KeyError if there is none."""
        for part in self._parts:
            if part:
                return part.popitem()
        raise KeyError("it is empty")

    def _divide(self) -> None:
        parts: list[dict[K, V]] = [{} for _ in range(PARTS)]
        mask = PARTS - 1
        for key, value in self._parts[0].items():
            parts[hash(key) & mask][key] = value
        self._mask, self._parts = mask, parts


class WideSet(_Wide[K, set[K]]):
    """As ``set``, as far as it goes. Where there are many sets and few are large, ``put_into`` makes wide only those."""

    __slots__ = ("_lent",)

    def __init__(self, keys: Iterable[K] = ()) -> None:
        self._mask = 0
        self._parts: list[set[K]] = [set()]
        #: which of the parts a snapshot has, too
        self._lent: list[bool] = []
        for key in keys:
            self.add(key)

    def add(self, key: K) -> None:
        part = self._own(hash(key) & self._mask)
        part.add(key)
        if not self._mask and len(part) > PLAIN:
            self._divide()

    def discard(self, key: K) -> None:
        self._own(hash(key) & self._mask).discard(key)

    def snapshot(self) -> WideSet[K]:
        """The keys of now, in no time: what changes later is copied then, a part of it at a time. Not to be changed."""
        taken: WideSet[K] = WideSet()
        taken._mask, taken._parts = self._mask, list(self._parts)
        self._lent = [True] * len(self._parts)
        return taken

    def _own(self, number: int) -> set[K]:
        if self._lent and self._lent[number]:
            self._parts[number] = set(self._parts[number])
            self._lent[number] = False
        return self._parts[number]

    @staticmethod
    def put_into(sets: dict[T, set[K] | WideSet[K]], name: T, key: K) -> None:
        """Add ``key`` to the set of that name, which need not be there yet."""
        found = sets.get(name)
        if found is None:
            sets[name] = {key}
            return
        found.add(key)
        if isinstance(found, set) and len(found) > PLAIN:
            sets[name] = WideSet(found)

    def _divide(self) -> None:
        parts: list[set[K]] = [set() for _ in range(PARTS)]
        mask = PARTS - 1
        for key in self._parts[0]:
            parts[hash(key) & mask].add(key)
        self._mask, self._parts, self._lent = mask, parts, []
