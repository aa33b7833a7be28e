"""Rows of the past become entries page by page, and hold nobody up."""

import asyncio

import pytest

from bareboat.contracts.store import Row
from bareboat.store import history
from bareboat.store.entry import Entry

pytestmark = pytest.mark.virtual_time


def rows(count):
    return [Row(key=f"core/pods/ns/{number:03}", revision=number + 1, created=1, previous=0, value=b"{}") for number in range(count)]


def entry(row):
    return Entry(row.key, row.revision, row.created, row.value)


async def test_a_page_is_cut_out_of_many_rows():
    for first in (-1, 0, 17, 49, 60):
        for limit in (1, 20, 100):
            after = f"core/pods/ns/{first:03}" if first >= 0 else ""
            found, more = await history.entries(rows(50), entry, after, limit)
            wanted = range(first + 1, 50)
            assert [one.revision - 1 for one in found] == list(wanted[:limit])
            assert more == len(wanted[limit:])
    assert await history.entries([], entry) == ([], 0)


async def test_others_have_their_turn_meanwhile(monkeypatch):
    monkeypatch.setattr(history, "PORTION", 10)
    turns = 0
    asked = asyncio.ensure_future(history.entries(rows(100), entry))
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 10
    assert len(asked.result()[0]) == 100
