"""What a kind adds to the verbs: defaults, what clients may not set, validation, warnings, field selectors.

The verbs (``api.verbs``) call a strategy at fixed points; the strategies of the built-in kinds live in ``api.kinds``, one
module per group. A strategy works on decoded Structs in place and knows nothing of requests, storage or HTTP.

Order on create: decode, ``default``, mutating admission, ``prepare_create``, metadata rules, ``validate_create``.
Order on update: decode, ``default``, mutating admission, ``prepare_update(new, old)``, ``validate_update(new, old)``.
Subresources that write part of an object (``status``, ``resize``, ``approval`` …) have a ``SubresourceStrategy``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bareboat.contracts.auth import UserInfo
from bareboat.models.names import dns1123_subdomain
from bareboat.models.status import Cause


class WriteContext:
    """Who writes, when, and what they may know: handed to ``prepare_*``. ``now`` is RFC3339; ``group`` is the one that the client
    named, for kinds that two groups serve. ``causes`` takes faults that only this knowledge can find."""

    __slots__ = ("causes", "dry_run", "group", "ids", "now", "user", "warnings")

    def __init__(self, user: UserInfo, now: str, ids: Any, *, dry_run: bool = False, group: str = "") -> None:
        self.user = user
        self.now = now
        self.ids = ids
        self.dry_run = dry_run
        self.group = group
        self.causes: list[Cause] = []
        self.warnings: list[str] = []


class SubresourceStrategy:
    """Writes through ``/<name>``: by default what ``status`` does: the status changes, and labels, annotations, finalizers and owners."""

    part: str = "status"
    #: what of the metadata stays as it is
    kept_metadata: tuple[str, ...] = ()
    #: what writes through this endpoint never own
    reset_fields: tuple[str, ...] = ("spec",)

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        """Take ``part`` and metadata, but for ``kept_metadata``, from ``new`` and everything else from ``old``."""
        del ctx
        for field in new.__struct_fields__:
            if field not in (self.part, "apiVersion", "kind", "metadata"):
                setattr(new, field, getattr(old, field))
        for field in self.kept_metadata:
            setattr(new.metadata, field, getattr(old.metadata, field))

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        del new, old
        return []


class StatusAlone(SubresourceStrategy):
    """``/status`` of kinds whose metadata is written with the whole object only."""

    kept_metadata = ("labels", "annotations", "finalizers", "ownerReferences")
    reset_fields = ("spec", "metadata")


class Verdict(NamedTuple):
    """On a new object. ``spec``: its spec as it is to be written, if it had to be encoded for this."""

    causes: list[Cause]
    warnings: list[str]
    spec: bytes = b""


class Strategy:
    """The rules of one kind. The base is a kind without status, without defaults and with a DNS-1123 subdomain for a name."""

    #: spec changes raise metadata.generation (False for ConfigMap, Secret, Event …)
    has_generation: bool = True
    #: PUT of an unknown name creates it (upstream: AllowCreateOnUpdate)
    allow_create_on_update: bool = False
    #: PUT without a resourceVersion is accepted (upstream: AllowUnconditionalUpdate)
    allow_unconditional_update: bool = True
    #: ``default`` fills in the spec, and nothing else, from the spec, and nothing else
    spec_stands_alone: bool = False
    #: a finalizer without a domain must be one of the standard ones (upstream: kinds of its own groups but apiextensions)
    known_finalizers: bool = True
    #: what writes of the whole object never own
    reset_fields: tuple[str, ...] = ("status",)
    #: DELETE waits for the agent or a controller (pods: terminationGracePeriodSeconds; 0 = at once)
    graceful: bool = False
    #: What it owns stays when it is deleted without a propagation policy; and what clients are told who gave none.
    orphans: bool = False
    orphans_warning: str = ""
    #: field selectors beyond metadata.name and metadata.namespace: JSON path -> getter
    selectable: dict[str, Any] = {}
    #: subresources that write part of the object
    subresources: dict[str, SubresourceStrategy] = {"status": SubresourceStrategy()}

    def fields(self, group: str) -> dict[str, Any]:
        """``selectable`` as clients of this API group know it."""
        del group
        return self.selectable

    def validate_name(self, name: str) -> list[str]:
        return dns1123_subdomain(name)

    def default(self, obj: Any) -> None:
        """Fill in what upstream's defaulting fills in. Runs on every decoded body and on patched objects."""

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        """Reset what clients may not set (status), set generation 1 when ``has_generation``."""

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        """Keep what this write may not change (status), raise generation when the spec differs."""

    def prepare_delete(self, obj: Any, ctx: WriteContext) -> None:
        """What the first delete of an object changes beside its deletionTimestamp, finalizers above all."""

    def validate_create(self, obj: Any) -> list[Cause]:
        return []

    def judge(self, obj: Any) -> Verdict:
        """Of a new object, what ``validate_create`` finds and, if that is nothing, what ``warnings`` says."""
        causes = self.validate_create(obj)
        return Verdict(causes, [] if causes else self.warnings(obj, None))

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return []

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        """Texts for Warning headers."""
        del obj, old
        return []

    def grace_seconds(self, obj: Any, requested: int | None) -> int:
        """For graceful kinds: how long a delete waits; 0 means remove now."""
        del obj, requested
        return 0
