"""Quantities: exact amounts of cpu, memory and whatever else a cluster counts.

In: text or numbers as clients write them (`0.5`, `1Gi`, `1e3`). Out: a `Quantity` for arithmetic, or the canonical text that is stored.
An amount is a whole number of billionths; what is finer is rounded away from zero, as upstream does.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, Final

from bareboat.base.memo import remembered

FORMAT_ERROR: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
NUMERIC_ERROR: Final = "unable to parse numeric part of quantity"
SUFFIX_ERROR: Final = "unable to parse quantity's suffix"

_NANO: Final = 10**9
_MAX: Final = (2**63 - 1) * _NANO
_SHAPE: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT: Final = re.compile(r"[eE]([-+]?[0-9]+)")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX: Final = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")

DECIMAL_SI: Final = "DecimalSI"
BINARY_SI: Final = "BinarySI"
DECIMAL_EXPONENT: Final = "DecimalExponent"


class Quantity:
    """An exact amount and the notation in which it is written. Immutable."""

    __slots__ = ("format", "nanos")

    def __init__(self, nanos: int = 0, notation: str = DECIMAL_SI) -> None:
        self.nanos = nanos
        self.format = notation

    @classmethod
    def parse(cls, text: str | int | float) -> Quantity:
        """Raises ValueError with upstream's message."""
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            raise ValueError(FORMAT_ERROR)  # noqa: TRY004 - the error of every text that is no quantity
        return _parse(str(text).strip())

    @classmethod
    def of_milli(cls, milli: int) -> Quantity:
        return cls(milli * 10**6)

    @classmethod
    def of_bytes(cls, count: int) -> Quantity:
        return cls(count * _NANO, BINARY_SI)

    def value(self) -> int:
        """Whole units, rounded away from zero."""
        return _away_from_zero(self.nanos, _NANO)

    def milli(self) -> int:
        """Thousandths, rounded away from zero."""
        return _away_from_zero(self.nanos, 10**6)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nanos, self.format)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity(self.nanos * factor, self.format)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: Quantity) -> bool:
        return self.nanos <= other.nanos

    def __gt__(self, other: Quantity) -> bool:
        return self.nanos > other.nanos

    def __ge__(self, other: Quantity) -> bool:
        return self.nanos >= other.nanos

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    def __str__(self) -> str:
        if self.nanos == 0:
            return "0"
        if self.format == BINARY_SI and abs(self.nanos) >= 1024 * _NANO and self.nanos % _NANO == 0:
            return _binary(self.nanos // _NANO)
        return _decimal(self.nanos, exponent=self.format == DECIMAL_EXPONENT)


def _away_from_zero(amount: int, unit: int) -> int:
    return -(-amount // unit) if amount >= 0 else amount // unit


def _binary(units: int) -> str:
    power = 0
    while units % 1024 == 0 and power < len(_BINARY) - 1:
        units //= 1024
        power += 1
    return f"{units}{_BINARY[power]}"


def _decimal(nanos: int, *, exponent: bool) -> str:
    power = -9
    while nanos % 1000 == 0 and (exponent or power < 18):
        nanos //= 1000
        power += 3
    if exponent:
        return f"{nanos}e{power}" if power else str(nanos)
    return f"{nanos}{_DECIMAL_SUFFIX[power]}"


@remembered(4096)
def _parse(text: str) -> Quantity:
    found = _SHAPE.fullmatch(text)
    if not text or found is None:
        raise ValueError(FORMAT_ERROR)
    sign, whole, fraction, suffix = found[1], found[2], found[3] or "", found[4]
    base, power, notation = _suffix(suffix)
    digits = int(whole + fraction or "0")
    if base == 10:
        nanos = _scaled(digits, power - len(fraction) + 9)
    else:
        nanos = _ceil(Fraction(digits * 2**power * _NANO, 10 ** len(fraction)))
        if nanos > _MAX:
            nanos = _MAX
        if 0 < nanos < _NANO:
            notation = DECIMAL_SI
    return Quantity(-nanos if sign == "-" else nanos, notation)


def _scaled(digits: int, power: int) -> int:
    if digits == 0:
        return 0
    if power >= 0:
        if power > 1000:
            raise ValueError(NUMERIC_ERROR)
        return int(digits * 10**power)
    return 1 if -power > len(str(digits)) else _ceil(Fraction(digits, 10**-power))


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


def _suffix(suffix: str) -> tuple[int, int, str]:
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], DECIMAL_SI
    if suffix in _BINARY:
        return 2, 10 * _BINARY.index(suffix), BINARY_SI
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None or abs(int(exponent[1])) >= 2**31:
        raise ValueError(SUFFIX_ERROR)
    return 10, int(exponent[1]), DECIMAL_EXPONENT


_KNOWN: dict[str, str] = {}
_KNOWN_LIMIT: Final = 4096


def canonical(value: Any) -> str:
    """The text that is stored for what a client wrote; the few texts that a cluster repeats are remembered."""
    text = value if isinstance(value, str) else _text(value)
    known = _KNOWN.get(text)
    if known is None:
        known = str(Quantity.parse(text))
        if len(text) <= 32:
            if len(_KNOWN) >= _KNOWN_LIMIT:
                _KNOWN.clear()
            _KNOWN[text] = known
    return known


def _text(value: Any) -> str:
    if value is None:
        return "0"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(FORMAT_ERROR)  # noqa: TRY004
    return repr(value)
