"""The old OpenAPI document as protobuf (gnostic's OpenAPI v2 schema), which kubectl reads and nothing else.

In: the document as a tree. Out: bytes. The field numbers are those of openapi/v2 in gnostic-models; extensions travel as YAML text,
for which JSON will do.
"""

from __future__ import annotations

from typing import Any

import msgspec

Tree = dict[str, Any]
CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}


def encode(document: Tree) -> bytes:
    """The whole document."""
    info = document["info"]
    return b"".join(
        (
            _text(1, document["swagger"]),
            _message(2, _text(1, info["title"]) + _text(2, info["version"])),
            _message(8, b"".join(_named(2, path, _path_item(item)) for path, item in document["paths"].items())),
            _message(9, b"".join(_named(1, name, schema(found)) for name, found in document["definitions"].items())),
        )
    )


def _path_item(item: Tree) -> bytes:
    methods = (_message(number, _operation(item[name])) for name, number in _METHODS.items() if name in item)
    return b"".join((*methods, *(_message(9, _parameter(p)) for p in item.get("parameters", ()))))


def _operation(operation: Tree) -> bytes:
    answers = (_named(1, code, _message(1, _response(found))) for code, found in operation["responses"].items())
    return b"".join(
        (
            *(_text(1, tag) for tag in operation.get("tags", ())),
            _text(3, operation.get("description", "")),
            _text(5, operation["operationId"]),
            *(_text(7, media) for media in operation.get("consumes", ())),
            *(_message(8, _parameter(p)) for p in operation.get("parameters", ())),
            _message(9, b"".join(answers)),
            _extensions(13, operation),
        )
    )


def _response(found: Tree) -> bytes:
    body = _message(2, _message(1, schema(found["schema"]))) if "schema" in found else b""
    return _text(1, found.get("description", "")) + body


def _parameter(found: Tree) -> bytes:
    """A ParametersItem that holds a Parameter."""
    if found["in"] == "body":
        body = _text(1, found.get("description", "")) + _text(2, found["name"]) + _text(3, "body") + _flag(4, found.get("required"))
        return _message(1, _message(1, body + _message(5, schema(found["schema"]))))
    if found["in"] == "path":
        named = _text(3, found.get("description", "")) + _text(4, found["name"]) + _text(5, found["type"])
        return _message(1, _message(2, _message(4, _flag(1, True) + _text(2, "path") + named)))
    named = _text(3, found.get("description", "")) + _text(4, found["name"]) + _text(6, found["type"])
    return _message(1, _message(2, _message(3, _text(2, "query") + named)))


def schema(found: Tree) -> bytes:
    """A Schema message."""
    parts = [
        _text(1, found.get("$ref", "")),
        _text(2, found.get("format", "")),
        _text(4, found.get("description", "")),
        *(_text(19, name) for name in found.get("required", ())),
        *(_message(20, _any(value)) for value in found.get("enum", ())),
    ]
    if "default" in found:
        parts.append(_message(5, _any(found["default"])))
    more = found.get("additionalProperties")
    if isinstance(more, dict):
        parts.append(_message(21, _message(1, schema(more))))
    elif more is not None:
        parts.append(_message(21, _flag(2, more)))
    if "type" in found:
        parts.append(_message(22, _text(1, found["type"])))
    if "items" in found:
        parts.append(_message(23, _message(1, schema(found["items"]))))
    parts += [_message(24, schema(each)) for each in found.get("allOf", ())]
    if "properties" in found:
        parts.append(_message(25, b"".join(_named(1, name, schema(each)) for name, each in found["properties"].items())))
    return b"".join((*parts, _extensions(31, found)))


def _extensions(number: int, found: Tree) -> bytes:
    return b"".join(_named(number, name, _any(value)) for name, value in found.items() if name.startswith("x-"))


def _any(value: Any) -> bytes:
    return _text(2, msgspec.json.encode(value).decode())


def _named(number: int, name: str, value: bytes) -> bytes:
    return _message(number, _text(1, name) + _message(2, value))


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode()) if text else b""


def _flag(number: int, value: Any) -> bytes:
    return _varint(number << 3) + b"\x01" if value else b""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
