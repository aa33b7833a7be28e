"""One state of an object, as bytes and as the views that are asked for; and an index over the states of many.

A view is a Struct of a few fields. It is decoded when it is first asked for; where nothing of it changed, it is the very object of the
state before, which tells everybody at once that there is nothing new in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from bareboat.base.wide import WideSet
from bareboat.models.codec import decode


class State:
    """``data`` is None where there is no object. Views are shared by all who are told of a change: not to be written to."""

    __slots__ = ("_before", "_cls", "_known", "data")

    def __init__(self, cls: type[msgspec.Struct], data: bytes | None, before: State | None = None) -> None:
        self.data = data
        self._cls = cls
        self._before = before
        self._known: dict[Any, Any] = {}

    def of(self, view: Any) -> Any:
        """The whole object for the informer's own class; None if there is no object."""
        if self.data is None:
            return None
        found = self._known.get(view)
        if found is None:
            found = self._known[view] = self._decoded(view)
        return found

    def alone(self, view: Any) -> Any:
        """As ``of``, for who does not ask whether anything of it changed."""
        return None if self.data is None else self._known.get(view) or msgspec.json.decode(self.data, type=view)

    def _decoded(self, view: Any) -> Any:
        if view is self._cls:
            return decode(self._cls, self.data or b"")
        found = msgspec.json.decode(self.data or b"", type=view)
        was = self._before.of(view) if self._before is not None else None
        return was if found == was else found

    def settle(self) -> State:
        """To be kept for the next change; not the whole object, which is large."""
        self._before = None
        self._known.pop(self._cls, None)
        return self


class Index:
    """Keys by what ``values`` gives for their objects: always the same for the same object."""

    def __init__(self, values: Callable[[Any], Iterable[str]]) -> None:
        self._values = values
        self._keys: dict[str, set[str] | WideSet[str]] = {}

    def move(self, key: str, before: Any, after: Any) -> None:
        """``before`` None: it is new; ``after`` None: it is gone."""
        was = () if before is None else tuple(self._values(before))
        now = () if after is None else tuple(self._values(after))
        if now == was:
            return
        for value in was:
            if value not in now and value in self._keys:
                self._keys[value].discard(key)
                if not self._keys[value]:
                    del self._keys[value]
        for value in now:
            WideSet.put_into(self._keys, value, key)

    def keys(self, value: str) -> Iterable[str]:
        return self._keys.get(value, ())

    def values(self) -> list[str]:
        return list(self._keys)
