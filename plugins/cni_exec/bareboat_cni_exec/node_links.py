"""Links of the node that plugins made and do not take back, and the forwarding that they switch on; on disk until ``remove``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class _Book(msgspec.Struct, kw_only=True):
    links: list[str] = []
    forwarding: str = ""


class NodeLinks:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._book = msgspec.json.decode(path.read_bytes(), type=_Book) if path.exists() else _Book()

    def note(self, names: list[str]) -> None:
        new = [n for n in names if n not in self._book.links and Path("/sys/class/net", n, "bridge").exists()]
        if new:
            self._book.links.extend(new)
            self._save()

    def remember_forwarding(self) -> None:
        if not self._book.forwarding:
            self._book.forwarding = FORWARDING.read_text().strip()
            self._save()

    async def remove(self) -> None:
        """Those that are still there."""
        for name in self._book.links:
            if Path("/sys/class/net", name).exists():
                process = await asyncio.create_subprocess_exec("ip", "link", "del", name)
                await process.wait()
        if self._book.forwarding and FORWARDING.read_text().strip() != self._book.forwarding:
            FORWARDING.write_text(self._book.forwarding)
        self._book = _Book()
        self._path.unlink(missing_ok=True)

    def _save(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self._book))
        temporary.replace(self._path)
