"""The record of one request: what the API notices on its way, and an Event for every stage that the policy wants.

It is the ``Trail`` (api.trail) of a request. Bodies are kept as the bytes that they are; only where managedFields are to be left
out are they opened. Reviews and requests of tokens never show more than their metadata.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Final

import msgspec

from bareboat.api.request import ApiRequest, ApiResponse, RequestInfo
from bareboat.api.yaml_body import yaml_to_json
from bareboat.base.clock import Clock
from bareboat.contracts.auth import Decision, UserInfo
from bareboat.models.codec import encode
from bareboat.models.status import ApiError
from bareboat.server.audit.events import Event, ObjectReference, User
from bareboat.server.audit.policy import ORDER, Verdict

AGENT: Final = 1024
_SECRET = re.compile(r"(?i)\b((?:access_)?token=)[^&]*")
_encode = msgspec.json.encode
Sink = Callable[[Event], None]


class Record:
    """``answered`` or ``failed`` end it; what comes after that is not recorded."""

    def __init__(
        self,
        request: ApiRequest,
        info: RequestInfo,
        verdict: Verdict,
        audit_id: str,
        clock: Clock,
        sink: Sink,
        real: UserInfo | None,
        uri: str,
    ) -> None:
        self._clock = clock
        self._sink = sink
        self._omit = verdict.omit
        self._managed = verdict.omit_managed
        self.level = verdict.level
        self.wants_request = ORDER[verdict.level] >= ORDER["Request"]
        self.wants_response = verdict.level == "RequestResponse"
        self.annotations: dict[str, str] = {}
        self.panicked = False
        self._ended = False
        self._request = request
        self._info = info
        self._object: bytes | None = None
        self._answer: bytes | None = None
        self._status: dict[str, Any] | None = None
        self._id = audit_id
        self._uri = _SECRET.sub(r"\1REDACTED", uri)
        self._user = _user(real or request.user)
        self._acting = _user(request.user) if real is not None else None
        self._reference = _reference(info)
        self._began = clock.micro()
        self._emit("RequestReceived", self._began)

    # what the API tells

    def decided(self, decision: Decision) -> None:
        self.annotations["authorization.k8s.io/decision"] = "allow" if decision.verdict == "Allow" else "forbid"
        self.annotations["authorization.k8s.io/reason"] = decision.reason

    def saw(self, obj: Any) -> None:
        """The object that a write is about, decoded and defaulted, before anybody changes it."""
        reference, meta = self._reference, obj.metadata
        if reference is not None:
            reference.name = reference.name or meta.name
            reference.namespace = reference.namespace or meta.namespace
            reference.uid = reference.uid or meta.uid
            reference.resourceVersion = reference.resourceVersion or meta.resourceVersion
        if self.wants_request and self._object is None and self._info.verb in ("create", "update"):
            self._object = encode(obj)

    # how it ends

    def answered(self, response: ApiResponse) -> ApiResponse:
        if self._ended:
            return response
        self._ended = True
        self._keep_request()
        if response.stream is not None:
            self._status = {"metadata": {}, "code": response.status}
            self._emit("ResponseStarted", self._clock.micro())
            response.stream = self._following(response.stream)
            if response.follow is not None:
                response.follow = partial(self._followed, response.follow)
            return response
        self._status = _status(response)
        if self.wants_response and response.content_type == "application/json" and (body := response.whole()):
            self._answer = self._plain(body)
        self._emit("Panic" if self.panicked else "ResponseComplete", self._clock.micro())
        return response

    def unauthenticated(self, message: str) -> None:
        self._ended = True
        self._status = {"metadata": {}, "status": "Failure", "message": message, "reason": "Unauthorized", "code": 401}
        self._emit("ResponseStarted", self._clock.micro())

    async def _following(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in stream:
                yield chunk
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
            self._emit("ResponseComplete", self._clock.micro())

    async def _followed(self, follow: Callable[[Any], Awaitable[None]], sink: Any) -> None:
        """The same for a watch that writes to its connection itself."""
        try:
            await follow(sink)
        finally:
            self._emit("ResponseComplete", self._clock.micro())

    def _keep_request(self) -> None:
        """The body as it came, of what has no object of its own: patches, options of deletes, subresources."""
        body = self._request.body
        if not self.wants_request or self._object is not None or not body:
            return
        try:
            self._object = body if msgspec.json.decode(body) is not None else None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            if "yaml" not in self._request.content_type:
                return  # no object: there is nothing that could be shown
            try:
                self._object = yaml_to_json(body)
            except ApiError:
                return

    def _plain(self, data: bytes) -> bytes:
        """Without managedFields if the policy says so."""
        if not self._managed or b'"managedFields"' not in data:
            return data
        tree = msgspec.json.decode(data)
        for item in (tree, *(tree.get("items") or ())) if isinstance(tree, dict) else ():
            if isinstance(item.get("metadata"), dict):
                item["metadata"].pop("managedFields", None)
        return _encode(tree)

    def _emit(self, stage: str, at: str) -> None:
        if stage in self._omit:
            return
        complete = stage != "RequestReceived"
        obj, answer = (self._object, self._answer) if complete else (None, None)
        self._sink(
            Event(
                level=self.level,
                auditID=self._id,
                stage=stage,
                requestURI=self._uri,
                verb=self._info.verb,
                user=self._user,
                impersonatedUser=self._acting,
                sourceIPs=sources(self._request),
                userAgent=self._request.user_agent[:AGENT],
                objectRef=self._reference,
                responseStatus=self._status,
                requestObject=msgspec.Raw(self._plain(obj)) if obj else None,
                responseObject=msgspec.Raw(answer.rstrip()) if answer else None,
                requestReceivedTimestamp=self._began,
                stageTimestamp=at,
                annotations=self.annotations,
            )
        )


def _user(user: UserInfo) -> User:
    return User(user.name, user.uid, user.groups, user.extra)


def _reference(info: RequestInfo) -> ObjectReference | None:
    if not info.resource:
        return None
    return ObjectReference(info.resource, info.namespace, info.name, "", info.group, info.version, "", info.subresource)


def _status(response: ApiResponse) -> dict[str, Any]:
    """Only failures say more than their code."""
    found: dict[str, Any] = {"metadata": {}, "code": response.status}
    if response.status < 400 or response.content_type != "application/json" or not response.body:
        return found
    try:
        tree = msgspec.json.decode(response.body)
    except msgspec.DecodeError:  # of another server, which it was carried to
        return found
    if isinstance(tree, dict) and tree.get("kind") == "Status":
        found = {key: tree[key] for key in ("metadata", "status", "message", "reason", "details", "code") if key in tree}
    return found


def sources(request: ApiRequest) -> list[str]:
    """Where it came from, as far as proxies say; the one who connected is the last."""
    headers = request.headers
    said = [part.strip() for part in (headers.get("x-forwarded-for") or headers.get("x-real-ip") or "").split(",")]
    found = [part for part in said if part]
    if request.remote and (not found or found[-1] != request.remote):
        found.append(request.remote)
    return found
