"""How much one source may say about one object, as client-go limits it: similar events are combined, and too many are dropped.

What comes in: whom an event is about, its reason and its message. What goes out: the message to write, or that there is none. Ten
minutes without an event of a kind begin anew. Nothing is written here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

#: So many different messages of one reason, with no more than so many seconds between two, are combined from then on.
SIMILAR, INTERVAL = 10, 600.0
#: Events about one object at once, and seconds until one more may be written.
BURST, REFILL = 25.0, 300.0
COMBINED = "(combined from similar events): "
#: Objects, and kinds of events, that are remembered: those of which there was news last.
SIZE = 4096


class Recent(Generic[T]):
    """The ``SIZE`` values that were put last."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        return self._values.get(key)

    def put(self, key: Hashable, value: T) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > SIZE:
            self._values.popitem(last=False)

    def pop(self, key: Hashable) -> None:
        self._values.pop(key, None)


class Correlator:
    """Of one source. ``about`` identifies the object, ``kind`` what is said of it but for the message; ``now`` are seconds."""

    def __init__(self) -> None:
        self._messages: Recent[tuple[set[str], float]] = Recent()
        self._tokens: Recent[tuple[float, float]] = Recent()

    def message(self, about: Hashable, kind: Hashable, message: str, now: float) -> tuple[str, bool]:
        """The text to write, and whether it stands for all similar events."""
        messages, last = self._messages.get((about, kind)) or (set(), now)
        if now - last > INTERVAL:
            messages = set()
        similar = message not in messages and len(messages) + 1 >= SIMILAR
        if not similar:
            messages.add(message)
        self._messages.put((about, kind), (messages, now))
        return (COMBINED + message, True) if similar else (message, False)

    def accepts(self, about: Hashable, now: float) -> bool:
        """Whether one more may be written; if so, it is counted."""
        left, last = self._tokens.get(about) or (BURST, now)
        left = min(BURST, left + (now - last) / REFILL)
        self._tokens.put(about, (left - 1.0 if left >= 1.0 else left, now))
        return left >= 1.0
