"""For drivers that write packet filter rules: the nft command, one transaction at a time.

Whoever gives up waiting may rely on it that nothing more happens: a command that went on would undo what is written after it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from bareboat.contracts.errors import Unavailable


async def run(*arguments: str, text: str = "") -> tuple[int, bytes, str]:
    """Exit code, output, errors. Raises Unavailable if there is no nft. Ended, and waited for, if the caller is cancelled."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec("nft", *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError as error:
        raise Unavailable("the nft command is missing: install the package nftables", reason="NftMissing") from error
    try:
        output, errors = await process.communicate(text.encode())
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output, errors.decode(errors="replace").strip()


async def apply(text: str) -> None:
    """One transaction: all of it or nothing. Raises Unavailable with nft's own words."""
    code, _, errors = await run("-f", "-", text=text)
    if code:
        raise Unavailable(f"nft refused the rules: {errors}", reason="NftFailed")


async def delete(table: str) -> None:
    """Remove a table (of the family ip); it need not exist."""
    await apply(f"table ip {table} {{}}\ndelete table ip {table}\n")
