"""The transport for what runs inside the server: the same way as HTTPS, without a socket, with an identity of its own.

Events carry the log's own bytes objects: an informer that keeps them keeps nothing twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bareboat.api import answers
from bareboat.api.request import ApiRequest, ApiResponse, parse
from bareboat.api.verbs.watch import begin, events
from bareboat.client.transport import NO_QUERY, Answer, Listed, RawEvent, raw_event
from bareboat.contracts.auth import UserInfo
from bareboat.models.status import ApiError, ServiceUnavailable
from bareboat.store.entry import Change
from bareboat.store.errors import StoreFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service


@asynccontextmanager
async def recorded(request: ApiRequest) -> AsyncIterator[None]:
    """Of a watch: that it has begun, and that it has ended."""
    if request.trail is None:
        yield
        return
    stream = request.trail.answered(ApiResponse(200, stream=_nothing())).stream
    try:
        yield
    finally:
        if stream is not None:
            async for _ in stream:
                continue


def _whose(change: Change) -> tuple[str, str, int]:
    """Namespace, name and revision: nothing has to be decoded for them."""
    _, _, namespace, name = change.key.split("/", 3)
    return namespace, name, change.revision


async def _nothing() -> AsyncIterator[bytes]:
    none: tuple[bytes, ...] = ()
    for chunk in none:
        yield chunk


class InProcessTransport:
    """See client.transport.Transport. ``agent`` is the user agent, and so the field manager of what is written.

    Bodies are what an encoder wrote, never a stranger's bytes.
    """

    def __init__(self, service: Service, user: UserInfo, agent: str = "") -> None:
        self._service = service
        self._user = user
        self._agent = agent or user.name

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        body: bytes = b"",
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        request = ApiRequest(
            self._user, method, path, {k: [v] for k, v in query.items()}, body, content_type, accept, user_agent=self._agent, ours=True
        )
        response = await self._service.handle(request)
        return Answer(response.status, response.headers, response.whole())

    async def listing(self, path: str, *, query: Mapping[str, str] = NO_QUERY) -> Listed:
        asked = {k: [v] for k, v in query.items()}
        response = await self._service.handle(ApiRequest(self._user, "GET", path, asked, user_agent=self._agent, apart=True))
        if response.pieces is None:
            return Answer(response.status, response.headers, response.body)
        return response.pieces.bodies, response.pieces.meta

    async def watch(self, path: str, *, query: Mapping[str, str] = NO_QUERY) -> AsyncIterator[RawEvent]:
        asked = {"watch": ["true"], **{k: [v] for k, v in query.items()}}
        request = ApiRequest(self._user, "GET", path, asked, user_agent=self._agent)
        info = request.info = parse("GET", path, asked)
        if self._service.recorder is not None:
            request.trail = self._service.recorder.begin(request, info)
        try:
            await self._service.authorize(request, info)
            op = self._service.operation(request, info)
            subscription, initial = await begin(self._service, op)
            async with recorded(request):
                async for batch in events(self._service, op, subscription, initial, _whose):
                    for kind, data, whose in batch:
                        yield raw_event(kind, data) if whose is None else RawEvent(kind, data, *whose)
        except ApiError as error:
            if request.trail is not None:
                request.trail.answered(answers.failure(error))
            raise
        except StoreFailed as error:
            raise ServiceUnavailable(str(error)) from error

    async def close(self) -> None:
        """Nothing to let go of."""
