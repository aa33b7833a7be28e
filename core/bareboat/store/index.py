"""The live entries, by key and in key order per resource and namespace. Memory only, one thread."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

from bareboat.store.entry import Entry, resource_of


class Index:
    """``scan`` walks in key order; inserting costs one bisect in the key's own namespace."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._keys: dict[str, dict[str, list[str]]] = {}

    def put(self, entry: Entry) -> None:
        key = entry.key
        if key not in self.entries:
            resource = resource_of(key)
            namespace = key[: key.rindex("/") + 1]
            keys = self._keys.setdefault(resource, {}).setdefault(namespace, [])
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
            del spaces[namespace]

    def scan(self, prefix: str, start_after: str = "") -> Iterator[Entry]:
        """Entries whose key starts with ``prefix``: a resource ("apps/deployments/") or a namespace of one."""
        entries = self.entries
        for keys in self._lists(prefix):
            start = bisect.bisect_right(keys, start_after) if start_after else 0
            for key in keys[start:] if start else keys:
                entry = entries.get(key)
                if entry is not None:
                    yield entry

    def count(self, prefix: str) -> int:
        return sum(len(keys) for keys in self._lists(prefix))

    def resources(self) -> list[str]:
        return [resource for resource, spaces in self._keys.items() if spaces]

    def _lists(self, prefix: str) -> list[list[str]]:
        spaces = self._keys.get(resource_of(prefix), {})
        if prefix.count("/") == 2:
            return [spaces[namespace] for namespace in sorted(spaces)]
        return [spaces[prefix]] if prefix in spaces else []
