"""A request on its way through the server: what it holds, what its answer carries, and what becomes of it when it fails or is late.

There are two ways in, the application's (``app``) and the short one for requests that are like those before them (``repeated``). What
both have to do at the end is here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from bareboat.api import answers
from bareboat.api.request import ApiResponse
from bareboat.models.status import ApiError, InternalError, RequestEntityTooLarge
from bareboat.server.cycle import Headers
from bareboat.server.deadlines import Deadlines, Task, timed_out
from bareboat.server.edge import Edge
from bareboat.server.exchange import send_response
from bareboat.server.fairness.gate import TEXT, Rejected

if TYPE_CHECKING:
    from bareboat.server.audit.record import Record

log = logging.getLogger("bareboat.server")


class Visit(Protocol):
    """One request."""

    task: Task
    #: of the audit log
    record: Record | None

    @property
    def marks(self) -> Headers:
        """Headers that every answer to it carries."""

    def leave(self) -> None:
        """Give back the seat. Twice is fine."""


def failed(error: BaseException, visit: Visit, deadlines: Deadlines, what: str) -> ApiResponse | None:
    """The answer that an exception means, None if there is nobody to answer. Raises it again if it is not the request's own."""
    match error:
        case Rejected():
            return ApiResponse(429, f"{TEXT}\n".encode(), "text/plain; charset=utf-8", {"retry-after": str(error.retry_after)})
        case RequestEntityTooLarge():
            refused = answers.failure(error)
            refused.headers["connection"] = "close"  # what is left of the body is not read
            return refused
        case ApiError():
            return answers.failure(error)
        case ConnectionResetError():
            return None
        case asyncio.CancelledError() if deadlines.late(visit.task):
            visit.task.uncancel()
            return answers.failure(timed_out())
        case Exception():
            log.error("%s failed", what, exc_info=error)
            if visit.record is not None:
                visit.record.panicked = True
            return answers.failure(InternalError("Internal Server Error"))
    raise error


async def deliver(edge: Edge, visit: Visit, response: ApiResponse, headers: dict[str, str], receive: Any, send: Any) -> None:
    """Send the answer, however long that takes."""
    gzip = "gzip" in headers.get("accept-encoding", "")
    if response.stream is None:
        await send_response(response, gzip, receive, send, visit.marks)
        return
    visit.leave()  # what is long has been begun: from now on it costs what it sends
    edge.deadlines.end(visit.task)
    ended = False
    with edge.streams.counted():
        await send_response(response, gzip, receive, send, visit.marks)
        ended = True
    if not ended:  # by the server, which stops: the client sees a whole answer
        await send({"type": "http.response.body", "body": b""})
