"""What was attached with which configuration and what came of it, on disk: one file for each attachment.

It is written before the first binary is called, so that an agent killed in the middle knows what there may be to take back, and kept
until the last one has taken its part back. The configuration is kept too: an attachment is undone the way it was made.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from bareboat.contracts.cni import Attachment


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """``result`` is the last plugin's, empty while they are being called. ``version`` is what was spoken."""

    attachment: Attachment
    name: str
    version: str
    plugins: tuple[dict[str, Any], ...]
    result: dict[str, Any] = {}


class Cache:
    """``entries`` by key; every change is on disk when the call returns."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = [msgspec.json.decode(p.read_bytes(), type=Entry) for p in sorted(directory.glob("*.json"))]
        self.entries: dict[str, Entry] = {key(e.attachment.container_id, e.attachment.ifname): e for e in found}

    def note(self, entry: Entry) -> None:
        name = key(entry.attachment.container_id, entry.attachment.ifname)
        path = self._path(name)
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(entry))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        self.entries[name] = entry

    def forget(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)
        self.entries.pop(name, None)

    def _path(self, name: str) -> Path:
        return self._directory / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def key(container_id: str, ifname: str) -> str:
    return f"{container_id}/{ifname}"
