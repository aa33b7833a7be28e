"""The nft command: run a transaction, list what our table holds. Knows nothing of Services."""

from __future__ import annotations

import asyncio

import msgspec

from bareboat.contracts.errors import Unavailable


async def run(*arguments: str, text: str = "") -> tuple[int, bytes, str]:
    """Exit code, output, errors. Raises Unavailable if there is no nft."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec("nft", *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError as error:
        raise Unavailable("the nft command is missing: install the package nftables", reason="NftMissing") from error
    output, errors = await process.communicate(text.encode())
    return process.returncode or 0, output, errors.decode(errors="replace").strip()


async def apply(text: str) -> None:
    """One transaction: all of it or nothing. Raises Unavailable with nft's own words."""
    code, _, errors = await run("-f", "-", text=text)
    if code:
        raise Unavailable(f"nft refused the rules: {errors}", reason="NftFailed")


async def objects(table: str) -> tuple[set[str], set[str]]:
    """Names of the chains and sets of our table; empty if there is no table."""
    code, output, _ = await run("-j", "-t", "list", "table", "ip", table)
    if code:
        return set(), set()
    listed = msgspec.json.decode(output)["nftables"]
    chains = {entry["chain"]["name"] for entry in listed if "chain" in entry}
    sets = {entry["set"]["name"] for entry in listed if "set" in entry}
    return chains, sets
