"""Quantities: canonical text, rounding and arithmetic."""

import pytest

from bareboat.models.quantity import BINARY_SI, Quantity, canonical


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000", "1k"),
        ("1e3", "1e3"),
        ("12E2", "1200"),
        ("1500m", "1500m"),
        ("0.1Ki", "102400m"),
        ("100Ki", "100Ki"),
        ("0.0000000001", "1n"),
        ("-0.5", "-500m"),
        (".5", "500m"),
        ("00", "0"),
        ("0Gi", "0"),
        ("1E", "1E"),
        ("16Ei", "9223372036854775807"),
        (1, "1"),
        (0.1, "100m"),
    ],
)
def test_text_becomes_canonical(text, expected):
    assert canonical(text) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize("text", ["", "abc", "1 Gi", "5x", "1.2.3"])
def test_text_of_the_wrong_form_is_refused(text):
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        Quantity.parse(text)


@pytest.mark.parametrize("text", ["5mm", "1KiKi", "1m3", "--1"])
def test_unknown_suffixes_are_refused(text):
    with pytest.raises(ValueError, match="unable to parse quantity's suffix"):
        Quantity.parse(text)


def test_values_round_away_from_zero():
    assert Quantity.parse("1500m").value() == 2
    assert Quantity.parse("-1500m").value() == -2
    assert Quantity.parse("1u").milli() == 1
    assert Quantity.parse("2Gi").value() == 2 * 1024**3


def test_sums_are_exact_and_keep_the_notation_of_the_first():
    assert str(Quantity.parse("0.1") + Quantity.parse("0.2")) == "300m"
    assert str(Quantity.parse("1Gi") + Quantity.parse("1Mi")) == "1025Mi"
    assert str(Quantity() + Quantity.parse("1Gi")) == "1Gi"
    assert str(Quantity.parse("1Gi") - Quantity.parse("1Gi")) == "0"
    assert str(Quantity.of_bytes(2048)) == "2Ki"
    assert Quantity.of_bytes(1).format == BINARY_SI


def test_quantities_compare_by_amount():
    assert Quantity.parse("1Gi") == Quantity.parse("1024Mi")
    assert Quantity.parse("999m") < Quantity.parse("1")
    assert not Quantity.parse("0")
    assert max(Quantity.parse("1"), Quantity.parse("2k")) == Quantity.parse("2000")


def test_absurd_exponents_do_not_eat_memory():
    assert canonical("1e-2000000") == "1e-9"
    with pytest.raises(ValueError, match="unable to parse numeric part"):
        Quantity.parse("1e2000000")
