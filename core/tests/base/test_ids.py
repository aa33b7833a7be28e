"""Identifiers that nobody else has."""

from __future__ import annotations

import os
import re

from bareboat.base.ids import ALPHABET, SystemIds

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_uids_are_random_uuids_and_no_two_are_equal():
    ids = SystemIds()
    made = [ids.uid() for _ in range(1000)]
    assert all(_UUID.fullmatch(uid) for uid in made)
    assert len(set(made)) == 1000


def test_a_forked_process_makes_other_uids():
    ids = SystemIds()
    ids.uid()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(ids.uid() for _ in range(10)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 4096).decode()
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 360
    assert not any(ids.uid() in theirs for _ in range(10))


def test_suffixes_have_the_length_and_letters_that_names_may_have():
    ids = SystemIds()
    for length in (1, 2, 5, 8):
        assert re.fullmatch(f"[{ALPHABET}]{{{length}}}", ids.suffix(length))
    assert len({ids.suffix() for _ in range(100)}) > 90
