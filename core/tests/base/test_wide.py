"""Dictionaries and sets of very many keys do what small ones do, and never grow all at once."""

import random

import pytest

from bareboat.base.wide import PARTS, PLAIN, WideDict, WideSet

MANY = PLAIN * 3


def test_a_wide_dictionary_does_what_a_plain_one_does():
    chance, wide, plain = random.Random(7), WideDict(), {}
    for step in range(MANY * 4):
        key = f"key-{chance.randrange(MANY)}"
        if chance.random() < 0.7:
            wide[key] = plain[key] = step
        else:
            assert wide.pop(key, None) == plain.pop(key, None)
        assert wide.get(key) == plain.get(key)
        assert (key in wide) == (key in plain)
    assert len(plain) > PLAIN
    assert len(wide) == len(plain)
    assert dict(wide.items()) == plain
    assert sorted(wide) == sorted(plain)
    assert sorted(wide.values()) == sorted(plain.values())


def test_what_is_not_there_is_told_as_a_dictionary_does():
    wide = WideDict()
    assert not wide
    for number in range(MANY):
        wide[number] = str(number)
    assert wide
    assert wide.get(-1) is None
    assert wide.get(-1, "other") == "other"
    for absent in (lambda: wide[-1], lambda: wide.pop(-1), lambda: wide.__delitem__(-1), WideDict().popitem):
        with pytest.raises(KeyError):
            absent()


def test_a_small_dictionary_keeps_the_order_and_gives_the_last_first():
    wide = WideDict()
    for number in (3, 1, 2):
        wide[number] = None
    assert list(wide) == [3, 1, 2]
    assert wide.popitem() == (2, None)
    wide.clear()
    assert not wide


def test_all_items_can_be_taken_one_by_one():
    wide = WideDict()
    for number in range(MANY):
        wide[number] = number
    assert sorted(wide.popitem() for _ in range(MANY)) == [(n, n) for n in range(MANY)]
    assert not wide


def test_a_large_one_consists_of_many_small_ones():
    wide = WideDict()
    for number in range(MANY):
        wide[f"key-{number}"] = number
    assert len(wide.parts()) == PARTS
    assert max(map(len, wide.parts())) < 2 * MANY / PARTS


def test_a_wide_set_does_what_a_plain_one_does():
    chance, wide, plain = random.Random(7), WideSet(["key-1"]), {"key-1"}
    for _ in range(MANY * 4):
        key = f"key-{chance.randrange(MANY)}"
        if chance.random() < 0.7:
            wide.add(key)
            plain.add(key)
        else:
            wide.discard(key)
            plain.discard(key)
        assert (key in wide) == (key in plain)
    assert len(plain) > PLAIN
    assert len(wide) == len(plain)
    assert sorted(wide) == sorted(plain)
    assert wide
    assert not WideSet()


def test_a_snapshot_of_a_set_stays_as_it_was():
    for size in (10, MANY):
        wide = WideSet(range(size))
        taken = wide.snapshot()
        for number in range(size):
            wide.discard(number)
            wide.add(-1 - number)
        assert sorted(taken) == list(range(size))
        assert sorted(wide) == list(range(-size, 0))


def test_of_many_sets_only_the_large_ones_become_wide():
    sets = {}
    for number in range(MANY):
        WideSet.put_into(sets, "all", number)
        WideSet.put_into(sets, number, number)
    assert isinstance(sets["all"], WideSet)
    assert sorted(sets["all"]) == list(range(MANY))
    assert max(map(len, sets["all"].parts())) < 2 * MANY / PARTS
    assert sets[0] == {0}
