"""The kubelet's HTTPS API: logs, exec, attach, pods, health. A raw ASGI application for the agents of one process.

Only the API server's kubelet client and cluster administrators get in. Streams speak ``v5.channel.k8s.io`` and
``v4.channel.k8s.io``: the first byte of every frame is its channel (0 stdin, 1 stdout, 2 stderr, 3 status, 4 resize).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError
from bareboat.models.codec import to_tree
from bareboat.models.times import parse
from bareboat.node.agent import NodeAgent
from bareboat.node.logs import LogOptions, read

log = logging.getLogger("bareboat.node.api")
ALLOWED_NAMES = frozenset({"kube-apiserver-kubelet-client"})
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = range(6)
CLOSE_SIGNAL = 255


class Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class AgentApi:
    """``agents`` are those that live in this process."""

    def __init__(self, agents: Sequence[NodeAgent] = ()) -> None:
        self._agents = list(agents)

    def serve(self, agents: Sequence[NodeAgent]) -> None:
        """Agents that were made after the listener (they are told its port)."""
        self._agents = list(agents)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        websocket = scope["type"] == "websocket"
        try:
            self._authorize(scope)
            query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
            parts = [p for p in scope["path"].split("/") if p]
            if websocket:
                await self._stream(parts, query, scope, receive, send)
            else:
                await self._answer(parts, query, receive, send)
        except Refused as error:
            await _refuse(error, websocket, receive, send)
        except DriverError as error:
            await _refuse(Refused(500, error.message), websocket, receive, send)

    def _authorize(self, scope: dict[str, Any]) -> None:
        tls = scope.get("extensions", {}).get("tls", {})
        if tls.get("client_cert_name") in ALLOWED_NAMES or "system:masters" in tls.get("client_cert_organizations", ()):
            return
        raise Refused(401 if not tls else 403, "only the API server may ask an agent\n")

    async def _answer(self, parts: list[str], query: dict[str, list[str]], receive: Any, send: Any) -> None:
        if parts == ["healthz"]:
            await _send(send, 200, b"ok", "text/plain")
        elif parts == ["pods"]:
            items = [to_tree(p) for a in self._agents for p in a.pods()]
            await _send(send, 200, msgspec.json.encode({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
        elif parts[:1] == ["images"] and len(parts) >= 2:
            await self._images(parts, query, receive, send)
        elif parts[:1] == ["containerLogs"] and len(parts) == 4:
            await self._logs(parts, query, receive, send)
        else:
            raise Refused(404, "404 page not found\n")

    async def _images(self, parts: list[str], query: dict[str, list[str]], receive: Any, send: Any) -> None:
        agent = next((a for a in self._agents if a.config.name == parts[1]), None)
        if agent is None:
            raise Refused(404, f"node {parts[1]} is not in this process\n")
        values = {name: found[0] for name, found in query.items()}
        answer = await agent.images.answer("/".join(parts[2:]), values, receive)
        await _send(send, 200, msgspec.json.encode(answer))

    async def _find(self, namespace: str, pod: str, container: str) -> tuple[NodeAgent, list[cri.Container]]:
        """The agent and the container's attempts, oldest first."""
        for agent in self._agents:
            for found in agent.pods():
                if (found.metadata.namespace, found.metadata.name) == (namespace, pod):
                    _, containers = await agent.services.runtime_state.of(found.metadata.uid)
                    named = [c for c in containers if c.config.name == container]
                    return agent, sorted(named, key=lambda c: (c.config.attempt, c.created_at))
        raise Refused(404, f'pod "{pod}" in namespace "{namespace}" is not on this node\n')

    async def _logs(self, parts: list[str], query: dict[str, list[str]], receive: Any, send: Any) -> None:
        agent, attempts = await self._find(*parts[1:])
        previous = _flag(query, "previous")
        if len(attempts) < (2 if previous else 1):
            what = "previous terminated container" if previous else "container"
            raise Refused(400, f'{what} "{parts[3]}" in pod "{parts[2]}" not found' if previous else
                          f'container "{parts[3]}" in pod "{parts[2]}" is waiting to start: ContainerCreating')  # fmt: skip
        chosen = attempts[-2] if previous else attempts[-1]
        options = _log_options(query, agent)
        path = Path(chosen.config.log_path)
        if not await asyncio.to_thread(path.exists):
            raise Refused(404, f"the log of container {parts[3]} is gone")
        current = {"alive": chosen.state == "RUNNING"}

        async def watch() -> None:
            while current["alive"]:
                await asyncio.sleep(0.2)
                _, found = await agent.services.runtime_state.of(await self._uid(agent, parts))
                current["alive"] = any(c.id == chosen.id and c.state == "RUNNING" for c in found)

        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(watch()) if options.follow else None
            leaving = group.create_task(_gone(receive))
            async for chunk in read(path, options, lambda: current["alive"]):
                if leaving.done():
                    break
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            for task in (watcher, leaving):
                if task is not None:
                    task.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _uid(self, agent: NodeAgent, parts: list[str]) -> str:
        return next((p.metadata.uid for p in agent.pods() if (p.metadata.namespace, p.metadata.name) == (parts[1], parts[2])), "")

    async def _stream(self, parts: list[str], query: dict[str, list[str]], scope: dict[str, Any], receive: Any, send: Any) -> None:
        if len(parts) != 4 or parts[0] not in ("exec", "attach"):
            raise Refused(404, "404 page not found\n")
        protocol = next((p for p in PROTOCOLS if p in scope.get("subprotocols", ())), "")
        if not protocol:
            raise Refused(400, f"a subprotocol of {', '.join(PROTOCOLS)} is needed\n")
        agent, attempts = await self._find(*parts[1:])
        if not attempts or attempts[-1].state != "RUNNING":
            raise Refused(400, f'container not found ("{parts[3]}")\n')
        streams = await self._open(agent, attempts[-1], parts[0], query)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": protocol})
        await Channels(streams, receive, send, tty=_flag(query, "tty")).run()

    async def _open(self, agent: NodeAgent, found: cri.Container, kind: str, query: dict[str, list[str]]) -> cri.Streams:
        runtime = agent.services.runtime
        if kind == "attach":
            if not isinstance(runtime, cri.Attach):
                raise Refused(501, "the runtime cannot attach\n")
            return await runtime.attach(found.id)
        if not isinstance(runtime, cri.Exec):
            raise Refused(501, "the runtime cannot run commands in containers\n")
        command = tuple(query.get("command", ()))
        if not command:
            raise Refused(400, "you must specify at least 1 command for the container\n")
        return await runtime.exec(found.id, command, tty=_flag(query, "tty"), stdin=_flag(query, "stdin"))


class Channels:
    """Frames of one stream connection."""

    def __init__(self, streams: cri.Streams, receive: Any, send: Any, *, tty: bool) -> None:
        self._streams = streams
        self._receive = receive
        self._send = send
        self._tty = tty

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        reading = loop.create_task(self._read(), name="channels-in")
        writing = loop.create_task(self._write(), name="channels-out")
        try:
            await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
                await self._send({"type": "websocket.close", "code": 1000})
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            await self._streams.close()

    async def _write(self) -> None:
        """Output as it comes, then the status."""
        async for name, data in self._streams.output():
            channel = STDERR if name == "stderr" and not self._tty else STDOUT
            await self._frame(channel, data)
        await self._frame(STATUS, msgspec.json.encode(status_of(await self._streams.wait())))

    async def _frame(self, channel: int, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": bytes([channel]) + data})

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes") or b""
            if not data:
                continue
            channel, body = data[0], data[1:]
            if channel == STDIN and body:
                await self._streams.write_stdin(body)
            elif channel == RESIZE:
                size = msgspec.json.decode(body)
                await self._streams.resize(cri.Size(width=int(size.get("Width", 80)), height=int(size.get("Height", 24))))
            elif channel == CLOSE_SIGNAL and body[:1] == b"\x00":
                await self._streams.close_stdin()


def status_of(code: int) -> dict[str, Any]:
    """What exec's status channel says of an exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _flag(query: dict[str, list[str]], name: str) -> bool:
    return query.get(name, [""])[0].lower() in ("1", "true", "t")


def _log_options(query: dict[str, list[str]], agent: NodeAgent) -> LogOptions:
    def number(name: str) -> int | None:
        text = query.get(name, [""])[0]
        return int(text) if text.isdigit() else None

    since = None
    seconds = number("sinceSeconds")
    if seconds is not None:
        since = agent.services.clock.now() - timedelta(seconds=seconds)
    elif query.get("sinceTime", [""])[0]:
        since = parse(query["sinceTime"][0])
    return LogOptions(
        follow=_flag(query, "follow"),
        timestamps=_flag(query, "timestamps"),
        tail=number("tailLines"),
        since=since,
        limit=number("limitBytes"),
        stream=query.get("stream", ["All"])[0],
    )


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Any, status: int, body: bytes, content_type: str = "application/json") -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(error: Refused, websocket: bool, receive: Any, send: Any) -> None:
    body = str(error).encode()
    if not websocket:
        await _send(send, error.status, body, "text/plain")
        return
    await receive()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
