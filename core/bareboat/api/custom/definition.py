"""One CustomResourceDefinition as the API uses it: its served versions, each compiled when it is first used.

In: the definition's JSON as it is stored. Out: ``Version`` objects with everything that a verb needs to know of the kind. A
change of the spec makes a new ``Definition``; nothing here is changed in place.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import msgspec

from bareboat.api.custom.rules import Rules
from bareboat.api.custom.schema import ANYTHING, Schema, Tree
from bareboat.api.custom.shape import atom_of
from bareboat.api.managed.atoms import Atom
from bareboat.models.scheme import Resource, Subresource
from bareboat.store.entry import head

_STATUS_VERBS = ("get", "patch", "update")


class Names(msgspec.Struct):
    """Of spec or of status."""

    plural: str = ""
    singular: str = ""
    kind: str = ""
    listKind: str = ""
    shortNames: list[str] = []
    categories: list[str] = []


class VersionSpec(msgspec.Struct):
    """One of spec.versions. The schema stays what it is in the log until the kind is used."""

    name: str
    served: bool = False
    storage: bool = False
    deprecated: bool = False
    deprecationWarning: str | None = None
    schema: msgspec.Raw = msgspec.Raw(b"null")
    subresources: Tree | None = None
    additionalPrinterColumns: list[Tree] | None = None
    selectableFields: list[Tree] | None = None


class DefinitionSpec(msgspec.Struct):
    group: str
    names: Names
    scope: str
    versions: list[VersionSpec]
    conversion: Tree | None = None


_decode_spec = msgspec.json.Decoder(DefinitionSpec).decode


class Definition:
    """``raw`` is its spec as it is stored; ``names`` are those that were accepted."""

    def __init__(self, name: str, raw: msgspec.Raw, names: Names) -> None:
        spec = _decode_spec(raw)
        self.name = name
        self.raw = raw
        self.group = spec.group
        self.names = names
        self.plural = spec.names.plural
        self.kind = spec.names.kind
        self.namespaced = spec.scope == "Namespaced"
        self.conversion: Tree = spec.conversion or {"strategy": "None"}
        self.versions: dict[str, Version] = {v.name: Version(self, v) for v in spec.versions}
        self.storage: Version = next(v for v in self.versions.values() if v.spec.storage)

    @property
    def key(self) -> str:
        """The first two parts of the storage keys of its objects."""
        return f"{self.group}/{self.plural}"

    @property
    def served(self) -> list[Version]:
        return [version for version in self.versions.values() if version.spec.served]

    def of(self, api_version: str) -> Version | None:
        """The version of an object's apiVersion."""
        group, _, name = api_version.rpartition("/")
        return self.versions.get(name) if group == self.group else None


class Version:
    """What one version says. The properties are worked out when first asked for."""

    def __init__(self, definition: Definition, spec: VersionSpec) -> None:
        self.definition = definition
        self.spec = spec
        self.name = spec.name
        self.api_version = f"{definition.group}/{spec.name}"
        #: served objects by (key, revision), where the stored ones had to be worked on
        self.worked: dict[tuple[str, int], bytes] = {}

    @cached_property
    def schema(self) -> Schema:
        found = self.published
        return ANYTHING if found is None else Schema(found)

    @property
    def published(self) -> Tree | None:
        """openAPIV3Schema, decoded anew."""
        return (msgspec.json.decode(self.spec.schema) or {}).get("openAPIV3Schema")

    @cached_property
    def rules(self) -> Rules:
        return Rules(self.schema)

    @cached_property
    def atom(self) -> Atom:
        """The kind's shape as ownership sees it."""
        return atom_of(self.schema)

    @cached_property
    def head(self) -> bytes:
        """What served objects start with."""
        return head(self.definition.kind, self.api_version)

    @cached_property
    def tail(self) -> bytes:
        """What stored objects end with: the version, and a mark of the schema that they were written under."""
        mark = hashlib.blake2b(self.spec.schema, digest_size=6).hexdigest()
        return f',"apiVersion":"{self.api_version}#{mark}"}}'.encode()

    @property
    def has_status(self) -> bool:
        return (self.spec.subresources or {}).get("status") is not None

    @property
    def scale(self) -> Tree | None:
        return (self.spec.subresources or {}).get("scale")

    @property
    def columns(self) -> list[Tree]:
        return self.spec.additionalPrinterColumns or []

    @property
    def selectable(self) -> list[str]:
        return [field["jsonPath"].removeprefix(".") for field in self.spec.selectableFields or []]

    @property
    def warning(self) -> str:
        """What users of a deprecated version are told."""
        if not self.spec.deprecated:
            return ""
        return self.spec.deprecationWarning or f"{self.api_version} {self.definition.kind} is deprecated"

    @cached_property
    def resource(self) -> Resource:
        d, names = self.definition, self.definition.names
        return Resource(
            group=d.group,
            version=self.name,
            kind=d.kind,
            plural=d.plural,
            singular=names.singular or d.kind.lower(),
            namespaced=d.namespaced,
            verbs=("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"),
            short_names=tuple(names.shortNames),
            categories=tuple(names.categories),
            subresources=self._subresources(),
            list_kind=names.listKind or f"{d.kind}List",
            custom=True,
        )

    def _subresources(self) -> dict[str, Subresource]:
        found = {}
        if self.has_status:
            found["status"] = Subresource("status", self.definition.kind, self.definition.group, self.name, _STATUS_VERBS)
        if self.scale is not None:
            found["scale"] = Subresource("scale", "Scale", "autoscaling", "v1", _STATUS_VERBS)
        return found

    def complete(self, tree: Any) -> None:
        """Prune and fill in defaults, in place."""
        from bareboat.api.custom.defaults import default
        from bareboat.api.custom.pruning import prune

        prune(tree, self.schema)
        default(tree, self.schema)
