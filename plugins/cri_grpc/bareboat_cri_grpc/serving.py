"""The face: a runtime of ours on a CRI socket, for any client of that interface.

What comes in: an open driver and a path. What goes out: RuntimeService and ImageService; errors as status codes, with the contract's
reason beside. What the driver does not offer is UNIMPLEMENTED. A pod's network is its client's: the verbose status of a sandbox names
the namespace, as containerd's does.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import grpc
from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts import cri
from bareboat.contracts.driver import PluginInfo
from bareboat.contracts.errors import DriverError, Unsupported
from bareboat.contracts.face import GROUP, Face
from bareboat_cri_grpc import answers, codes
from bareboat_cri_grpc.connection import MOST
from bareboat_cri_grpc.stream_server import Served
from bareboat_cri_grpc.verbs import VERBS

log = logging.getLogger("bareboat.face.cri")
#: What a verb needs of the driver beside the contract's own.
NEEDS: dict[str, type] = {
    "Exec": cri.Exec,
    "ExecSync": cri.Exec,
    "Attach": cri.Attach,
    "PortForward": cri.PortForward,
    "ContainerStats": cri.StatsMixin,
    "ListContainerStats": cri.StatsMixin,
    "RemoveImage": cri.ImageRemoval,
    "ImageFsInfo": cri.ImageRemoval,
    "UpdateContainerResources": cri.Update,
    "ReopenContainerLog": cri.LogReopening,
}
_EVENTS = {
    "CREATED": pb.CONTAINER_CREATED_EVENT,
    "RUNNING": pb.CONTAINER_STARTED_EVENT,
    "EXITED": pb.CONTAINER_STOPPED_EVENT,
    "UNKNOWN": pb.CONTAINER_STOPPED_EVENT,
}


class CriFace(Face):
    """``run`` serves until cancelled."""

    info = PluginInfo(name="cri", summary="Runtimes on a CRI socket", contract=GROUP)

    def __init__(self, driver: Any, socket: Path) -> None:
        super().__init__(driver, socket)
        self._server: Any = None
        self._served = Served(driver)

    async def start(self) -> None:
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        await self._served.start()
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", MOST)])
        for service, verbs in VERBS.items():
            handlers = {verb: self._handler(verb, work) for verb, work in verbs.items()}
            if service == "RuntimeService" and isinstance(self.driver, cri.Events):
                handlers["GetContainerEvents"] = self._events()
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"runtime.v1.{service}", handlers),))
        self._server.add_insecure_port(f"unix:{self.socket.resolve()}")
        await self._server.start()
        self.socket.chmod(0o600)

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(grace=1.0)
            await self._served.stop()
            self.socket.unlink(missing_ok=True)

    async def run(self) -> None:
        await self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()

    def _handler(self, verb: str, work: Any) -> Any:
        request, answer = getattr(pb, f"{verb}Request"), getattr(pb, f"{verb}Response")

        async def call(message: Any, context: Any) -> Any:
            try:
                if not isinstance(self.driver, NEEDS.get(verb, object)):
                    raise Unsupported(f"the driver does not offer {verb}")
                return await work(self._served, message)
            except DriverError as error:
                context.set_trailing_metadata(((codes.REASON, error.reason),))
                await context.abort(codes.code_of(error), error.message)
            except TimeoutError as error:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error) or "the command took too long")
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

    def _events(self) -> Any:
        async def tell(_: Any, __: Any) -> Any:
            async for container_id in self.driver.events():
                found = next((c for c in await self.driver.list_containers() if c.id == container_id), None)
                kind = pb.CONTAINER_DELETED_EVENT if found is None else _EVENTS[found.state]
                statuses = [] if found is None else [answers.container_status(found, verbose=False).status]
                yield pb.ContainerEventResponse(container_id=container_id, container_event_type=kind, containers_statuses=statuses)

        return grpc.unary_stream_rpc_method_handler(
            tell, request_deserializer=pb.GetEventsRequest.FromString, response_serializer=pb.ContainerEventResponse.SerializeToString
        )
