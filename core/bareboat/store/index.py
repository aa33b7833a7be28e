"""The live entries, by key and in key order per resource and namespace. Memory only, one thread."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from itertools import islice

from bareboat.base.wide import WideDict
from bareboat.store.entry import Entry, resource_of


class Index:
    """``scan`` walks in key order; inserting costs one bisect in the key's own namespace."""

    def __init__(self) -> None:
        self.entries: WideDict[str, Entry] = WideDict()
        self._keys: dict[str, dict[str, list[str]]] = {}
        #: the same lists by namespace alone
        self._spaces: dict[str, list[str]] = {}

    def put(self, entry: Entry) -> None:
        key = entry.key
        if key not in self.entries:
            namespace = key[: key.rindex("/") + 1]
            keys = self._spaces.get(namespace)
            if keys is None:
                keys = self._spaces[namespace] = self._keys.setdefault(resource_of(key), {})[namespace] = []
            if keys and keys[-1] > key:
                bisect.insort(keys, key)
            else:
                keys.append(key)
        self.entries[key] = entry

    def remove(self, key: str) -> None:
        if self.entries.pop(key, None) is None:
            return
        spaces = self._keys[resource_of(key)]
        namespace = key[: key.rindex("/") + 1]
        keys = spaces[namespace]
        del keys[bisect.bisect_left(keys, key)]
        if not keys:
            del spaces[namespace], self._spaces[namespace]

    def scan(self, prefix: str, start_after: str = "") -> Iterator[Entry]:
        """Entries whose key starts with ``prefix``: a resource ("apps/deployments/") or a namespace of one."""
        entries = self.entries
        for keys in self._lists(prefix):
            start = bisect.bisect_right(keys, start_after) if start_after else 0
            for key in islice(keys, start, None) if start else keys:
                entry = entries.get(key)
                if entry is not None:
                    yield entry

    def listing(self, prefix: str) -> list[Entry]:
        """All that ``scan`` gives, at once."""
        found = self.entries
        return [entry for keys in self._lists(prefix) for entry in map(found.__getitem__, keys)]

    def count(self, prefix: str, start_after: str = "") -> int:
        lists = self._lists(prefix)
        if not start_after:
            return sum(map(len, lists))
        return sum(len(keys) - bisect.bisect_right(keys, start_after) for keys in lists)

    def resources(self) -> list[str]:
        return [resource for resource, spaces in self._keys.items() if spaces]

    def _lists(self, prefix: str) -> list[list[str]]:
        spaces = self._keys.get(resource_of(prefix), {})
        if prefix.count("/") == 2:
            return [spaces[namespace] for namespace in sorted(spaces)]
        return [spaces[prefix]] if prefix in spaces else []
