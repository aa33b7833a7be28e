"""The nft command. Knows nothing of policies."""

from __future__ import annotations

import asyncio

from bareboat.contracts.errors import Unavailable


async def run(*arguments: str, text: str = "") -> tuple[int, str]:
    """Exit code and errors. Raises Unavailable if there is no nft."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec("nft", *arguments, stdin=pipe, stdout=asyncio.subprocess.DEVNULL, stderr=pipe)
    except FileNotFoundError as error:
        raise Unavailable("the nft command is missing: install the package nftables", reason="NftMissing") from error
    _, errors = await process.communicate(text.encode())
    return process.returncode or 0, errors.decode(errors="replace").strip()


async def apply(text: str) -> None:
    """One transaction: all of it or nothing. Raises Unavailable with nft's own words."""
    code, errors = await run("-f", "-", text=text)
    if code:
        raise Unavailable(f"nft refused the rules: {errors}", reason="NftFailed")
