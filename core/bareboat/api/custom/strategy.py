"""What a custom kind adds to the verbs: defaults, what clients may not set, validation, ratcheting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bareboat.api.custom.checks import check, duplicates
from bareboat.api.custom.definition import Version
from bareboat.api.custom.embedded import embedded
from bareboat.api.custom.jsonpath import JsonPath
from bareboat.api.custom.scaling import scale_faults
from bareboat.api.custom.schema import MISSING
from bareboat.api.kinds.causes import invalid
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models.custom import CustomObject, to_tree
from bareboat.models.status import Cause

_BLOCKING = frozenset({"FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"})
#: Faults that an answer lists.
_MOST_TOLD = 1000
_UNCHECKED = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"


class CustomStrategy(Strategy):
    """Of one version."""

    allow_unconditional_update = False
    known_finalizers = False

    def __init__(self, version: Version) -> None:
        self.version = version
        self.reset_fields = ("status",) if version.has_status else ()
        self.subresources = {"status": CustomStatus(version)} if version.has_status else {}
        self.selectable = {path: _reader(path) for path in version.selectable}

    def default(self, obj: CustomObject) -> None:
        self.version.complete(obj.content)

    def prepare_create(self, obj: CustomObject, ctx: WriteContext) -> None:
        self.default(obj)
        if self.version.has_status:
            obj.content.pop("status", None)
        obj.metadata.generation = 1

    def prepare_update(self, new: CustomObject, old: CustomObject, ctx: WriteContext) -> None:
        self.default(new)
        skipped: tuple[str, ...] = ()
        if self.version.has_status:
            _keep(new, old, "status")
            skipped = ("status",)
        if _without(new.content, skipped) != _without(old.content, skipped):
            new.metadata.generation = old.metadata.generation + 1

    def validate_create(self, obj: CustomObject) -> list[Cause]:
        return faults(self.version, obj, None)

    def validate_update(self, new: CustomObject, old: CustomObject) -> list[Cause]:
        return faults(self.version, new, old)


class CustomStatus(SubresourceStrategy):
    """``/status``: nothing but the status changes."""

    reset_fields = ("spec", "metadata")

    def __init__(self, version: Version) -> None:
        self.version = version

    def prepare_update(self, new: CustomObject, old: CustomObject, ctx: WriteContext) -> None:
        self.version.complete(new.content)
        status = {"status": new.content["status"]} if "status" in new.content else {}
        managed = new.metadata.managedFields
        new.content = {**_without(old.content, ("status",)), **status}
        for name in ("labels", "annotations", "finalizers", "ownerReferences", "generation", "generateName"):
            setattr(new.metadata, name, getattr(old.metadata, name))
        new.metadata.managedFields = managed

    def validate_update(self, new: CustomObject, old: CustomObject) -> list[Cause]:
        return faults(self.version, new, old)


def _keep(new: CustomObject, old: CustomObject, name: str) -> None:
    if name in old.content:
        new.content[name] = old.content[name]
    else:
        new.content.pop(name, None)


def _without(content: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def _reader(path: str) -> Callable[[CustomObject], str]:
    compiled = JsonPath("." + path)

    def read(obj: CustomObject) -> str:
        found = compiled.find(obj.content)
        if not found or found[0] is None:
            return ""
        value = found[0]
        return str(value).lower() if isinstance(value, bool) else str(value)

    return read


def faults(version: Version, new: CustomObject, old: CustomObject | None) -> list[Cause]:
    """No more of them than help anybody."""
    found = _faults(version, new, old)
    if len(found) <= _MOST_TOLD:
        return found
    more = f"Invalid value: null: {len(found) - _MOST_TOLD} more faults are not shown"
    return [*found[:_MOST_TOLD], Cause("FieldValueInvalid", more, "")]


def _faults(version: Version, new: CustomObject, old: CustomObject | None) -> list[Cause]:
    """Schema, embedded resources, lists that are sets or maps, rules: in that order, rules only on what is whole."""
    tree, before = _view(new), MISSING if old is None else _view(old)
    schema = version.schema
    causes = _type(version, new) + check(tree, schema, "", before) + scale_faults(version, new) + list(embedded(new.content, schema))
    twice = list(duplicates(tree, schema))
    if twice and (old is None or not any(duplicates(before, schema))):
        causes += twice
    if not version.rules.some:
        return causes
    if any(cause.type in _BLOCKING for cause in causes):
        return [*causes, Cause("FieldValueInvalid", f"Invalid value: null: {_UNCHECKED}", "")]
    return causes + version.rules.faults(tree, before)


def _view(obj: CustomObject) -> dict[str, Any]:
    """The tree that rules and schema see: of metadata only the names."""
    tree = to_tree(obj)
    meta = obj.metadata
    tree["metadata"] = {k: v for k, v in (("name", meta.name), ("generateName", meta.generateName)) if v}
    return tree


def _type(version: Version, obj: CustomObject) -> list[Cause]:
    if obj.kind == version.definition.kind:
        return []
    return [invalid("kind", obj.kind, f"must be {version.definition.kind}")]
