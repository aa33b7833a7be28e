"""For faces whose upstream specification is a gRPC one: a server on a socket, verbs as handlers, errors as status codes.

What comes in: an open driver, a path, and from the subclass the services with their verbs. What goes out: one answer for every call; a
DriverError becomes the code that the subclass gives it, with the contract's reason in the trailing metadata. gRPC is imported when a face
starts: the kernel does not need it, plugins that bring a face depend on it.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from bareboat.contracts.errors import DriverError
from bareboat.contracts.face import Face

#: Trailing metadata with the contract's reason.
REASON = "bareboat-reason"


class GrpcFace(Face):
    """``run`` serves until cancelled."""

    #: The generated module with ``VERBRequest`` and ``VERBResponse``.
    messages: Any
    #: For what the server's owner has to see.
    log: logging.Logger

    def __init__(self, driver: Any, socket: Path) -> None:
        super().__init__(driver, socket)
        self._server: Any = None

    @abstractmethod
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """Full name of every service → verb → its handler (``handler``)."""

    @abstractmethod
    def code_of(self, error: DriverError) -> Any:
        """The status code of an error."""

    def options(self) -> list[tuple[str, Any]]:
        """Of the server."""
        return []

    async def start(self) -> None:
        import grpc

        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        self._server = grpc.aio.server(options=self.options())
        for service, handlers in self.services().items():
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, dict(handlers)),))
        self._server.add_insecure_port(f"unix:{self.socket.resolve()}")
        await self._server.start()
        self.socket.chmod(0o600)

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(grace=1.0)
            self.socket.unlink(missing_ok=True)

    async def run(self) -> None:
        await self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()

    def handler(self, verb: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """Of one verb: ``work`` takes the request and returns the response."""
        import grpc

        request, response = getattr(self.messages, f"{verb}Request"), getattr(self.messages, f"{verb}Response")

        async def call(message: Any, context: Any) -> Any:
            try:
                return await work(message)
            except DriverError as error:
                context.set_trailing_metadata(((REASON, error.reason),))
                await context.abort(self.code_of(error), error.message)
            except TimeoutError as error:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error) or "the call took too long")
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if isinstance(error, grpc.RpcError | grpc.aio.AbortError):
                    raise
                self.log.exception("%s failed", verb)
                await context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=request.FromString, response_serializer=response.SerializeToString
        )
