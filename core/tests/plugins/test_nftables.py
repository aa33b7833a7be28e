"""The nft command as drivers run it."""

import asyncio
import os

import pytest

from bareboat.contracts import nftables
from bareboat.contracts.errors import Unavailable


@pytest.fixture
def nft(tmp_path, monkeypatch):
    """Makes a program of that name that does what the script says."""

    def make(script):
        program = tmp_path / "nft"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return make


async def test_nothing_happens_after_a_caller_has_given_up(nft, tmp_path):
    begun, done = tmp_path / "begun", tmp_path / "done"
    nft(f"touch {begun}; read line; sleep 0.2; touch {done}")
    running = asyncio.ensure_future(nftables.apply("table ip x {}"))
    async with asyncio.timeout(10):
        while not begun.exists():
            await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0.3)
    assert not done.exists()


async def test_what_nft_says_against_rules_is_passed_on(nft):
    nft("cat >/dev/null; echo 'line 1: nonsense' >&2; exit 1")
    with pytest.raises(Unavailable, match="nft refused the rules: line 1: nonsense"):
        await nftables.apply("nonsense")


async def test_a_machine_without_nft_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="install the package nftables"):
        await nftables.run("list", "tables")
