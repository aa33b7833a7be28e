"""audit.k8s.io/v1 Event, as upstream writes it: the fields, their order, what is left out when it is empty."""

from __future__ import annotations

from typing import Any

import msgspec


class User(msgspec.Struct, omit_defaults=True, frozen=True):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class ObjectReference(msgspec.Struct, omit_defaults=True):
    resource: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    apiGroup: str = ""
    apiVersion: str = ""
    resourceVersion: str = ""
    subresource: str = ""


class Event(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One stage of one request."""

    kind: str = ""
    apiVersion: str = ""
    level: str
    auditID: str
    stage: str
    requestURI: str
    verb: str
    user: User
    impersonatedUser: User | None = None
    sourceIPs: list[str] = []
    userAgent: str = ""
    objectRef: ObjectReference | None = None
    responseStatus: dict[str, Any] | None = None
    requestObject: msgspec.Raw | None = None
    responseObject: msgspec.Raw | None = None
    requestReceivedTimestamp: str
    stageTimestamp: str
    annotations: dict[str, str] = {}
