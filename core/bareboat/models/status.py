"""The errors of the API, shared by server and clients.

    ApiError                         any other code
    ├── BadRequest 400 ── Unauthorized 401 ── Forbidden 403 ── NotFound 404 ── MethodNotAllowed 405 ── NotAcceptable 406
    ├── AlreadyExists 409, Conflict 409
    ├── Gone 410 ── ResourceExpired 410
    ├── RequestEntityTooLarge 413 ── UnsupportedMediaType 415 ── Invalid 422 ── TooManyRequests 429
    └── InternalError 500, ServerTimeout 500, ServiceUnavailable 503, Timeout 504

In: what went wrong. Out: a metav1.Status tree with upstream's wording, and back again with `from_status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for an Invalid: `type` such as FieldValueRequired, `message` without the field."""

    type: str
    message: str
    field: str = ""

    def to_tree(self) -> dict[str, str]:
        tree = {"reason": self.type, "message": self.message, "field": self.field}
        return {key: value for key, value in tree.items() if value}


class ApiError(Exception):
    """Something the API refused or could not do."""

    code: int = 500
    reason: str = ""

    def __init__(
        self,
        message: str = "",
        *,
        details: dict[str, Any] | None = None,
        retry_after: int | None = None,
        code: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.retry_after = retry_after
        if code is not None:
            self.code = code
        if reason is not None:
            self.reason = reason

    def to_status(self) -> dict[str, Any]:
        """The metav1.Status that a client gets."""
        tree: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        if self.message:
            tree["message"] = self.message
        if self.reason:
            tree["reason"] = self.reason
        details = dict(self.details or {})
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        if details or self.details is not None:
            tree["details"] = details
        tree["code"] = self.code
        return tree

    @property
    def causes(self) -> list[Cause]:
        listed = (self.details or {}).get("causes") or []
        return [Cause(item.get("reason", ""), item.get("message", ""), item.get("field", "")) for item in listed]


class _OfResource(ApiError):
    """Errors that upstream words around a resource and a name."""

    wording: ClassVar[str] = ""

    @classmethod
    def of(cls, plural: str, name: str = "", *, group: str = "", because: str = "") -> Self:
        """With upstream's message and details."""
        resource = f"{plural}.{group}" if group else plural
        message = cls.wording.format(resource=resource, name=quote(name), because=because)
        return cls(message, details=_details(group, plural, name))


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", **more: Any) -> None:
        super().__init__(message, **more)


class Forbidden(_OfResource):
    code, reason = 403, "Forbidden"

    @classmethod
    def of(cls, plural: str, name: str = "", *, group: str = "", because: str = "") -> Self:
        if not plural:
            return cls(f"forbidden: {because}", details={})
        resource = f"{plural}.{group}" if group else plural
        named = f"{resource} {quote(name)}" if name else resource
        return cls(f"{named} is forbidden: {because}", details=_details(group, plural, name))


class NotFound(_OfResource):
    code, reason = 404, "NotFound"
    wording = "{resource} {name} not found"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"

    @classmethod
    def of(cls, plural: str, verb: str, *, group: str = "") -> Self:
        resource = f"{plural}.{group}" if group else plural
        return cls(f'{verb} is not supported on resources of kind "{resource}"', details=_details(group, plural, ""))


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(_OfResource):
    code, reason = 409, "AlreadyExists"
    wording = "{resource} {name} already exists"


class Conflict(_OfResource):
    code, reason = 409, "Conflict"
    wording = "Operation cannot be fulfilled on {resource} {name}: {because}"

    @classmethod
    def of(cls, plural: str, name: str = "", *, group: str = "", because: str = "") -> Self:
        modified = "the object has been modified; please apply your changes to the latest version and try again"
        return super().of(plural, name, group=group, because=because or modified)


class Gone(ApiError):
    code, reason = 410, "Gone"


class ResourceExpired(Gone):
    """A resourceVersion or continue token that is too old."""

    reason = "Expired"


class RequestEntityTooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object breaks rules of its kind; the message is made of the causes."""

    code, reason = 422, "Invalid"

    def __init__(self, kind: str, name: str = "", causes: Iterable[Cause] = (), *, group: str = "") -> None:
        listed = list(causes)
        qualified = f"{kind}.{group}" if group else kind
        faults = aggregate(f"{cause.field or '<nil>'}: {cause.message}" for cause in listed)
        message = f"{qualified} {quote(name)} is invalid" + (f": {faults}" if faults else "")
        details = _details(group, kind, name)
        if listed:
            details["causes"] = [cause.to_tree() for cause in listed]
        super().__init__(message, details=details)


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"

    @classmethod
    def of(cls, what: object) -> Self:
        return cls(f"Internal error occurred: {what}", details={"causes": [{"message": str(what)}]})


class ServerTimeout(ApiError):
    code, reason = 500, "ServerTimeout"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


def aggregate(messages: Iterable[str]) -> str:
    """Several messages as one, each once, as upstream joins them."""
    unique = list(dict.fromkeys(messages))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]" if unique else ""


def from_status(tree: Mapping[str, Any], code: int = 0) -> ApiError:
    """The error that an answer reports; `code` is the HTTP status, for answers that are no Status."""
    is_status = tree.get("kind") == "Status"
    code = (tree.get("code") if is_status else 0) or code or 500
    reason = str(tree.get("reason") or "") if is_status else ""
    cls = _BY_REASON.get(reason) or _BY_CODE.get(code, ApiError)
    details = tree.get("details") if is_status else None
    message = str(tree.get("message") or "") if is_status else f"the server responded with the status code {code}"
    error = cls.__new__(cls)
    retry_after = (details or {}).get("retryAfterSeconds")
    ApiError.__init__(error, message, details=details, retry_after=retry_after, code=code, reason=reason or cls.reason)
    return error


def quote(text: str) -> str:
    """As Go's %q."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return f'"{escaped}"'


def _details(group: str, kind: str, name: str) -> dict[str, Any]:
    return {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}


_CLASSES: tuple[type[ApiError], ...] = (
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    AlreadyExists,
    Gone,
    ResourceExpired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServerTimeout,
    ServiceUnavailable,
    Timeout,
)
_BY_REASON = {cls.reason: cls for cls in _CLASSES}
_BY_CODE = {cls.code: cls for cls in reversed(_CLASSES)}
