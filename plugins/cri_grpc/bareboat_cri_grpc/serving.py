"""The face: a runtime of ours on a CRI socket, for any client of that interface.

What comes in: an open driver and a path. What goes out: RuntimeService and ImageService; errors as status codes, with the contract's
reason beside. What the driver does not offer is UNIMPLEMENTED. A pod's network is its client's: the verbose status of a sandbox names
the namespace, as containerd's does.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts import cri
from bareboat.contracts.driver import PluginInfo
from bareboat.contracts.errors import DriverError, Unsupported
from bareboat.contracts.face import GROUP
from bareboat.contracts.grpc_face import GrpcFace
from bareboat_cri_grpc import answers, codes
from bareboat_cri_grpc.connection import MOST
from bareboat_cri_grpc.stream_server import Served
from bareboat_cri_grpc.verbs import VERBS

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


class CriFace(GrpcFace):
    """``run`` serves until cancelled."""

    info = PluginInfo(name="cri", summary="Runtimes on a CRI socket", contract=GROUP)
    messages = pb
    log = logging.getLogger("bareboat.face.cri")

    def __init__(self, driver: Any, socket: Path) -> None:
        super().__init__(driver, socket)
        self._served = Served(driver)

    async def start(self) -> None:
        await self._served.start()
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        await self._served.stop()

    def options(self) -> list[tuple[str, Any]]:
        return [("grpc.max_receive_message_length", MOST)]

    def code_of(self, error: DriverError) -> Any:
        return codes.code_of(error)

    def services(self) -> dict[str, dict[str, Any]]:
        found = {
            f"runtime.v1.{service}": {verb: self.handler(verb, self._work(verb, work)) for verb, work in verbs.items()}
            for service, verbs in VERBS.items()
        }
        if isinstance(self.driver, cri.Events):
            found["runtime.v1.RuntimeService"]["GetContainerEvents"] = self._events()
        return found

    def _work(self, verb: str, work: Any) -> Callable[[Any], Awaitable[Any]]:
        async def act(message: Any) -> Any:
            if not isinstance(self.driver, NEEDS.get(verb, object)):
                raise Unsupported(f"the driver does not offer {verb}")
            return await work(self._served, message)

        return act

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
