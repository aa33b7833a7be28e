"""JSON as it was written. In: the bytes of a body. Out: a tree that still has duplicate keys, their order and the spelling of numbers.

Only the slow way of the codec reads this; it is stricter about syntax than Python and, like Go, lenient about broken Unicode.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn


class Pairs(list[tuple[str, Any]]):
    """An object: its members in order, duplicates included."""


class Number(float):
    """A number that is no integer, with its spelling."""

    text: str


class SyntaxFault(ValueError):
    """The body is not JSON."""


def parse(data: bytes) -> Any:
    """Raises SyntaxFault."""
    text = data.decode("utf-8", "replace")
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise SyntaxFault(_describe(text, error)) from None
    except RecursionError:
        raise SyntaxFault("exceeded max depth") from None
    except SyntaxFault:
        raise
    except ValueError:  # a whole number of thousands of digits
        raise SyntaxFault("a number is out of range") from None


def plain(value: Any) -> Any:
    """The tree as dicts and lists, for the fields that hold any JSON; of duplicate keys the last counts."""
    if isinstance(value, Pairs):
        return {_clean(key): plain(item) for key, item in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return _clean(value) if isinstance(value, str) else value


def kind(value: Any) -> str:
    """What Go's errors call the value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Pairs):
        return "object"
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number"


def _clean(text: str) -> str:
    """Lone surrogates become U+FFFD, as in Go."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


clean = _clean


def _number(text: str) -> Number:
    number = Number(text)
    number.text = text
    return number


def _constant(text: str) -> NoReturn:
    raise SyntaxFault(f"invalid character '{text[0]}' looking for beginning of value")


def _describe(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    char = text[error.pos]
    if error.msg == "Extra data":
        return f"invalid character '{char}' after top-level value"
    if error.msg == "Expecting ',' delimiter":
        return f"invalid character '{char}' after {_place(text[: error.pos])}"
    if error.msg == "Expecting ':' delimiter":
        return f"invalid character '{char}' after object key"
    if error.msg.startswith("Expecting property name"):
        return f"invalid character '{char}' looking for beginning of object key string"
    if error.msg.startswith("Invalid control character"):
        return f"invalid character '{json.dumps(char)[1:-1]}' in string literal"
    if error.msg.startswith("Invalid \\escape"):
        return f"invalid character '{text[error.pos + 1 : error.pos + 2]}' in string escape code"
    return f"invalid character '{char}' looking for beginning of value"


def _place(before: str) -> str:
    """What a missing comma should have followed: the innermost bracket that is still open decides."""
    opened: list[str] = []
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", before)):
        if bracket in "[{":
            opened.append(bracket)
        else:
            opened.pop()
    return "array element" if opened[-1:] == ["["] else "object key:value pair"


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_DECODER = json.JSONDecoder(object_pairs_hook=Pairs, parse_float=_number, parse_constant=_constant)
