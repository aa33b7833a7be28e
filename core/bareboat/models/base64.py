"""Base64 text of `[]byte` fields. In: what a client sent. Out: canonical standard base64, or upstream's complaint."""

from __future__ import annotations

import binascii
from typing import Any


def canonical(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected base64 text")  # noqa: TRY004 - msgspec turns ValueError into a validation error
    text = value.replace("\r", "").replace("\n", "") if "\n" in value or "\r" in value else value
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"illegal base64 data at input byte {_bad_byte(value)}") from None
    return text


def encode(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _bad_byte(text: str) -> int:
    """Where decoding stops: at the first wrong character, or at the last group if that is incomplete."""
    group = 0
    for index, char in enumerate(text):
        if char in "\r\n":
            continue
        if char not in _ALPHABET:
            return _bad_padding(text, index, group)
        group = (group + 1) % 4
    return len(text.rstrip("\r\n")) - group


def _bad_padding(text: str, index: int, group: int) -> int:
    if text[index] != "=" or group < 2:
        return index
    rest = text[index + 1 :].replace("\r", "").replace("\n", "")
    if group == 2:
        if not rest:
            return len(text)
        if rest[0] != "=":
            return index + 1
        rest = rest[1:]
        index += 1
    return index + 1 if rest else index
