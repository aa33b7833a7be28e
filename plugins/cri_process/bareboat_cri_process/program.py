"""A program: the list of system calls by which the monitor makes a container. Built here, carried out there (monitor/program.h).

What comes in: calls with their arguments, and for each a label that names it should it fail. What goes out: bytes. The whole
set-up of a container, its order and its safety are thereby Python that can be read, printed and tested without root. Not here:
which calls a container needs; that is ``container.py`` and its neighbours.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field

from bareboat_cri_process.syscalls import AT_FDCWD, MACHINE, NUMBERS, O_CLOEXEC, O_CREAT, O_WRONLY

PAUSE, TTY, STDIN, STDIN_ONCE, SESSION = 1, 2, 4, 8, 16
ANY = 255
_RELOCATE, _FAIL, _TERMINAL = 0xFFFF, 0xFFFE, 0xFFFD
_HEADER = struct.Struct("<8s10I")
_STEP = struct.Struct("<IIHH4B6Q")


@dataclass(frozen=True, slots=True)
class Saved:
    """The result of an earlier step: a file descriptor, as a rule."""

    index: int


@dataclass(frozen=True, slots=True)
class Table:
    """Pointers to texts, ended by a null pointer: argv and envp."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """A BPF program, as struct sock_fprog."""

    code: bytes


Argument = int | str | bytes | Saved | Table | Filter


@dataclass(slots=True)
class Step:
    number: int
    name: str
    arguments: tuple[Argument, ...]
    label: str
    tolerated: tuple[int, ...] = ()
    save: int = 0


@dataclass(slots=True)
class Steps:
    """A list of calls under construction; ``shared`` counts saved results over all lists of one program."""

    shared: list[int] = field(default_factory=lambda: [0])
    steps: list[Step] = field(default_factory=list)
    machine: str = MACHINE

    def call(self, name: str, *arguments: Argument, label: str, ok: tuple[int, ...] = ()) -> None:
        self.steps.append(Step(NUMBERS[self.machine][name], name, arguments, label, ok))

    def saving(self, name: str, *arguments: Argument, label: str, ok: tuple[int, ...] = ()) -> Saved:
        self.call(name, *arguments, label=label, ok=ok)
        index = self.shared[0]
        self.shared[0] += 1
        self.steps[-1].save = index + 1
        return Saved(index)

    def write(self, path: str, content: str, *, label: str = "", ok: tuple[int, ...] = ()) -> None:
        """Write to a file that exists: cgroup membership, sysctls, oom_score_adj."""
        label = label or f"write {content} to {path}"
        file = self.saving("openat", AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0, label=label, ok=ok)
        data = content.encode()
        self.call("write", file, data, len(data), label=label, ok=(*ok, 9) if ok else ())
        self.call("close", file, label=label, ok=(ANY,))

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        self.call("mkdirat", AT_FDCWD, path, mode, label=f"mkdir {path}", ok=(17,))

    def mkdirs(self, path: str) -> None:
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            self.mkdir("/" + "/".join(parts[:depth]))

    def touch(self, path: str) -> None:
        file = self.saving("openat", AT_FDCWD, path, O_CREAT | O_CLOEXEC, 0o644, label=f"create {path}")
        self.call("close", file, label=f"create {path}", ok=(ANY,))

    def mount(self, source: str, target: str, kind: str, flags: int = 0, options: str = "", *, ok: tuple[int, ...] = ()) -> None:
        self.call("mount", source, target, kind, flags, options, label=f"mount {kind or source} at {target}", ok=ok)

    def terminal(self) -> None:
        self.steps.append(Step(_TERMINAL, "terminal", (), "open a terminal"))

    def fail(self, error: int, label: str) -> None:
        self.steps.append(Step(_FAIL, "fail", (error,), label))


@dataclass(slots=True)
class Program:
    """``outer`` is done by the monitor itself, ``inner`` by the process that becomes the container's."""

    flags: int = 0
    clone_flags: int = 0
    directory: str = ""
    log: str = ""
    procs: str = ""
    outer: Steps = field(default_factory=Steps)
    inner: Steps = field(init=False)

    def __post_init__(self) -> None:
        self.inner = Steps(shared=self.outer.shared)

    def encode(self) -> bytes:
        return _Encoder(self).encode()


class _Encoder:
    """Lays out header, steps and data; every offset counts from the start of the program."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._data = bytearray()
        self._texts: dict[bytes, int] = {}
        self._relocations: dict[Table | Filter, tuple[int, int, int]] = {}
        tables = {a for s in (*program.outer.steps, *program.inner.steps) for a in s.arguments if isinstance(a, Table | Filter)}
        self._counts = [len(program.outer.steps), len(program.inner.steps) + len(tables)]
        self._base = _HEADER.size + _STEP.size * sum(self._counts)
        for table in tables:
            self._relocations[table] = self._table(table)

    def encode(self) -> bytes:
        program = self._program
        assert program.outer.shared[0] <= 512, "more saved results than the monitor keeps"
        outer = b"".join(self._step(step) for step in program.outer.steps)
        inner = b"".join(
            _STEP.pack(_RELOCATE, 0, 0, 0, 0, 0, 0, 0, cells, count, 0, 0, 0, 0) for _, cells, count in self._relocations.values()
        )
        inner += b"".join(self._step(step) for step in program.inner.steps)
        first = _HEADER.size
        texts = [self._text(os.fsencode(t)) if t else 0 for t in (program.directory, program.log, program.procs)]
        ranges = (first, self._counts[0], first + len(outer), self._counts[1])
        header = _HEADER.pack(b"BBSTEPS1", program.flags, program.clone_flags, *ranges, *texts, 0)
        return header + outer + inner + bytes(self._data)

    def _text(self, content: bytes) -> int:
        if content not in self._texts:
            self._texts[content] = self._place(content + b"\0")
        return self._texts[content]

    def _place(self, content: bytes) -> int:
        self._data += b"\0" * (-len(self._data) % 8)
        self._data += content
        return self._base + len(self._data) - len(content)

    def _table(self, table: Table | Filter) -> tuple[int, int, int]:
        """(offset of the value, offset of its pointer cells, how many)."""
        if isinstance(table, Filter):
            code = self._place(table.code)
            place = self._place(struct.pack("<HxxxxxxQ", len(table.code) // 8, code))
            return place, place + 8, 1
        cells = [self._text(os.fsencode(text)) for text in table.texts]
        place = self._place(struct.pack(f"<{len(cells) + 1}Q", *cells, 0))
        return place, place, len(cells)

    def _step(self, step: Step) -> bytes:
        kinds, values = 0, [0] * 6
        for position, argument in enumerate(step.arguments):
            kind, values[position] = self._argument(argument)
            kinds |= kind << (2 * position)
        label = self._text(os.fsencode(step.label[:180]))
        tolerated = (*step.tolerated, 0, 0, 0, 0)[:4]
        return _STEP.pack(step.number, label, kinds, step.save, *tolerated, *values)

    def _argument(self, argument: Argument) -> tuple[int, int]:
        if isinstance(argument, int):
            return 0, argument & 0xFFFFFFFFFFFFFFFF
        if isinstance(argument, Saved):
            return 2, argument.index
        if isinstance(argument, Table | Filter):
            return 1, self._relocations[argument][0]
        return 1, self._text(os.fsencode(argument)) if isinstance(argument, str) else self._place(argument)
