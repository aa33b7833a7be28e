"""The fake's memory: sandboxes and containers as records, optionally on disk, and what pods ask for by annotation."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bareboat.contracts import cri
from bareboat.contracts.errors import Conflict, DriverError, Exhausted, InProgress, InvalidConfig, NotFound, Unavailable, Unsupported

PREFIX = "fake.bareboat.dev/"
_ERRORS: dict[str, type[DriverError]] = {
    e.__name__: e for e in (DriverError, InvalidConfig, Unsupported, NotFound, Conflict, InProgress, Exhausted, Unavailable)
}


class Book(msgspec.Struct):
    """Everything; ``failures`` counts what has failed on purpose, by sandbox uid and verb."""

    sandboxes: dict[str, cri.Sandbox] = {}
    containers: dict[str, cri.Container] = {}
    images: dict[str, str] = {}
    failures: dict[str, int] = {}
    counter: int = 0


class Records:
    """One node's; ``save`` after every change."""

    def __init__(self, path: Path | None, *, fail: str = "", slow: str = "") -> None:
        self._path = path
        self._fail, self._slow = fail, slow
        self.book = msgspec.json.decode(path.read_bytes(), type=Book) if path is not None and path.exists() else Book()

    def save(self) -> None:
        if self._path is not None:
            temporary = self._path.with_suffix(".new")
            temporary.write_bytes(msgspec.json.encode(self.book))
            temporary.replace(self._path)

    def identity(self, kind: str) -> str:
        self.book.counter += 1
        return f"{kind}{self.book.counter:08x}"

    def fail_on_purpose(self, verb: str, sandbox: cri.SandboxConfig) -> None:
        """``fail: verb:Reason:times``. Raises the error of that name as often as asked, for each pod."""
        wanted = sandbox.annotations.get(f"{PREFIX}fail", self._fail)
        name, _, rest = wanted.partition(":")
        kind, _, times = rest.partition(":")
        if name != verb:
            return
        key = f"{sandbox.uid}/{verb}"
        done = self.book.failures.get(key, 0)
        if done < int(times or "1"):
            self.book.failures[key] = done + 1
            self.save()
            raise _ERRORS.get(kind, DriverError)(f"{verb} fails because the pod's annotation asks for it")

    def slowness(self, verb: str, sandbox: cri.SandboxConfig) -> float:
        """``slow: verb:seconds``. Nothing, for what is no number."""
        name, _, seconds = sandbox.annotations.get(f"{PREFIX}slow", self._slow).partition(":")
        return float(seconds) if name == verb and seconds.replace(".", "", 1).isdigit() else 0.0
