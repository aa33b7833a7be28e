"""The node's name server: names of the cluster from its zone, all others from the node's own name servers.

What comes in: queries over UDP and TCP on one port of the node's address; the node's proxy leads the cluster's DNS address there. Who is
neither a pod nor the node gets no answer. The port is kept over restarts, so that clients that were answered before still are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from pathlib import Path

from bareboat.base.tasks import Tasks
from bareboat.node.config import NodeConfig
from bareboat.node.dns import forwarding, message
from bareboat.node.dns.message import Question, Record
from bareboat.node.dns.zone import Answer, Zone

log = logging.getLogger("bareboat.node.dns")
#: Seconds for which a TCP connection may be silent.
IDLE = 10.0


class Responder(asyncio.DatagramProtocol):
    """``bind`` first; ``run`` answers until cancelled."""

    def __init__(self, config: NodeConfig, zone: Zone, state_dir: Path) -> None:
        self._config = config
        self._zone = zone
        self._port_file = state_dir / "dns-port"
        self._pods = ipaddress.ip_network(config.cluster_cidr)
        self._own = ipaddress.ip_address(config.internal_ip)
        self._sockets: list[socket.socket] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks = Tasks()
        self.port = 0

    def bind(self) -> None:
        """Raises OSError when there is no port that is free for both."""
        known = self._port_file.read_text() if self._port_file.exists() else ""
        wanted = int(known) if known.isdigit() else 0
        try:
            self._bind(wanted)
        except OSError:
            self._bind(0)
        self._port_file.parent.mkdir(parents=True, exist_ok=True)
        self._port_file.write_text(str(self.port))

    def _bind(self, port: int) -> None:
        stream = socket.create_server((self._config.internal_ip, port))
        stream.setblocking(False)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(stream.getsockname())
        except OSError:
            stream.close()
            datagrams.close()
            raise
        datagrams.setblocking(False)
        self._sockets, self.port = [stream, datagrams], stream.getsockname()[1]

    async def run(self) -> None:
        """Until cancelled."""
        await self._zone.synced()
        if not self._sockets:
            self._bind(self.port)
        stream, datagrams = self._sockets
        self._sockets = []
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=datagrams)
        self._transport = transport
        try:
            async with self._tasks, await asyncio.start_server(self._connected, sock=stream) as server:
                await server.serve_forever()
        finally:
            transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._may_ask(addr[0]):
            self._tasks.spawn(self._over_udp(data, addr), name="dns")

    async def _over_udp(self, data: bytes, addr: tuple[str, int]) -> None:
        found = await self._answer(data, tcp=False)
        if found and self._transport is not None:
            self._transport.sendto(found, addr)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while self._may_ask(writer.get_extra_info("peername")[0]):
                async with asyncio.timeout(IDLE):
                    data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                found = await self._answer(data, tcp=True)
                writer.write(len(found).to_bytes(2, "big") + found)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as end:
            log.debug("a DNS client left: %r", end)
        finally:
            writer.close()

    def _may_ask(self, client: str) -> bool:
        found = ipaddress.ip_address(client)
        return found in self._pods or found == self._own or found.is_loopback

    async def _answer(self, data: bytes, *, tcp: bool) -> bytes:
        """Nothing for what is no question."""
        try:
            question = message.parse(data)
        except ValueError:
            return b""
        limit = 65535 if tcp else question.size
        found = self._zone.lookup(question.name, question.kind)
        if found is not None:
            return await self._own_answer(question, found, limit)
        try:
            return await forwarding.ask(data, self._name_servers(), tcp=tcp)
        except forwarding.NoAnswer:
            return message.reply(question, (), message.SERVFAIL)

    async def _own_answer(self, question: Question, found: Answer, limit: int) -> bytes:
        records = (*found.records, *await self._elsewhere(found.elsewhere, question)) if found.elsewhere else found.records
        authority = () if records else (message.start_of_authority(self._zone.domain),)
        code = message.NOERROR if found.exists else message.NXDOMAIN
        return message.reply(question, records, code, authority=authority, extra=found.extra, limit=limit)

    async def _elsewhere(self, name: str, question: Question) -> list[Record]:
        """Where the name of an ExternalName Service leads in the end, if the node's name servers know."""
        try:
            answer = await forwarding.ask(message.query(question.id, name, question.kind), self._name_servers())
            return message.addresses(answer)
        except (forwarding.NoAnswer, ValueError) as error:
            log.debug("%s is not resolved: %s", name, error)
            return []

    def _name_servers(self) -> list[str]:
        return [server for server in forwarding.name_servers() if server not in self._config.dns_servers]
