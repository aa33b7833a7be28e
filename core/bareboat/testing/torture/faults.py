"""What strikes a server while clients work: each fault strikes once and returns when the server is as it should be again.

``FAULTS`` are those of one server on local files; those of several over a database are in ``fleet``. ``needs`` says
what this machine must have: a disk of its own (root), strace for system calls that fail.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from bareboat.base.ids import Ids
from bareboat.testing.torture.subject import Subject

S = TypeVar("S")


class Fault(ABC, Generic[S]):
    """Of an ``S``. ``name`` for the table; ``loses``: it takes away what was acknowledged, so that only a prefix can be asked for."""

    name: ClassVar[str]
    needs: ClassVar[str] = ""
    loses: ClassVar[bool] = False

    @abstractmethod
    async def strike(self, subject: S, ids: Ids) -> None:
        """Do it, and return when the server runs again with nothing in its way."""


class Kill(Fault[Subject]):
    """kill -9 at any moment, and a start on what is left."""

    name = "kill -9"

    async def strike(self, subject: Subject, ids: Ids) -> None:
        await asyncio.sleep(ids.fraction() * 0.5)
        await subject.kill()
        await subject.start()


class KillTwice(Fault[Subject]):
    """kill -9 while the server recovers from the one before."""

    name = "kill -9 in recovery"

    async def strike(self, subject: Subject, ids: Ids) -> None:
        await subject.kill()
        starting = asyncio.ensure_future(subject.start())
        await asyncio.sleep(0.2 + ids.fraction() * 0.6)
        if not starting.done():
            starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await subject.kill()
        await subject.start()


class Stop(Fault[Subject]):
    """SIGTERM: an orderly end, and a start."""

    name = "restart"

    async def strike(self, subject: Subject, ids: Ids) -> None:
        await subject.kill(signal.SIGTERM)
        await subject.start()


class Pause(Fault[Subject]):
    """SIGSTOP, and SIGCONT a while later."""

    name = "pause"

    async def strike(self, subject: Subject, ids: Ids) -> None:
        subject.signal(signal.SIGSTOP)
        await asyncio.sleep(0.1 + ids.fraction())
        subject.signal(signal.SIGCONT)


class TornTail(Fault[Subject]):
    """kill -9, and the last write of the WAL only half there, as after a power cut: nothing that was synced is touched."""

    name = "torn WAL tail"

    async def strike(self, subject: Subject, ids: Ids) -> None:
        await subject.kill()
        wal = subject.store.with_name(subject.store.name + "-wal")
        if wal.exists() and wal.stat().st_size > 5000:
            data = wal.read_bytes()
            frame = bytearray(data[-4120:])
            frame[24 + int(ids.fraction() * 4000)] ^= 0xFF
            with wal.open("ab") as file:
                file.write(frame[: 1 + int(ids.fraction() * len(frame))])
        await subject.start()


class CutTail(Fault[Subject]):
    """kill -9, and the WAL cut anywhere: what is left must be the state at one revision, all of it."""

    name = "cut WAL"
    loses = True

    async def strike(self, subject: Subject, ids: Ids) -> None:
        await subject.kill()
        wal = subject.store.with_name(subject.store.name + "-wal")
        if wal.exists():
            os.truncate(wal, int(wal.stat().st_size * ids.fraction()))
        await subject.start()


class PowerCut(Fault[Subject]):
    """The disk keeps what was synced and loses what was only written; the data must be on a disk of their own."""

    name = "power cut"
    needs = "disk"

    async def strike(self, subject: Subject, ids: Ids) -> None:
        assert subject.disk is not None
        await asyncio.sleep(ids.fraction() * 0.5)
        subject.signal(signal.SIGSTOP)
        copy = await asyncio.to_thread(subject.disk.snapshot)
        await subject.kill()
        await subject.disk.power_back(copy)
        await subject.start()


class SystemCalls(Fault[Subject]):
    """System calls of the store that fail or are late for a while, by strace's injection."""

    name = ""
    needs = "strace"
    calls = ""
    inject = ""

    async def strike(self, subject: Subject, ids: Ids) -> None:
        when = f":when={1 + int(ids.fraction() * 5)}+{1 + int(ids.fraction() * 3)}"
        tracer = await asyncio.create_subprocess_exec(
            "strace", "-f", "-qq", "-p", str(subject.pid), "-e", f"trace={self.calls}", "-e", f"inject={self.calls}:{self.inject}{when}",
            "-o", "/dev/null", stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await asyncio.sleep(0.3 + ids.fraction() * 0.7)
        if tracer.returncode is None:  # it ends with the process that it traces
            tracer.send_signal(signal.SIGINT)
        await tracer.wait()


class SyncFails(SystemCalls):
    name = "fsync fails (EIO)"
    calls = "fsync,fdatasync"
    inject = "error=EIO"


class SyncSlow(SystemCalls):
    name = "fsync takes 100 ms"
    calls = "fsync,fdatasync"
    inject = "delay_enter=100000"


class WriteFails(SystemCalls):
    name = "write fails (EIO)"
    calls = "pwrite64"
    inject = "error=EIO"


class WriteFull(SystemCalls):
    name = "write fails (ENOSPC)"
    calls = "pwrite64"
    inject = "error=ENOSPC"


class SyncFailsThenKill(SyncFails):
    """A failed sync, and the process gone before it could mend anything."""

    name = "fsync fails, kill -9"

    async def strike(self, subject: Subject, ids: Ids) -> None:
        striking = asyncio.ensure_future(super().strike(subject, ids))
        await asyncio.sleep(0.2 + ids.fraction() * 0.5)
        await subject.kill()
        await striking
        await subject.start()


class DiskFull(Fault[Subject]):
    """The file system of the data is filled to the last byte, and later emptied; the data must be on one of its own."""

    name = "disk full"
    needs = "disk"

    async def strike(self, subject: Subject, ids: Ids) -> None:
        balloon = subject.data / "balloon"
        try:
            with balloon.open("wb") as file:
                while file.write(b"\0" * 65536):
                    file.flush()
        except OSError:
            await asyncio.sleep(0.3 + ids.fraction())
        finally:
            balloon.unlink()


FAULTS: Sequence[type[Fault[Subject]]] = (
    Kill, PowerCut, KillTwice, Stop, Pause, TornTail, CutTail, SyncFails, SyncFailsThenKill, SyncSlow, WriteFails, WriteFull, DiskFull,
)  # fmt: skip


def possible(fault: type[Fault[Subject]], subject: Subject) -> bool:
    """This machine has what the fault needs."""
    return {"disk": subject.disk is not None, "strace": shutil.which("strace") is not None, "": True}[fault.needs]
