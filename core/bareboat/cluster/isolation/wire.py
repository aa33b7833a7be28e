"""What goes over the socket between an agent and an isolated driver: a length and MessagePack, one call or answer after the other.

In: verbs of a contract, whose annotations say how arguments and results look. Out: bytes, and back. A verb that hands out something alive
(streams) cannot cross; it is Unsupported.
"""

from __future__ import annotations

import asyncio
import inspect
import typing
from typing import Any

import msgspec

from bareboat.contracts import errors
from bareboat.contracts.errors import DriverError, Unsupported

#: Bytes of one message at most.
LIMIT = 64 << 20
_ERRORS = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, DriverError)}


class Call(msgspec.Struct, array_like=True):
    number: int
    verb: str
    arguments: bytes


class Answer(msgspec.Struct, array_like=True):
    """``error`` is the name of a class of contracts.errors, "" for a result, "bug" for any other exception."""

    number: int
    result: bytes = b""
    error: str = ""
    message: str = ""
    reason: str = ""
    retry_after: float | None = None


class Shape:
    """How one verb is written down."""

    def __init__(self, verb: Any) -> None:
        hints = typing.get_type_hints(verb)
        self._signature = inspect.signature(verb)
        names = list(self._signature.parameters)[1:]
        self._arguments = tuple[tuple(hints[n] for n in names)] if names else tuple[()]  # type: ignore[misc]
        result = hints.get("return", type(None))
        self.crosses = not getattr(result, "_is_protocol", False)
        self._result = result

    def pack(self, arguments: Any, options: Any) -> bytes:
        """Raises TypeError for arguments that the verb does not take, Unsupported for what cannot cross."""
        if not self.crosses:
            raise Unsupported("a driver with `isolate: true` hands out no streams")
        bound = self._signature.bind(None, *arguments, **options)
        bound.apply_defaults()
        return msgspec.msgpack.encode(list(bound.arguments.values())[1:])

    def unpack(self, data: bytes) -> Any:
        return msgspec.msgpack.decode(data, type=self._arguments)

    def result(self, data: bytes) -> Any:
        return msgspec.msgpack.decode(data, type=self._result)


def failure(number: int, error: BaseException) -> Answer:
    if isinstance(error, DriverError):
        name = next(c.__name__ for c in type(error).__mro__ if c.__name__ in _ERRORS)
        return Answer(number, error=name, message=error.message, reason=error.reason, retry_after=error.retry_after)
    return Answer(number, error="bug", message=f"{type(error).__name__}: {error}")


def raised(answer: Answer) -> Exception:
    cls = _ERRORS.get(answer.error)
    if cls is None:
        return RuntimeError(answer.message)
    return cls(answer.message, reason=answer.reason, retry_after=answer.retry_after)


async def read(stream: asyncio.StreamReader, kind: Any) -> Any:
    """Raises EOFError at the end."""
    head = await stream.readexactly(4)
    return msgspec.msgpack.decode(await stream.readexactly(int.from_bytes(head)), type=kind)


def frame(message: msgspec.Struct) -> bytes:
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(4) + data
