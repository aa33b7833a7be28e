"""What a verb may return, as its contract says: a check that costs a few isinstance calls.

In: a verb of a contract. Out: a function that says what is wrong with a value, or nothing. What cannot be told by looking at the outermost
two levels (a Protocol, a Literal) is let pass.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]


def promise(verb: Any) -> tuple[Check, str]:
    """The check, and how the promise reads."""
    try:
        wanted = typing.get_type_hints(verb).get("return", Any)
    except NameError:
        wanted = Any
    return _check(wanted), getattr(wanted, "__name__", str(wanted)) if not typing.get_args(wanted) else str(wanted).replace("typing.", "")


def _check(wanted: Any) -> Check:
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is None or wanted is type(None):
        return lambda value: value is None
    if origin in (typing.Union, types.UnionType):
        choices = [_check(choice) for choice in inner]
        return lambda value: any(check(value) for check in choices)
    if origin in (list, set, frozenset):
        item = _check(inner[0])
        return lambda value: isinstance(value, origin) and all(item(v) for v in value)
    if origin is tuple and inner[-1:] != (...,):
        parts = [_check(part) for part in inner]
        return lambda value: isinstance(value, tuple) and len(value) == len(parts) and all(c(v) for c, v in zip(parts, value, strict=True))
    if origin is dict:
        key, item = _check(inner[0]), _check(inner[1])
        return lambda value: isinstance(value, dict) and all(key(k) and item(v) for k, v in value.items())
    if isinstance(wanted, type) and not getattr(wanted, "_is_protocol", False):
        kinds = (int, float) if wanted is float else wanted
        return lambda value: isinstance(value, kinds)
    return lambda value: True
