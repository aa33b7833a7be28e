"""What goes wrong with a registry, in its own terms, and as the contract's errors with the words that users know.

What comes in: statuses, and exceptions of the HTTP library. What goes out: RegistryFailure, which says whether a further try may help, and
``contract_error``.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

import aiohttp

from bareboat.contracts.errors import DriverError, InvalidConfig, NotFound, Unavailable
from bareboat_cri_process.references import Reference

_OFFLINE = ". Without a registry: `bareboat image load`, or the node's own file system as `image: host`"
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class RegistryFailure(Exception):
    """``status`` of HTTP, 0 where there was no answer. ``again``: whether the same request may succeed later."""

    def __init__(self, message: str, *, status: int = 0, again: bool | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.again = status in _PASSING if again is None else again
        self.retry_after = retry_after
        self.unknown_host = False


def of_answer(answer: aiohttp.ClientResponse) -> RegistryFailure:
    after = answer.headers.get("Retry-After", "")
    message = f"unexpected status from {answer.method} request to {answer.url.with_query(None)}: {answer.status} {answer.reason}"
    return RegistryFailure(message, status=answer.status, retry_after=float(after) if after.isdigit() else None)


def of_exception(error: Exception, url: str) -> RegistryFailure:
    """A connection that was not made, or not to its end."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    failure = RegistryFailure(f"failed to do request: {url}: {cause or type(error).__name__}", again=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        failure.again = False
    if isinstance(error, aiohttp.InvalidURL):
        failure.again = False
    if isinstance(error, asyncio.TimeoutError):
        failure.message = f"failed to do request: {url}: timeout"
    if isinstance(cause, socket.gaierror):
        failure.again = cause.errno == socket.EAI_AGAIN
        failure.unknown_host = not failure.again
        failure.message = f"failed to do request: {url}: lookup failed: {cause.strerror}"
    return failure


def contract_error(failure: RegistryFailure, image: Reference, asked: str) -> DriverError:
    """``asked`` is the image as it was named."""
    full = image.full
    start = f'failed to pull image "{asked}": failed to resolve reference "{full}": '
    if failure.status == 404:
        return NotFound(f"{start}{full}: not found", reason="ErrImagePull")
    if failure.unknown_host:
        return NotFound(start + failure.message + _OFFLINE, reason="ErrImagePull")
    if failure.status in (401, 403):
        message = f"pull access denied, repository does not exist or may require authorization: {failure.message}"
        return InvalidConfig(start + message, reason="Unauthorized")
    return Unavailable(start + failure.message, reason="ErrImagePull", retry_after=failure.retry_after)
