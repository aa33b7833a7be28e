"""The leaf types of Kubernetes objects and how the codec turns what a client sent into its canonical form.

A quantity, a time or base64 text is a plain `str` in the object; its class here only tells msgspec to call `canonical` while decoding.
Also here: the factories by which generated types say that a field is written although it is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from msgspec import Meta, Raw

from bareboat.models import base64, quantity, times

Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Double: TypeAlias = int | float  # a whole number is written without its point, as Go does
IntOrString: TypeAlias = Int32 | str
Fields: TypeAlias = Raw  # who owns what, as JSON: it is as large as the object, and few look into it
#: Nobody owns anything: the field is absent. No other empty one may stand in for it.
NO_FIELDS = Raw()
#: Characters of a text at most that is remembered: data of Secrets is not.
LONGEST = 40

if TYPE_CHECKING:
    Quantity: TypeAlias = str
    Time: TypeAlias = str
    MicroTime: TypeAlias = str
    Bytes: TypeAlias = str
else:

    class _Text(type):
        """Every `str` is an instance: msgspec checks what the hook returns."""

        __instancecheck__ = str.__instancecheck__

    class Quantity(metaclass=_Text): ...

    class Time(metaclass=_Text): ...

    class MicroTime(metaclass=_Text): ...

    class Bytes(metaclass=_Text): ...


_CANONICAL: dict[Any, Callable[[Any], str]] = {
    Quantity: quantity.canonical,
    Time: times.canonical,
    MicroTime: times.canonical_micro,
    Bytes: base64.canonical,
}


@lru_cache(8192, typed=True)
def _known(kind: Any, value: Any) -> str:
    return _CANONICAL[kind](value)


def canonical(kind: Any, value: Any) -> str:
    """The msgspec hook: raises ValueError with upstream's message. Objects repeat the same few texts: short ones are remembered."""
    if value.__class__ is str and len(value) > LONGEST:
        return _CANONICAL[kind](value)
    return _known(kind, value)


def nothing() -> None:
    """The zero of a field that is written as null."""


def preset(text: str) -> Callable[[], str]:
    """A factory of one string, without a Python frame."""
    return text.__str__


empty_list: Callable[[], list[Any]] = [].copy
empty_map: Callable[[], dict[str, Any]] = {}.copy
