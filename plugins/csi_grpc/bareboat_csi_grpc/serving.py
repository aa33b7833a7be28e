"""A storage driver of ours on a CSI socket.

What comes in: calls of an orchestrator that speaks CSI. What goes out: the driver's verbs, its errors as status codes. One handler per
verb, found by its name in ``VERBS``; what the driver does not offer is UNIMPLEMENTED.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from bareboat_csi_protocol import csi_pb2 as pb

from bareboat.contracts.driver import PluginInfo
from bareboat.contracts.errors import DriverError, Unsupported
from bareboat.contracts.face import GROUP
from bareboat.contracts.grpc_face import GrpcFace
from bareboat_csi_grpc import translate as t
from bareboat_csi_grpc.verbs import VERBS


class CsiFace(GrpcFace):
    """``run`` serves until cancelled."""

    info = PluginInfo(name="csi", summary="Storage drivers on a CSI socket", contract=GROUP)
    messages = pb
    log = logging.getLogger("bareboat.face.csi")

    def code_of(self, error: DriverError) -> Any:
        return t.code_of(error)

    def services(self) -> dict[str, dict[str, Any]]:
        return {
            f"csi.v1.{service}": {verb: self.handler(verb, self._work(verb, *act)) for verb, act in verbs.items()}
            for service, verbs in VERBS.items()
        }

    def _work(self, verb: str, needs: str, work: Any) -> Callable[[Any], Awaitable[Any]]:
        async def act(message: Any) -> Any:
            if needs and not getattr(self.driver.capabilities, needs):
                raise Unsupported(f"the driver does not offer {verb}")
            return await work(self.driver, message)

        return act
