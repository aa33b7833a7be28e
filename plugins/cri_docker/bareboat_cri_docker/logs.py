"""From the daemon's record of a container's output to the pod's log, in CRI format: every line once, whatever is killed when.

What comes in: the file that the json-file driver writes. What goes out: lines appended to the log. After each chunk a note says how far
both files are; a process that is killed before it could write the note leaves a log longer than its note says, and its successor cuts
the log back to there before it goes on. The daemon writes while nobody reads, so nothing is lost either.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import msgspec

PERIOD = 0.1
_CHUNK = 1 << 20


class Line(msgspec.Struct):
    log: str = ""
    stream: str = "stdout"
    time: str = ""


class Note(msgspec.Struct):
    """How far we are: the source's inode and offset, the log's inode and size."""

    source: int = 0
    offset: int = 0
    target: int = 0
    size: int = 0


_decode = msgspec.json.Decoder(Line).decode


def cri_lines(chunk: bytes, log: logging.Logger) -> bytes:
    """Whole lines of the daemon's → whole lines of the log. What the daemon could not finish writing is no line."""
    found = []
    for text in chunk.splitlines():
        try:
            line = _decode(text)
        except msgspec.DecodeError as error:
            log.warning("a line of a container's output is lost: the daemon's record of it is damaged: %s", error)
            continue
        body = line.log.removesuffix("\n")
        tag = "F" if len(body) < len(line.log) else "P"
        seconds, _, fraction = line.time.removesuffix("Z").partition(".")
        found.append(f"{seconds}.{fraction:0<9.9}Z {line.stream} {tag} {body}\n")
    return "".join(found).encode("utf-8", "surrogatepass")


class Copy:
    """One container's log. ``step`` copies what there is; any thread may call it."""

    def __init__(self, source: Path, target: Path, note: Path, log: logging.Logger) -> None:
        self._source, self._target, self._log = source, target, log
        self._lock = threading.Lock()
        self._in = -1
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._note_file = os.open(note, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._note = self._read_note()
        self._out = self._open_target()

    def _read_note(self) -> Note:
        content = os.pread(self._note_file, 1024, 0)
        return msgspec.json.decode(content, type=Note) if content else Note()

    def _open_target(self) -> int:
        out = os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        os.fchmod(out, 0o640)
        found = os.fstat(out)
        if found.st_ino == self._note.target and found.st_size > self._note.size:
            os.ftruncate(out, self._note.size)
        known = found.st_ino == self._note.target
        self._note.target, self._note.size = found.st_ino, min(found.st_size, self._note.size) if known else found.st_size
        self._write_note()
        return out

    def _write_note(self) -> None:
        os.pwrite(self._note_file, msgspec.json.encode(self._note).ljust(200), 0)

    def step(self) -> None:
        with self._lock:
            while self._out >= 0 and (self._in >= 0 or self._open_source()):
                if not self._copy() and not self._next_source():
                    return

    def _open_source(self) -> bool:
        """The file that the note is about, else the oldest that there is."""
        files = [self._source.with_name(self._source.name + ".1"), self._source]
        inodes = {f: _inode(f) for f in files}
        known = [f for f in files if inodes[f] and inodes[f] == self._note.source]
        existing = [f for f in files if inodes[f]]
        if not existing:
            return False
        self._in = os.open((known or existing)[0], os.O_RDONLY | os.O_CLOEXEC)
        if not known:
            self._note.source, self._note.offset = os.fstat(self._in).st_ino, 0
        return True

    def _next_source(self) -> bool:
        """The daemon has begun a new file and the old one is read to its end."""
        current = _inode(self._source)
        if not current or current == self._note.source:
            return False
        if self._copy():  # what came between our last look and the change
            return True
        os.close(self._in)
        self._in = os.open(self._source, os.O_RDONLY | os.O_CLOEXEC)
        self._note.source, self._note.offset = os.fstat(self._in).st_ino, 0
        return True

    def _copy(self) -> bool:
        chunk = os.pread(self._in, _CHUNK, self._note.offset)
        end = chunk.rfind(b"\n") + 1
        if not end:
            return False
        text = memoryview(cri_lines(chunk[:end], self._log))
        while text:
            text = text[os.write(self._out, text) :]
        self._note.offset += end
        self._note.size = os.fstat(self._out).st_size
        self._write_note()
        return True

    def reopen(self) -> None:
        """After the log was renamed: go on in a new one."""
        self.step()
        with self._lock:
            if self._out >= 0:
                os.close(self._out)
                self._out = self._open_target()

    def close(self) -> None:
        with self._lock:
            for fd in (self._in, self._out, self._note_file):
                if fd >= 0:
                    os.close(fd)
            self._in = self._out = self._note_file = -1


class Logs:
    """All copies of one driver, and the thread that looks after them ten times a second."""

    def __init__(self, notes: Path, log: logging.Logger) -> None:
        self._notes, self._log = notes, log
        notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._copies: dict[str, Copy] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="docker-logs", daemon=True)
        self._thread.start()

    def add(self, container_id: str, source: Path, target: str) -> None:
        with self._lock:
            if target and container_id not in self._copies and not self._stop.is_set():
                self._copies[container_id] = Copy(source, Path(target), self._notes / container_id, self._log)

    def finish(self, container_id: str) -> None:
        """It has ended: copy the rest and close."""
        with self._lock:
            copy = self._copies.pop(container_id, None)
        if copy is not None:
            self._step(container_id, copy)
            copy.close()

    def forget(self, container_id: str) -> None:
        self.finish(container_id)
        (self._notes / container_id).unlink(missing_ok=True)

    def reopen(self, container_id: str) -> None:
        copy = self._copies.get(container_id)
        if copy is not None:
            copy.reopen()

    def noted(self) -> set[str]:
        return set(os.listdir(self._notes))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for container_id in list(self._copies):
            self._copies.pop(container_id).close()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD):
            with self._lock:
                copies = list(self._copies.items())
            for container_id, copy in copies:
                self._step(container_id, copy)

    def _step(self, container_id: str, copy: Copy) -> None:
        try:
            copy.step()
        except OSError as error:  # a full disk, a directory that is gone: the next look may find it mended
            self._log.warning("the log of container %s cannot be written: %s", container_id, error)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
