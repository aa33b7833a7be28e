"""The one error vocabulary of all drivers.

What comes in: whatever went wrong in a back end. What goes out: one of these classes, which says by its type whether a
retry can help, and by ``reason`` what to count and show. ``reason`` is CamelCase and of low cardinality: it becomes the
Event reason and the metric label as it is. Any exception that is not a DriverError is a bug of the driver: it is logged
with its traceback and retried with backoff, and never takes the caller down.

    DriverError                    retry with backoff; reason "Unknown"
    ├── InvalidConfig   (terminal) the request can never work: fix the object
    ├── Unsupported     (terminal) capability not offered by this driver
    ├── NotFound        (terminal) the id is unknown
    ├── Conflict        (terminal) same key, different spec
    ├── InProgress      (retry)    another call on this id is running
    ├── Exhausted       (retry)    out of disk, ports, addresses, quota
    └── Unavailable     (retry)    back end down; may carry retry_after
"""

from __future__ import annotations

from typing import ClassVar


class DriverError(Exception):
    """A verb failed. ``message`` is for people; ``reason`` for Events and metrics; ``retry_after`` in seconds."""

    terminal: ClassVar[bool] = False
    default_reason: ClassVar[str] = "Unknown"

    def __init__(self, message: str, *, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.retry_after = retry_after


class InvalidConfig(DriverError):
    """The request can never work as it stands; the object must be changed."""

    terminal = True
    default_reason = "InvalidConfig"


class Unsupported(DriverError):
    """The driver does not offer the capability that the request needs."""

    terminal = True
    default_reason = "Unsupported"


class NotFound(DriverError):
    """The id is unknown. Removing something unknown is success, never this."""

    terminal = True
    default_reason = "NotFound"


class Conflict(DriverError):
    """The idempotency key exists with a different specification."""

    terminal = True
    default_reason = "Conflict"


class InProgress(DriverError):
    """Another call on this id is still running."""

    default_reason = "InProgress"


class Exhausted(DriverError):
    """Out of disk, ports, addresses or quota; may work later."""

    default_reason = "Exhausted"


class Unavailable(DriverError):
    """The back end cannot be reached now."""

    default_reason = "Unavailable"


class SkipPlugin(Exception):
    """Raised by a driver's constructor or ``probe``: it does not apply to this host. Not a fault; the text says why."""
