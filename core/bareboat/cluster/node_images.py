"""The images of a running cluster's nodes, asked of the nodes' agents with the administrator's certificate.

What comes in: a data directory's kubeconfig. What goes out: per node what its agent says. Nodes are asked side by side, and one that does
not answer does not keep the others from it: its answer is the error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bareboat.client.client import Client
from bareboat.client.kubeconfig import load as load_kubeconfig
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.layout import Layout
from bareboat.models import core_v1
from bareboat.models.scheme import Scheme
from bareboat.models.status import ApiError

_PIECE = 1 << 18


class Answer(msgspec.Struct, frozen=True):
    """``error`` is "" when ``content`` is what the agent said."""

    node: str
    content: dict[str, Any] = {}
    error: str = ""


class NodeImages:
    """``nodes`` names those that are meant, all if it is empty. Raises ClusterError for names that are none."""

    def __init__(self, layout: Layout, nodes: Sequence[str] = ()) -> None:
        if not layout.kubeconfig.exists():
            raise ClusterError(f"no cluster was started from {layout.data_dir}: start one with `bareboat up`")
        self._transport = load_kubeconfig(layout.kubeconfig)
        self._wanted = list(nodes)

    async def close(self) -> None:
        await self._transport.close()

    async def names(self) -> list[str]:
        return [node.metadata.name for node in await self._nodes()]

    async def listed(self) -> list[Answer]:
        return await self._everywhere(lambda session, url: _asked(session.get(f"{url}/list")))

    async def prune(self, *, everything: bool) -> list[Answer]:
        query = {"all": "true" if everything else "false"}
        return await self._everywhere(lambda session, url: _asked(session.post(f"{url}/prune", params=query)))

    async def load(self, path: Path, tag: str, sent: Callable[[int], None]) -> list[Answer]:
        """``sent`` is told how many bytes went out, over all nodes."""

        async def one(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
            return await _asked(session.post(f"{url}/load", params={"tag": tag}, data=_pieces(path, sent)))

        return await self._everywhere(one)

    async def _everywhere(self, call: Callable[[aiohttp.ClientSession, str], Awaitable[dict[str, Any]]]) -> list[Answer]:
        nodes = await self._nodes()
        connector = aiohttp.TCPConnector(ssl=self._transport.tls)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None, sock_connect=10)) as session:
            return await asyncio.gather(*(_of(node, session, call) for node in nodes))

    async def _nodes(self) -> list[core_v1.Node]:
        try:
            found = (await Client(self._transport, Scheme.builtin()).list(core_v1.Node)).items
        except ApiError as error:
            raise ClusterError(f"the API server does not answer: {error}") from error
        names = {node.metadata.name for node in found}
        unknown = [name for name in self._wanted if name not in names]
        if unknown:
            raise ClusterError(f"no node {', '.join(unknown)}; there are: {', '.join(sorted(names))}")
        return [node for node in found if not self._wanted or node.metadata.name in self._wanted]


async def _of(
    node: core_v1.Node, session: aiohttp.ClientSession, call: Callable[[aiohttp.ClientSession, str], Awaitable[dict[str, Any]]]
) -> Answer:
    name = node.metadata.name
    address = next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")
    url = f"https://{address}:{node.status.daemonEndpoints.kubeletEndpoint.Port}/images/{name}"
    try:
        return Answer(name, await call(session, url))
    except ClusterError as error:
        return Answer(name, error=str(error))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return Answer(name, error=f"its agent cannot be reached: {error or type(error).__name__}")


async def _asked(request: Any) -> dict[str, Any]:
    async with request as response:
        content = await response.read()
        if response.status != 200:
            raise ClusterError(content.decode(errors="replace").strip() or f"its agent answered {response.status}")
        found: dict[str, Any] = msgspec.json.decode(content)
        return found


async def _pieces(path: Path, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
            sent(len(piece))
