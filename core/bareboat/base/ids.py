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


class SystemIds:
    """From the operating system's random source; ``suffix`` and ``fraction`` need no secrecy."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311

    def uid(self) -> str:
        return _spelled(os.urandom(16).hex())

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
