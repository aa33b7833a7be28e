"""Admission: plugins that may change (mutate) or refuse (validate) a write.

Contributed by ``bareboat_admission`` and run in the order of the cluster file: all mutators, then schema and semantic
validation, then all validators on an object they cannot change. A plugin refuses by raising ``models.status.ApiError``
(usually Forbidden). ``handles`` keeps a plugin off the path of kinds it does not care for; it is evaluated once per kind.
"""

from __future__ import annotations

from abc import ABC
from typing import Any, Literal

import msgspec

from bareboat.contracts.auth import UserInfo

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


class AdmissionRequest(msgspec.Struct, kw_only=True):
    """One write. ``object`` is the decoded Struct (or tree, for custom kinds) that mutators change in place; None for DELETE.

    ``old`` is the stored object for UPDATE and DELETE. ``warnings`` are sent as Warning headers, ``annotations`` go to the audit log.
    """

    operation: Operation
    group: str
    version: str
    resource: str
    subresource: str
    kind: str
    namespace: str
    name: str
    user: UserInfo
    object: Any = None
    old: Any = None
    options: dict[str, Any] = {}
    dry_run: bool = False
    warnings: list[str] = []
    annotations: dict[str, str] = {}


class AdmissionPlugin(ABC):
    """Override ``mutate`` or ``validate`` or both."""

    name: str

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        """Whether requests of this shape concern the plugin. Called once per shape; must be pure."""
        del operation, group, resource, subresource
        return True

    async def mutate(self, request: AdmissionRequest) -> None:
        """Change ``request.object`` in place, or raise ApiError to refuse."""

    async def validate(self, request: AdmissionRequest) -> None:
        """Raise ApiError to refuse. Changes to the object are lost."""
