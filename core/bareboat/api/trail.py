"""What the API tells whoever records its requests. Audit implements it; a request without a trail is not recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bareboat.contracts.auth import Decision

if TYPE_CHECKING:
    from bareboat.api.request import ApiRequest, ApiResponse, RequestInfo


class Trail(Protocol):
    """Of one request. ``annotations`` takes what admission plugins say for the audit log."""

    annotations: dict[str, str]
    panicked: bool

    def decided(self, decision: Decision) -> None: ...

    def saw(self, obj: Any) -> None: ...

    def answered(self, response: ApiResponse) -> ApiResponse: ...


class Recorder(Protocol):
    """``begin`` gives None for what is not recorded."""

    def begin(self, request: ApiRequest, info: RequestInfo) -> Trail | None: ...
