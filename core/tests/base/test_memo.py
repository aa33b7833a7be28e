"""What is remembered of texts that strangers choose."""

import pytest

from bareboat.base.memo import remembered


def test_the_last_short_texts_are_remembered_and_no_long_ones():
    asked = []

    @remembered(2, longest=5)
    def length(text, beside=""):
        asked.append(text)
        return len(text) + len(beside)

    assert [length("a"), length("a"), length("bb"), length("a")] == [1, 1, 2, 1]
    assert asked == ["a", "bb"]
    assert [length("longer"), length("longer"), length("a", "longer"), length("a", "longer")] == [6, 6, 7, 7]
    assert asked == ["a", "bb", "longer", "longer", "a", "a"]
    length("c")
    length("bb")
    assert asked[-2:] == ["c", "bb"], "the last two only"


def test_what_raises_is_asked_again():
    @remembered(2)
    def refuse(text):
        raise ValueError(text)

    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            refuse("x")
