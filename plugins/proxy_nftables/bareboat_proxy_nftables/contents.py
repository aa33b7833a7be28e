"""What our table holds now."""

from __future__ import annotations

import msgspec

from bareboat.contracts import nftables


async def objects(table: str) -> tuple[set[str], set[str]]:
    """Names of its chains and sets; empty if there is no table."""
    code, output, _ = await nftables.run("-j", "-t", "list", "table", "ip", table)
    if code:
        return set(), set()
    listed = msgspec.json.decode(output)["nftables"]
    chains = {entry["chain"]["name"] for entry in listed if "chain" in entry}
    sets = {entry["set"]["name"] for entry in listed if "set" in entry}
    return chains, sets
