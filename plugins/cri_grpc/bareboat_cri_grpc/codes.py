"""Status codes and the contract's errors, in both directions. Pure.

Between our proxy and our face the reason travels beside the code; a runtime of somebody else says what it says in its message.
"""

from __future__ import annotations

import re

import grpc

from bareboat.contracts import errors
from bareboat.contracts.errors import DriverError, NotFound

TO_CODE: tuple[tuple[type[DriverError], grpc.StatusCode], ...] = (
    (errors.InvalidConfig, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Unsupported, grpc.StatusCode.UNIMPLEMENTED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.Conflict, grpc.StatusCode.ALREADY_EXISTS),
    (errors.InProgress, grpc.StatusCode.ABORTED),
    (errors.Exhausted, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE),
)
_FROM_CODE = {code: kind for kind, code in TO_CODE} | {grpc.StatusCode.DEADLINE_EXCEEDED: errors.Unavailable}
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@[A-Za-z0-9+._-]+:[0-9a-fA-F]{{32,}})?"
)
_TOO_LONG = re.compile(r"timeout .* exceeded|timed out|context deadline exceeded")


def code_of(error: DriverError) -> grpc.StatusCode:
    return next((code for kind, code in TO_CODE if isinstance(error, kind)), grpc.StatusCode.UNKNOWN)


def error_of(code: grpc.StatusCode, message: str, reason: str = "") -> DriverError:
    return _FROM_CODE.get(code, DriverError)(message, reason=reason)


def too_long(code: grpc.StatusCode, message: str) -> bool:
    """Whether a command was ended because its time was over."""
    return code is grpc.StatusCode.DEADLINE_EXCEEDED or bool(_TOO_LONG.search(message))


def well_formed(image: str) -> None:
    """Raises NotFound(InvalidImageName)."""
    if not _REFERENCE.fullmatch(image) and not re.fullmatch(r"(sha256:)?[0-9a-f]{64}", image):
        message = f'couldn\'t parse image name "{image}": invalid reference format'
        raise NotFound(f"Failed to apply default image tag {image!r}: {message}", reason="InvalidImageName")
