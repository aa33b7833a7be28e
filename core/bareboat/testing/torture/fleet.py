"""Three servers over one PostgreSQL under torture, and what strikes them: cut connections, a database that hangs or crashes, a leader
that dies, a server that stands still. Clients of all three work against each other meanwhile, and tell one history.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from bareboat.base.ids import Ids
from bareboat.testing.postgres import Postgres
from bareboat.testing.torture.faults import Fault
from bareboat.testing.torture.subject import Subject

#: With all controllers, which only the leader runs; a store that does not answer is given up after two seconds.
COMMAND = (
    *(sys.executable, "-m", "bareboat", "server", "--data-dir", "{data}", "--port", "{port}", "--address", "127.0.0.1"),
    *("--log-level", "info", "--store", "postgres", "--store-option", "timeout=2", "--store-option"),
)
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"
#: Seconds until another server leads (15 are what a Lease lasts), and what a busy machine adds.
TAKEOVER_SECONDS = 40.0


class Fleet:
    """``start`` once; the data are in ``folder``, the database is somebody else's to stop."""

    def __init__(self, folder: Path, postgres: Postgres, count: int = 3) -> None:
        self.postgres = postgres
        self.servers = [Subject(folder / f"server-{n}", (*COMMAND, f"url={postgres.url}")) for n in range(count)]

    @property
    def faces(self) -> list[Subject]:
        return self.servers

    async def start(self) -> None:
        """Every server of a cluster has the same keys: the first one's."""
        first = self.servers[0]
        for server in self.servers:
            if server is not first and not server.data.exists():
                await asyncio.to_thread(shutil.copytree, first.data / "server" / "pki", server.data / "server" / "pki")
            await server.start()

    async def kill(self) -> None:
        for server in self.servers:
            await server.kill()

    async def leader(self) -> Subject:
        """The server that leads now. Raises TimeoutError if none does for long."""
        async with asyncio.timeout(TAKEOVER_SECONDS):
            while True:
                holder = await self._holder()
                found = [s for s in self.servers if holder and s.up.is_set() and f"{holder} leads " in s.log]
                if found:
                    return found[0]
                await asyncio.sleep(0.2)

    async def _holder(self) -> str:
        """Whose the Lease is, as any server that answers says; "" if nobody's."""
        for server in self.servers:
            try:
                async with aiohttp.ClientSession() as session, session.get(server.url + LEASE, ssl=server.tls or True) as answer:
                    if answer.status == 200:
                        return str((await answer.json())["spec"].get("holderIdentity", ""))
            except (aiohttp.ClientError, OSError):
                continue
        return ""


class CutConnections(Fault[Fleet]):
    """The database ends every connection, a few times."""

    name = "3 servers: connections cut"

    async def strike(self, subject: Fleet, ids: Ids) -> None:
        for _ in range(1 + int(ids.fraction() * 4)):
            await asyncio.to_thread(subject.postgres.cut)
            await asyncio.sleep(ids.fraction() * 0.5)


class HangDatabase(Fault[Fleet]):
    """All its processes stand still for longer than a server waits."""

    name = "3 servers: database hangs"

    async def strike(self, subject: Fleet, ids: Ids) -> None:
        subject.postgres.pause()
        await asyncio.sleep(1 + ids.fraction() * 3)
        subject.postgres.resume()


class CrashDatabase(Fault[Fleet]):
    """It ends without a word, and recovers from its own log."""

    name = "3 servers: database crashes"

    async def strike(self, subject: Fleet, ids: Ids) -> None:
        await asyncio.to_thread(subject.postgres.stop, "immediate")
        await asyncio.sleep(ids.fraction())
        await asyncio.to_thread(subject.postgres.start)


class KillServer(Fault[Fleet]):
    """Any of the servers, by kill -9; the others go on."""

    name = "3 servers: kill -9"

    async def strike(self, subject: Fleet, ids: Ids) -> None:
        server = subject.servers[int(ids.fraction() * len(subject.servers))]
        await server.kill()
        await asyncio.sleep(ids.fraction())
        await server.start()


class PauseServer(Fault[Fleet]):
    """Any of the servers stands still, and goes on with what it had in hand."""

    name = "3 servers: pause"

    async def strike(self, subject: Fleet, ids: Ids) -> None:
        server = subject.servers[int(ids.fraction() * len(subject.servers))]
        server.signal(signal.SIGSTOP)
        await asyncio.sleep(0.5 + ids.fraction() * 3)
        server.signal(signal.SIGCONT)


class KillLeader(Fault[Fleet]):
    """The server that leads, by kill -9: another has to lead before it is started again."""

    name = "3 servers: leader killed"

    async def strike(self, subject: Fleet, ids: Ids) -> None:
        del ids
        killed = await subject.leader()
        await killed.kill()
        successor = await subject.leader()
        assert successor is not killed
        await killed.start()


FAULTS: Sequence[type[Fault[Fleet]]] = (CutConnections, KillServer, PauseServer, HangDatabase, CrashDatabase, KillLeader)
