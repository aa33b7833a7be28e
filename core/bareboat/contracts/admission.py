"""Admission: plugins that may change (mutate) or refuse (validate) a write.

Contributed by ``bareboat_admission`` and run in the order of the cluster file: all mutators, then schema and semantic
validation, then all validators on an object they cannot change. A plugin refuses by raising ``models.status.ApiError``
(usually Forbidden). ``handles`` keeps a plugin off the path of kinds it does not care for; it is evaluated once per kind.
Whatever the file says, a plugin of a lower ``stage`` runs before one of a higher: what others rely on, plugins, policies, webhooks, quota.
What a plugin may ask of the kernel beyond reading is its ``AdmissionHost``.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.contracts.auth import Attributes, Decision, UserInfo
from bareboat.models.selectors import Selector

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
#: Values of ``AdmissionPlugin.stage``.
FIRST, PLUGIN, POLICY, WEBHOOK, QUOTA = -1, 0, 1, 2, 3


class AdmissionRequest(msgspec.Struct, kw_only=True):
    """One write. ``object`` is the decoded Struct (or tree, for custom kinds) that mutators change in place; None for DELETE.

    ``old`` is the stored object for UPDATE and DELETE. ``warnings`` are sent as Warning headers, ``annotations`` go to the audit log.
    What a validator puts into ``ended`` is called when the write has ended, well or not; ``options`` are those of the verb, as a tree.
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
    ended: list[Callable[[], None]] = []
    #: set by a mutator that changed what earlier ones have seen: all run once more; ``seen`` is what they keep for then
    reinvoke: bool = False
    seen: dict[str, Any] = {}


class AdmissionHost(Protocol):
    """The kernel as admission plugins see it, beside the reader."""

    clock: Clock
    ids: Ids

    async def authorize(self, attributes: Attributes) -> Decision:
        """What the cluster's authorizers say."""
        ...

    async def call(self, client: dict[str, Any], review: bytes, timeout: float) -> bytes:
        """Post to a webhook by its client configuration, as a tree. Raises ValueError with what went wrong."""
        ...

    async def create(self, obj: Any) -> None:
        """Write a new object as the kernel itself. Raises AlreadyExists, Forbidden, Invalid."""
        ...

    async def update_status(self, obj: Any) -> None:
        """Write an object's status as the kernel itself. Raises Conflict if the object is not the newest, NotFound."""
        ...

    async def tree(self, request: AdmissionRequest, obj: Any, version: str = "") -> dict[str, Any]:
        """``obj`` of the request as a client of that version (default: the request's) would see it, kind and apiVersion included."""
        ...

    async def object(self, request: AdmissionRequest, tree: dict[str, Any], version: str = "") -> Any:
        """Back again: decoded, with its defaults. Raises DecodeError or ApiError when the tree does not fit the kind."""
        ...

    def resource(self, api_version: str, kind: str) -> tuple[str, bool] | None:
        """The plural of a served kind and whether it is namespaced; None if nobody serves it."""
        ...

    def patched(self, tree: dict[str, Any], operations: list[Any]) -> dict[str, Any]:
        """A JSON patch, applied to a copy. Raises ApiError when it does not apply."""
        ...

    def merged(self, request: AdmissionRequest, tree: dict[str, Any], configuration: dict[str, Any]) -> dict[str, Any]:
        """What server-side apply of the configuration makes of the tree, as if nobody owned anything. Raises ApiError."""
        ...

    async def objects(self, api_version: str, kind: str, namespace: str, name: str, selector: Selector | None) -> list[dict[str, Any]]:
        """Stored objects of any served kind as trees: the one of that name, or those that the selector selects. Cluster-wide kinds
        ignore the namespace. Raises ValueError for a kind that nobody serves."""
        ...

    def versions(self, group: str, resource: str) -> list[tuple[str, str]]:
        """Every (group, version) in which the same objects are served, the given group's first."""
        ...


class AdmissionPlugin(ABC):
    """Override ``mutate`` or ``validate`` or both."""

    name: str
    stage: int = PLUGIN
    #: runs whether the cluster file names it or not: without it something else would be no protection
    required: bool = False
    #: ``mutate`` of an UPDATE sets fields of the object, its metadata, its spec and its other parts at most, and changes nothing
    #: deeper where it stands: that may be shared with ``old``. For any other plugin the object is copied first
    shallow: bool = False

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        """Whether requests of this shape concern the plugin. Called once per shape; must be pure."""
        del operation, group, resource, subresource
        return True

    async def mutate(self, request: AdmissionRequest) -> None:
        """Change ``request.object`` in place, or raise ApiError to refuse."""

    async def remutate(self, request: AdmissionRequest) -> None:
        """Once more, because a later mutator changed the object; mutators must be idempotent."""
        await self.mutate(request)

    async def validate(self, request: AdmissionRequest) -> None:
        """Raise ApiError to refuse. Changes to the object are lost."""
