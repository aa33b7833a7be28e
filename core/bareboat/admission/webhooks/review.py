"""AdmissionReview v1: what is sent, and what an answer says. Nothing that an answer says is believed before it is checked."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from bareboat.admission.matching.variables import Tree, kind_of, request_tree
from bareboat.contracts.admission import AdmissionRequest
from bareboat.models.status import ApiError

API_VERSION = "admission.k8s.io/v1"


class _Response(msgspec.Struct):
    uid: str = ""
    allowed: bool = False
    status: dict[str, Any] | None = None
    patch: str | None = None
    patchType: str | None = None
    auditAnnotations: dict[str, str] | None = None
    warnings: list[str] | None = None


class _Review(msgspec.Struct):
    apiVersion: str = ""
    kind: str = ""
    response: _Response | None = None


_decode = msgspec.json.Decoder(_Review).decode


class Verdict(msgspec.Struct):
    """``patch`` is the decoded JSON patch; None if there is none."""

    allowed: bool
    status: dict[str, Any]
    patch: list[Any] | None
    annotations: dict[str, str]
    warnings: list[str]


def review(request: AdmissionRequest, group: str, version: str, new: Tree | None, old: Tree | None, uid: str) -> bytes:
    tree = {"uid": uid, **request_tree(request, group, version, kind_of(request)), "object": new, "oldObject": old}
    return msgspec.json.encode({"kind": "AdmissionReview", "apiVersion": API_VERSION, "request": tree})


def verdict(data: bytes, uid: str, *, mutating: bool) -> Verdict:
    """Raises ValueError for an answer that is none."""
    try:
        found = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"received invalid webhook response: {error}") from error
    if (found.apiVersion, found.kind) != (API_VERSION, "AdmissionReview"):
        wanted = f"{API_VERSION}, Kind=AdmissionReview"
        raise ValueError(
            f"received invalid webhook response: expected webhook response of {wanted}, got {found.apiVersion}, Kind={found.kind}"
        )
    answer = found.response
    if answer is None:
        raise ValueError("received invalid webhook response: webhook response was absent")
    if answer.uid != uid:
        raise ValueError(f'received invalid webhook response: expected response.uid="{uid}", got "{answer.uid}"')
    if not mutating and (answer.patch or answer.patchType):
        raise ValueError("received invalid webhook response: a validating webhook may not return a patch")
    patch = _patch(answer) if mutating else None
    return Verdict(answer.allowed, answer.status or {}, patch, answer.auditAnnotations or {}, answer.warnings or [])


def _patch(answer: _Response) -> list[Any] | None:
    if not answer.patch:
        if answer.patchType:
            raise ValueError("received invalid webhook response: webhook returned response.patchType but not response.patch")
        return None
    if answer.patchType != "JSONPatch":
        what = f'"{answer.patchType}"' if answer.patchType else "none"
        raise ValueError(f'received invalid webhook response: expected response.patchType "JSONPatch", got {what}')
    try:
        found = msgspec.json.decode(base64.b64decode(answer.patch, validate=True))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error) as error:
        raise ValueError(f"received invalid webhook response: the patch cannot be read: {error}") from error
    if not isinstance(found, list):
        raise ValueError("received invalid webhook response: the patch is no list of operations")  # noqa: TRY004
    return found


def refusal(name: str, status: dict[str, Any]) -> ApiError:
    """The error of a request that a webhook denied, with its own code and reason."""
    denied = f'admission webhook "{name}" denied the request'
    code = status.get("code")
    code = code if isinstance(code, int) and 400 <= code < 600 else 400
    said = str(status.get("message") or status.get("reason") or "")
    message = f"{denied}: {said}" if said else f"{denied} without explanation"
    details = status.get("details")
    reason = str(status.get("reason") or "")
    return ApiError(message, code=code, reason=reason, details=details if isinstance(details, dict) else {})
