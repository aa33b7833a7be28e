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


#: The bits of a UUID that are not random, and what they are: version 4, variant 10.
_FIXED, _FOUR = 0xF000 << 64 | 0xC000 << 48, 0x4000 << 64 | 0x8000 << 48


class SystemIds:
    """From the operating system's random source; ``suffix`` and ``fraction`` need no secrecy."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311

    def uid(self) -> str:
        return _spelled(int.from_bytes(os.urandom(16)))

    def suffix(self, length: int = 5) -> str:
        return "".join(self._random.choices(ALPHABET, k=length))

    def token(self, nbytes: int = 32) -> str:
        return secrets.token_urlsafe(nbytes)

    def fraction(self) -> float:
        return self._random.random()


class SeededIds:
    """The same sequence for the same seed. For tests; never for secrets."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def uid(self) -> str:
        return _spelled(self._random.getrandbits(128))

    def suffix(self, length: int = 5) -> str:
        return "".join(self._random.choices(ALPHABET, k=length))

    def token(self, nbytes: int = 32) -> str:
        return self._random.randbytes(nbytes).hex()

    def fraction(self) -> float:
        return self._random.random()


def _spelled(bits: int) -> str:
    """A random UUID of 128 bits."""
    text = f"{bits & ~_FIXED | _FOUR:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
