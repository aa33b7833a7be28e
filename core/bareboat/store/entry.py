"""What the log keeps of a live key, and how stored and served bytes relate.

Stored:  ``{"metadata":{"name":…},…}``  canonical JSON without apiVersion, kind and resourceVersion, metadata first.
Served:  ``{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7","name":…},…}``

Only the served bytes are kept in memory; they are what GET returns, LIST joins and watches send, the same object for all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

PREFIX = b'{"metadata":{'


class Entry:
    """A key's state at ``revision``. ``data`` are the served bytes; ``created`` the revision at which the key came to be; ``views`` what
    readers made of the bytes, if any did (api.reader)."""

    __slots__ = ("created", "data", "expires_at", "key", "revision", "views")

    def __init__(self, key: str, revision: int, created: int, data: bytes, expires_at: float = 0.0) -> None:
        self.key = key
        self.revision = revision
        self.created = created
        self.data = data
        self.expires_at = expires_at
        self.views: dict[type, Any] | None = None

    def __repr__(self) -> str:
        return f"Entry({self.key!r}, revision={self.revision})"


class Change(NamedTuple):
    """One published write. ``entry`` is the new state, or on a delete the last state with the delete's revision;
    ``previous`` the state before, None if there was none or it is no longer known."""

    key: str
    revision: int
    deleted: bool
    entry: Entry
    previous: Entry | None


@lru_cache(4096)
def head(kind: str, api_version: str) -> bytes:
    """What served bytes of a kind start with."""
    return f'{{"kind":"{kind}","apiVersion":"{api_version}",'.encode()


def serve(head_bytes: bytes, revision: int, stored: bytes) -> bytes:
    """Stored → served bytes."""
    return b'%b"metadata":{"resourceVersion":"%d",%b' % (head_bytes, revision, stored[len(PREFIX) :])


def strip(head_bytes: bytes, revision: int, data: bytes) -> bytes:
    """Served → stored bytes."""
    return PREFIX + data[len(head_bytes) + len(b'"metadata":{"resourceVersion":"",') + len(str(revision)) :]


def resource_of(key: str) -> str:
    """``apps/deployments/ns/name`` → ``apps/deployments``."""
    return key[: key.index("/", key.index("/") + 1)]
