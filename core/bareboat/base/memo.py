"""Remembering what a function says of texts that strangers choose: the last few, and no long ones.

``functools.lru_cache`` counts entries, not bytes: a thousand names of a megabyte would be a gigabyte that nobody gives back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
#: Characters of a text at most.
LONGEST = 256


def remembered(most: int, longest: int = LONGEST) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """For a function of texts alone, whose result follows from them: ``most`` results are kept. What raises is not."""

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        known = lru_cache(most)(function)

        @wraps(function)
        def called(*texts: P.args, **named: P.kwargs) -> T:
            for text in texts:
                if len(text) > longest:  # type: ignore[arg-type]
                    return function(*texts, **named)
            return known(*texts, **named)  # type: ignore[arg-type]

        return called

    return decorated
