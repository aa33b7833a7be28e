"""Rounds of torture: clients work, a fault strikes, all comes to rest, the checker speaks; figures per fault.

What comes in: a Subject, faults, how many rounds. What goes out: a Report. A round's history ends with a list of all that is
there; the next round begins on the same store, so that what one round left behind is the other's start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from bareboat.base.ids import Ids, SeededIds
from bareboat.testing.histories import History, Operation, Seen, check
from bareboat.testing.torture.faults import Fault
from bareboat.testing.torture.subject import Subject
from bareboat.testing.torture.workload import PREFIX, Counts, Workload

#: Seconds of work before a fault strikes, at most, and after it.
BEFORE = 0.4
AFTER = 0.3
#: Seconds within which a server has to take writes again after a fault.
HEAL_SECONDS = 60.0


class Line(msgspec.Struct, kw_only=True):
    """One fault's row of the table."""

    fault: str
    rounds: int = 0
    operations: Counts = msgspec.field(default_factory=Counts)
    seconds: float = 0.0
    violations: list[str] = []


class Report(msgspec.Struct, kw_only=True):
    seed: int
    lines: dict[str, Line] = {}

    @property
    def violations(self) -> list[str]:
        return [f"{line.fault}: {text}" for line in self.lines.values() for text in line.violations]


class Struck(Protocol):
    """What faults strike: one server, or several over one store. ``faces`` are those that clients talk to."""

    @property
    def faces(self) -> list[Subject]: ...

    async def start(self) -> None: ...

    async def kill(self) -> None: ...


S = TypeVar("S", bound=Struck)


class Torture(Generic[S]):
    """``tell`` hears of every round that ended; ``report`` may have lines already. ``clients`` and ``watchers`` are shared out."""

    def __init__(self, subject: S, *, report: Report, clients: int = 6, watchers: int = 2, tell: Callable[[int, Line], None]) -> None:
        self._subject = subject
        self._seed = seed = report.seed
        self._ids: Ids = SeededIds(seed)
        self._clients = clients
        self._watchers = watchers
        self._tell = tell
        self.report = report
        self._left: dict[str, tuple[int, str]] = {}
        self._changes: dict[int, Seen] = {}

    async def run(self, faults: Sequence[Fault[S]]) -> Report:
        """One round for each."""
        await self._subject.start()
        try:
            for number, fault in enumerate(faults):
                await self._round(number, fault)
        finally:
            await self._subject.kill()
        return self.report

    async def _round(self, number: int, fault: Fault[S]) -> None:
        began = asyncio.get_running_loop().time()
        works, history = self._works(number)
        running = asyncio.gather(*(work.run() for work in works))
        await asyncio.sleep(0.1 + self._ids.fraction() * BEFORE)
        found: list[str] = []
        if fault.loses:  # what is written after it would get the revisions of what was lost
            await _ended(works, running)
            await fault.strike(self._subject, self._ids)
        else:
            await fault.strike(self._subject, self._ids)
            found = await self._healed(history)
            await _ended(works, running)
        await works[-1].settle()
        line = self.report.lines.setdefault(fault.name, Line(fault=fault.name))
        learned(self._changes, history)
        found += prefix_problems(self._changes, history) if fault.loses else check(with_start(history, self._left))
        self._left = history.final or {}
        line.rounds += 1
        line.seconds += asyncio.get_running_loop().time() - began
        line.violations.extend(f"round {number}: {text}" for text in found)
        for work in works:
            line.operations.add(work.counts)
        self._tell(number, line)

    def _works(self, number: int) -> tuple[list[Workload], History]:
        """One per face, all of which write one history."""
        history, faces = History(), self._subject.faces
        clients, watchers = max(1, self._clients // len(faces)), max(1, self._watchers // len(faces))
        seed = (self._seed * 100_000 + number) * len(faces)
        return [Workload(f, seed=seed + i, clients=clients, watchers=watchers, history=history) for i, f in enumerate(faces)], history

    async def _healed(self, history: History) -> list[str]:
        """Until a write was acknowledged that began after the fault, and a little longer; that it never is is a violation too."""
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(HEAL_SECONDS):
                while not any(
                    o.outcome == "ok" and o.begin > began and o.value and o.expect is not None for o in history.operations[-200:]
                ):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            await self._subject.kill()
            await self._subject.start()
            return [f"no write was taken for {HEAL_SECONDS:.0f} s after the fault; it was started anew"]
        await asyncio.sleep(AFTER)
        return []


async def _ended(works: Sequence[Workload], running: asyncio.Future[list[None]]) -> None:
    for work in works:
        work.stop()
    await running


def schedule(faults: Sequence[Fault[S]], rounds: int) -> list[Fault[S]]:
    """The first fault in every one of ``rounds``, and each of the others once for every ten of them."""
    first, *others = faults
    order: list[Fault[S]] = []
    for number in range(rounds):
        order.append(first)
        order.extend(others if number % 10 == 0 else ())
    return order


def with_start(history: History, left: dict[str, tuple[int, str]]) -> History:
    """With what the round before left behind, as writes of long ago."""
    old = [
        Operation(kind="create", begin=0.0, end=0.0, key=key, value=value, outcome="ok", revision=revision)
        for key, (revision, value) in left.items()
    ]
    return History([*old, *history.operations], history.watches, history.final)


def _acknowledged(o: Operation) -> bool:
    return o.outcome == "ok" and o.kind in ("create", "update")


def learned(changes: dict[int, Seen], history: History) -> None:
    """What a round tells of the log: what its watches saw, what was acknowledged, what was there at its end."""
    for event in (e for w in history.watches for e in w.events):
        changes[event.revision] = event
    for o in history.operations:
        if _acknowledged(o):
            changes.setdefault(o.revision, Seen(o.key, o.revision, o.value))


def prefix_problems(changes: dict[int, Seen], history: History) -> list[str]:
    """After the disk took rows away: what is there is the state at one revision that there was, nothing torn, nothing made up.

    The revision is that of the newest object, or one of the deletes right behind it. Forgets the changes that were lost.
    """
    final = {key: found for key, found in (history.final or {}).items() if key.startswith(PREFIX)}
    newest = max((revision for revision, _ in final.values()), default=0)
    state: dict[str, tuple[int, str]] = {}
    behind = sorted(r for r in changes if r > newest)
    for revision in sorted(r for r in changes if r <= newest):
        _apply(state, changes[revision])
    for revision in behind:
        if not changes[revision].deleted or not final.keys() < state.keys():
            break
        _apply(state, changes[revision])
        newest = revision
    for revision in [r for r in behind if r > newest]:
        del changes[revision]
    deleted: set[str] = {o.key for o in history.operations if o.kind == "delete" and o.outcome != "refused"}
    return [
        f"{key} is {final.get(key)} at the end, where revision {newest} had {state.get(key)}"
        for key in sorted({*state, *final})
        if final.get(key) != state.get(key) and not (key in deleted and key not in final)
    ]


def _apply(state: dict[str, tuple[int, str]], seen: Seen) -> None:
    if seen.deleted:
        state.pop(seen.key, None)
    else:
        state[seen.key] = (seen.revision, seen.value)
