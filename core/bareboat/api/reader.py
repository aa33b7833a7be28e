"""Objects as they are now, for authorizers and admission plugins (contracts.auth.Reader): straight from the log, below authorization."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from bareboat.models.codec import decode
from bareboat.models.scheme import Scheme
from bareboat.store.log import Log

T = TypeVar("T")


class LogReader:
    """Over one server's log; reads what is published, decodes fresh Structs."""

    def __init__(self, log: Log, scheme: Scheme) -> None:
        self._log = log
        self._scheme = scheme

    def get(self, cls: type[T], name: str, namespace: str = "") -> T | None:
        entry = self._log.get(f"{self._key(cls)}/{namespace}/{name}")
        found: Any = cls
        return None if entry is None else decode(found, entry.data)

    def view(self, cls: type[Any], shape: type[T], name: str, namespace: str = "", *, keep: bool = False) -> T | None:
        """See contracts.auth.Reader."""
        entry = self._log.get(f"{self._key(cls)}/{namespace}/{name}")
        if entry is None:
            return None
        if entry.views is not None and shape in entry.views:
            return cast(T, entry.views[shape])
        found = cast(T, _decoder(cast(Any, shape)).decode(entry.data))
        if keep:
            entry.views = {**(entry.views or {}), shape: found}
        return found

    def list(self, cls: type[T], namespace: str | None = None) -> Iterator[T]:
        prefix = f"{self._key(cls)}/" if namespace is None else f"{self._key(cls)}/{namespace}/"
        found: Any = cls
        for entry in self._log.scan(prefix):
            yield decode(found, entry.data)

    def mark(self, cls: type[Any], name: str, namespace: str = "") -> Callable[[], bool]:
        """See contracts.auth.Reader."""
        get, key = self._log.get, f"{self._key(cls)}/{namespace}/{name}"
        entry = get(key)
        return lambda: get(key) is entry

    def subscribe(self, cls: type[T], changed: Callable[[str, str], None]) -> None:
        """See contracts.auth.Reader.subscribe."""
        prefix = f"{self._key(cls)}/"

        def tell(key: str) -> None:
            _, namespace, name = key.rsplit("/", 2)
            changed(namespace, name)

        for entry in list(self._log.scan(prefix)):
            tell(entry.key)
        self._log.tap(prefix, lambda change: tell(change.key))

    def _key(self, cls: type[Any]) -> str:
        return self._scheme.key_of(cls)


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)
