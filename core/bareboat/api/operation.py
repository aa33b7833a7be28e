"""One request under way: its request, what it is about, and its options, checked. Handed from verb to verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api.conversion import convert
from bareboat.api.request import ApiRequest, RequestInfo
from bareboat.api.strategy import Strategy, WriteContext
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.models.scheme import Resource
from bareboat.models.status import BadRequest, Cause, Invalid
from bareboat.store.entry import Entry

if TYPE_CHECKING:
    from bareboat.api.custom.kinds import CustomKind
    from bareboat.api.templates import Template


class Operation(msgspec.Struct):
    """``resource`` is what the client named, ``stored`` the version that is kept; mostly they are the same."""

    request: ApiRequest
    info: RequestInfo
    resource: Resource
    stored: Resource
    strategy: Strategy
    clock: Clock
    ids: Ids
    warnings: list[str] = []
    #: the body as a tree, if it has empty lists: to own one is not the same as to own nothing
    raw: Any = None
    #: the known spec that the body has, if it has one
    template: Template | None = None
    #: of custom resources: the version of their definition that the client named; it is ``stored``, too
    custom: CustomKind | None = None

    @property
    def same_version(self) -> bool:
        return self.resource is self.stored

    @property
    def prefix(self) -> str:
        """Of the storage keys of what the request is about."""
        base = f"{self.stored.key}/"
        return f"{base}{self.info.namespace}/" if self.resource.namespaced and self.info.namespace else base

    def key(self, name: str, namespace: str | None = None) -> str:
        space = (self.info.namespace if namespace is None else namespace) if self.resource.namespaced else ""
        return f"{self.stored.key}/{space}/{name}"

    @property
    def dry_run(self) -> bool:
        values = self.request.query.get("dryRun")
        if values is None:
            return False
        for value in values:
            if value != "All":
                kind = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}.get(self.info.verb, "DeleteOptions")
                causes = [Cause("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: "All"', "dryRun")]
                raise Invalid(kind, "", causes, group="meta.k8s.io")
        return bool(values)

    @property
    def field_validation(self) -> str:
        """Strict, Warn or Ignore; the default for JSON and YAML is Warn."""
        value = self.request.first("fieldValidation", "Warn") or "Warn"
        if value not in ("Strict", "Warn", "Ignore"):
            supported = '"Ignore", "Strict", "Warn"'
            message = f'Unsupported value: "{value}": supported values: {supported}'
            raise Invalid("CreateOptions", "", [Cause("FieldValueNotSupported", message, "fieldValidation")], group="meta.k8s.io")
        return value

    def context(self) -> WriteContext:
        return WriteContext(self.request.user, self.clock.timestamp(), self.ids, dry_run=self.dry_run, group=self.resource.group)

    async def seen(self, entries: list[Entry]) -> list[Entry]:
        """The entries as readers of the requested version see them. Only custom objects differ: versions, pruning, defaults."""
        return entries if self.custom is None else await self.custom.seen(entries)

    async def shown(self, entry: Entry) -> bytes:
        """The bytes that the client gets of one entry."""
        [found] = await self.seen([entry])
        return self.served(found)

    def served(self, entry: Entry) -> bytes:
        """The bytes of a seen entry that the client gets: the store's own unless the client asked for another version."""
        if self.same_version:
            return entry.data
        return convert(entry.data, self.stored, self.resource)

    def number(self, name: str, default: int = 0) -> int:
        text = self.request.first(name)
        if not text:
            return default
        try:
            return int(text)
        except ValueError:
            raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None

    def details(self) -> dict[str, Any]:
        return {"name": self.info.name, "group": self.resource.group, "kind": self.resource.plural}
