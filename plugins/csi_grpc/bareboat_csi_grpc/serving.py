"""A storage driver of ours on a CSI socket.

What comes in: calls of an orchestrator that speaks CSI. What goes out: the driver's verbs, its errors as status codes. One handler per
verb, found by its name in ``VERBS``; what the driver does not offer is UNIMPLEMENTED.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import grpc
from bareboat_csi_protocol import csi_pb2 as pb

from bareboat.contracts.driver import PluginInfo
from bareboat.contracts.errors import DriverError, Unsupported
from bareboat.contracts.face import GROUP, Face
from bareboat_csi_grpc import translate as t
from bareboat_csi_grpc.verbs import VERBS

log = logging.getLogger("bareboat.face.csi")


class CsiFace(Face):
    """``run`` serves until cancelled."""

    info = PluginInfo(name="csi", summary="Storage drivers on a CSI socket", contract=GROUP)

    def __init__(self, driver: Any, socket: Path) -> None:
        super().__init__(driver, socket)
        self._server: Any = None

    async def start(self) -> None:
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        self._server = grpc.aio.server()
        for service, verbs in VERBS.items():
            handlers = {verb: self._handler(service, verb) for verb in verbs}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"csi.v1.{service}", handlers),))
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

    def _handler(self, service: str, verb: str) -> Any:
        request, answer, act = getattr(pb, f"{verb}Request"), getattr(pb, f"{verb}Response"), VERBS[service][verb]

        async def call(message: Any, context: Any) -> Any:
            try:
                needs, work = act
                if needs and not getattr(self.driver.capabilities, needs):
                    raise Unsupported(f"the driver does not offer {verb}")
                return await work(self.driver, message)
            except DriverError as error:
                context.set_trailing_metadata(((t.REASON, error.reason),))
                await context.abort(t.code_of(error), error.message)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if isinstance(error, grpc.RpcError | grpc.aio.AbortError):
                    raise
                log.exception("%s failed", verb)
                await context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=request.FromString, response_serializer=answer.SerializeToString
        )
