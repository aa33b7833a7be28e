"""A tree as rules see it: member names that CEL cannot spell are escaped, whole numbers in ``number`` fields are doubles, base64 is bytes.

Most schemas need none of this; their trees are used as they are.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from bareboat.api.custom.schema import Schema

_RESERVED = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let"),
        *("loop", "package", "namespace", "return", "var", "void", "while"),
    )
)
_SPELLED = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED = re.compile(r"__|\.|-|/")


def escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    return _ESCAPED.sub(lambda found: _SPELLED[found[0]], name)


def needs_view(schema: Schema) -> bool:
    """Whether anything at or below is seen otherwise than it is stored."""
    if schema.kind == "number" or schema.format == "byte":
        return True
    below = [*schema.properties.values(), schema.items, schema.additional]
    return any(escaped(name) != name for name in schema.properties) or any(needs_view(s) for s in below if isinstance(s, Schema))


def view(value: Any, schema: Schema) -> Any:
    """A copy where something differs."""
    if isinstance(value, dict):
        return {_member(name, schema): _below(item, schema.property(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_below(item, schema.items) for item in value]
    if schema.kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if schema.format == "byte" and isinstance(value, str):
        return _decoded(value)
    return value


def _member(name: str, schema: Schema) -> str:
    return escaped(name) if name in schema.properties else name


def _below(value: Any, schema: Schema | None) -> Any:
    return value if schema is None else view(value, schema)


def _decoded(text: str) -> bytes | str:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text
