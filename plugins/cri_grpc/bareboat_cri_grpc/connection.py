"""A CRI socket: calls go out, the contract's errors come back.

While it is gone every call raises Unavailable, and works when it is back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts.errors import DriverError, Unavailable
from bareboat.contracts.grpc_face import REASON
from bareboat_cri_grpc import codes

#: Bytes of one message: lists of large pods, and the output of a command.
MOST = 64 << 20
_IMAGES = ("ListImages", "ImageStatus", "PullImage", "RemoveImage", "ImageFsInfo")


class Failed(Exception):
    """What the socket said, for those who read more than the error from it."""

    def __init__(self, code: grpc.StatusCode, error: DriverError) -> None:
        super().__init__(error.message)
        self.code, self.error = code, error


class Connection:
    """``call`` one verb, ``raw`` the same with the status code, ``stream`` of events."""

    def __init__(self, socket: str, timeout: float) -> None:
        self._timeout = timeout
        options = [("grpc.max_receive_message_length", MOST), ("grpc.max_reconnect_backoff_ms", 2000)]
        self._channel = grpc.aio.insecure_channel(f"unix:{Path(socket).resolve()}", options=options)

    async def close(self) -> None:
        await self._channel.close()

    async def call(self, verb: str, within: float | None = None, **fields: Any) -> Any:
        try:
            return await self.raw(verb, within, **fields)
        except Failed as failed:
            raise failed.error from failed

    async def raw(self, verb: str, within: float | None = None, **fields: Any) -> Any:
        service = "ImageService" if verb in _IMAGES else "RuntimeService"
        request, answer = getattr(pb, f"{verb}Request"), getattr(pb, f"{verb}Response")
        call = self._channel.unary_unary(
            f"/runtime.v1.{service}/{verb}", request_serializer=request.SerializeToString, response_deserializer=answer.FromString
        )
        try:
            return await call(request(**fields), timeout=within or self._timeout)
        except grpc.aio.AioRpcError as error:
            reason = str(dict(error.trailing_metadata() or ()).get(REASON, ""))
            raise Failed(error.code(), codes.error_of(error.code(), error.details() or error.code().name, reason)) from error
        except grpc.aio.UsageError as error:
            raise Failed(grpc.StatusCode.UNAVAILABLE, Unavailable("the runtime is closed")) from error

    def events(self) -> Any:
        call = self._channel.unary_stream(
            "/runtime.v1.RuntimeService/GetContainerEvents",
            request_serializer=pb.GetEventsRequest.SerializeToString,
            response_deserializer=pb.ContainerEventResponse.FromString,
        )
        return call(pb.GetEventsRequest())
