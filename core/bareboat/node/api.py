"""The kubelet's HTTPS API: logs, exec, attach, port-forward, pods, health. A raw ASGI application for the agents of one process.

Only the API server's kubelet client and cluster administrators get in. What streams say is in ``node.streams``.
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
from bareboat.node import inspection, system_logs
from bareboat.node.agent import NodeAgent
from bareboat.node.logs import LogOptions, read
from bareboat.node.streams import Channels, forward

log = logging.getLogger("bareboat.node.api")
ALLOWED_NAMES = frozenset({"kube-apiserver-kubelet-client"})
#: In which the API server says which node it means: the nodes of one process share an address.
NODE_HEADER = b"x-bareboat-node"
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")


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
                await self._answer(parts, query, self._named(scope), scope, receive, send)
        except Refused as error:
            await _refuse(error, websocket, receive, send)
        except DriverError as error:
            await _refuse(Refused(500, error.message), websocket, receive, send)

    def _authorize(self, scope: dict[str, Any]) -> None:
        tls = scope.get("extensions", {}).get("tls", {})
        if tls.get("client_cert_name") in ALLOWED_NAMES or "system:masters" in tls.get("client_cert_organizations", ()):
            return
        raise Refused(401 if not tls else 403, "only the API server may ask an agent\n")

    def _named(self, scope: dict[str, Any]) -> list[NodeAgent]:
        """The agents of the node that the API server means; all of this process when nothing says which."""
        name = dict(scope.get("headers", ())).get(NODE_HEADER, b"").decode("latin-1")
        found = [a for a in self._agents if name in ("", a.config.name)]
        if not found:
            raise Refused(404, f"node {name} is not in this process\n")
        return found

    async def _answer(
        self, parts: list[str], query: dict[str, list[str]], agents: list[NodeAgent], scope: dict[str, Any], receive: Any, send: Any
    ) -> None:
        if parts == ["healthz"]:
            await _send(send, 200, b"ok", "text/plain")
        elif parts == ["pods"]:
            items = [to_tree(p) for a in agents for p in a.pods()]
            await _send(send, 200, msgspec.json.encode({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
        elif parts[:1] == ["images"] and len(parts) >= 2:
            await self._images(parts, query, receive, send)
        elif parts[:1] == ["containerLogs"] and len(parts) == 4:
            await self._logs(parts, query, receive, send)
        elif parts[:1] == ["logs"]:
            if not await system_logs.answer(scope["path"].removeprefix("/logs"), scope, receive, send):
                raise Refused(404, "404 page not found\n")
        else:
            found = await inspection.answer(parts, agents)
            if found is None:
                raise Refused(404, "404 page not found\n")
            await _send(send, 200, *found)

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
            why = _waits(agent, parts) or "ContainerCreating"
            raise Refused(400, f'{what} "{parts[3]}" in pod "{parts[2]}" not found' if previous else
                          f'container "{parts[3]}" in pod "{parts[2]}" is waiting to start: {why}')  # fmt: skip
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
        kind = parts[0] if parts else ""
        if (kind, len(parts)) not in (("exec", 4), ("attach", 4), ("portForward", 3)):
            raise Refused(404, "404 page not found\n")
        protocol = next((p for p in PROTOCOLS if p in scope.get("subprotocols", ())), "")
        if not protocol:
            raise Refused(400, f"a subprotocol of {', '.join(PROTOCOLS)} is needed\n")
        if kind == "portForward":
            streams = await self._forward(parts, query)
            await receive()
            await send({"type": "websocket.accept", "subprotocol": protocol})
            await forward(streams, receive, send)
            return
        agent, attempts = await self._find(*parts[1:])
        if not attempts or attempts[-1].state != "RUNNING":
            raise Refused(400, f'container not found ("{parts[3]}")\n')
        streams = await self._open(agent, attempts[-1], parts[0], query)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": protocol})
        await Channels(streams, receive, send, tty=_flag(query, "tty")).run()

    async def _forward(self, parts: list[str], query: dict[str, list[str]]) -> cri.Streams:
        """A connection to a port of a pod's sandbox."""
        text = query.get("port", [""])[0]
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise Refused(400, f'port: "{text}" is not a number from 1 to 65535\n')
        for agent in self._agents:
            for pod in agent.pods():
                if (pod.metadata.namespace, pod.metadata.name) == (parts[1], parts[2]):
                    runtime = agent.services.runtime
                    sandboxes, _ = await agent.services.runtime_state.of(pod.metadata.uid)
                    ready = [sandbox for sandbox in sandboxes if sandbox.state == "READY"]
                    if not ready:
                        raise Refused(400, f'pod "{parts[2]}" has no running sandbox\n')
                    if not isinstance(runtime, cri.PortForward):
                        raise Refused(501, "the runtime cannot forward ports\n")
                    return await runtime.port_forward(ready[-1].id, int(text))
        raise Refused(404, f'pod "{parts[2]}" in namespace "{parts[1]}" is not on this node\n')

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


def _waits(agent: NodeAgent, parts: list[str]) -> str:
    """Why a container has not been started yet, as its status says."""
    for pod in agent.pods():
        if (pod.metadata.namespace, pod.metadata.name) == (parts[1], parts[2]):
            status = pod.status
            for found in (*status.containerStatuses, *status.initContainerStatuses, *status.ephemeralContainerStatuses):
                if found.name == parts[3] and found.state.waiting is not None:
                    return str(found.state.waiting.reason)
    return ""


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
    said = str(error).strip().replace("\n", " ").encode("latin-1", "replace")
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)), (b"x-refusal", said)]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
