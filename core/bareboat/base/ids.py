"""Identifiers and randomness as an argument, so that a test can have the same run twice."""

from __future__ import annotations

import os
import random
import secrets
from typing import Protocol

#: Letters and digits that form no words (the alphabet of generated names in the Kubernetes API).
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Ids(Protocol):
    """``uid`` a UUID; ``suffix`` for generated names; ``token`` URL-safe and secret; ``fraction`` in [0, 1)."""

    def uid(self) -> str: ...

    def suffix(self, length: int = 5) -> str: ...

    def token(self, nbytes: int = 32) -> str: ...

    def fraction(self) -> float: ...


#: The digit of a random UUID with its variant (binary 10 and two random bits), by what was drawn.
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


#: UUIDs that are drawn at a time: what a system call costs is shared by them.
_AT_ONCE = 64
#: Those that nobody has got yet.
_drawn: list[str] = []
#: Two processes must never hand out the same ones.
os.register_at_fork(after_in_child=_drawn.clear)
_PAIRS = [one + other for one in ALPHABET for other in ALPHABET]


class SystemIds:
    """From the operating system's random source; ``suffix`` and ``fraction`` need no secrecy."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311

    def uid(self) -> str:
        while True:  # another thread may take the last one
            try:
                return _drawn.pop()
            except IndexError:
                _drawn.extend(_many())

    def suffix(self, length: int = 5) -> str:
        text, fraction = "", self._random.random
        while len(text) < length:
            text += _PAIRS[int(fraction() * len(_PAIRS))]
        return text[:length]

    def token(self, nbytes: int = 32) -> str:
        return secrets.token_urlsafe(nbytes)

    def fraction(self) -> float:
        return self._random.random()


class SeededIds:
    """The same sequence for the same seed. For tests; never for secrets."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def uid(self) -> str:
        return _spelled(f"{self._random.getrandbits(128):032x}")

    def suffix(self, length: int = 5) -> str:
        return "".join(self._random.choices(ALPHABET, k=length))

    def token(self, nbytes: int = 32) -> str:
        return self._random.randbytes(nbytes).hex()

    def fraction(self) -> float:
        return self._random.random()


def _spelled(drawn: str) -> str:
    """A random UUID (version 4) of 32 hexadecimal digits."""
    return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-{_VARIANT[drawn[16]]}{drawn[17:20]}-{drawn[20:]}"


#: Of the numbers behind UUIDs: the bits that are random, and those that say that it is so.
_FREE = int("ffffffffffff0fff3fffffffffffffff" * _AT_ONCE, 16)
_FIXED = int("00000000000040008000000000000000" * _AT_ONCE, 16)


def _many() -> list[str]:
    """``_AT_ONCE`` random UUIDs (version 4)."""
    drawn = int.from_bytes(os.urandom(16 * _AT_ONCE)) & _FREE | _FIXED
    text = f"{drawn:0{32 * _AT_ONCE}x}"
    return [
        f"{text[at : at + 8]}-{text[at + 8 : at + 12]}-{text[at + 12 : at + 16]}-{text[at + 16 : at + 20]}-{text[at + 20 : at + 32]}"
        for at in range(0, len(text), 32)
    ]
