"""managedFields of requests: who the writer is, and the books of an object that an operation is about to write.

In: an operation and the object as the client wants it, before admission and before the strategy. Out: the object with its
managedFields. `api.managed` does the work; this knows requests, versions and strategies.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from bareboat.api.conversion import convert_object
from bareboat.api.managed import atoms, creation, entries, sets
from bareboat.api.managed.entries import Managed, Owner
from bareboat.api.managed.manager import FieldManager
from bareboat.api.managed.walks import NoKey
from bareboat.api.operation import Operation
from bareboat.api.patch import parts
from bareboat.api.strategy import SubresourceStrategy
from bareboat.base.memo import remembered
from bareboat.models.codec import to_tree
from bareboat.models.scheme import Resource, load_type
from bareboat.models.status import Cause, Invalid

Tree = dict[str, Any]

#: Characters of a manager's name at most.
MOST = 128
#: What anybody may own of metadata: nothing that the server keeps for itself.
_OWNED = ("generateName", "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers")
_specs, _shapes = creation.Specs(), creation.Shapes()
_OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def owner(op: Operation, operation: str = "Update") -> Owner:
    """From ``fieldManager``, else from the first word of the user agent. Raises Invalid for a name that is none."""
    name = op.request.first("fieldManager")
    if not name:
        return Owner(_named_by(op.request.user_agent), operation, op.resource.api_version, op.info.subresource)
    causes = []
    if len(name.encode()) > MOST:
        causes.append(Cause("FieldValueTooLong", f"Too long: may not be more than {MOST} bytes", "fieldManager"))
    if not name.isprintable():
        message = f'Invalid value: "{name}": should only contain printable characters'
        causes.append(Cause("FieldValueInvalid", message, "fieldManager"))
    if causes:
        raise Invalid(_OPTIONS.get(op.info.verb, "PatchOptions"), "", causes, group="meta.k8s.io")
    return Owner(name, operation, op.resource.api_version, op.info.subresource)


@remembered(1024)
def _named_by(user_agent: str) -> str:
    return "".join(c for c in user_agent.split("/")[0] if c.isprintable())[:MOST]


def manager_of(op: Operation, part: SubresourceStrategy | None) -> FieldManager:
    reset = (part or op.strategy).reset_fields
    if op.custom is not None:
        return FieldManager(op.custom.version.atom, sets.of(*reset))
    return _manager(op.resource.type_key, reset)


@cache
def _manager(type_key: str, reset: tuple[str, ...]) -> FieldManager:
    return FieldManager(atoms.of_type(type_key), sets.of(*reset))


def track_new(op: Operation, obj: Any) -> None:
    """Of an object that is about to be created."""
    short = _short(op, obj)
    if short is not None:
        obj.metadata.managedFields = [entries.entry(owner(op), op.clock.timestamp(), short)] if short else []
        return
    books = _given(obj, None)
    new = _sent(op, tree_of(op, obj))
    books = manager_of(op, None).updated(books, empty_tree(op.resource), new, owner(op), op.clock.timestamp())
    obj.metadata.managedFields = entries.write(books)


def _short(op: Operation, obj: Any) -> msgspec.Raw | None:
    """The fields of an object with ordinary metadata, in order; nothing if it has none; None for any other."""
    if op.custom is not None or not op.same_version or op.raw is not None or obj.metadata.managedFields:
        return None
    metadata = creation.of_metadata(obj.metadata)
    if metadata is None:
        return None
    try:
        return creation.joined({**metadata, **_beside_metadata(op, obj)})
    except NoKey:
        return msgspec.Raw()


def _beside_metadata(op: Operation, obj: Any) -> creation.Parts:
    """Raises NoKey."""
    template = op.template
    if template is not None and template.fields is not None:
        return template.fields
    flat = _flat(op.resource.type_key, op.strategy.reset_fields)
    if flat is not None:
        return flat.fields(obj)
    spec, plain, empty = getattr(obj, "spec", None), _plain(obj.__class__), empty_tree(op.resource)
    manager = manager_of(op, None)

    def walked() -> creation.Parts:
        return creation.spelled(manager.gained(_beside(empty), _beside(tree_of(op, obj))))

    if not isinstance(spec, msgspec.Struct):
        return _shapes.fields(manager, obj, _nothing(obj.__class__), walked)
    if any(getattr(obj, name) != value for name, value in plain.items()):
        return walked()
    fields = _specs.fields(manager, spec, empty.get("spec"), lambda: to_tree(spec))
    if template is not None:
        template.fields = fields
    return fields


@cache
def _flat(type_key: str, reset: tuple[str, ...]) -> creation.Flat | None:
    return creation.flat(load_type(type_key), _beside(_empty(type_key)), _manager(type_key, reset))


def _beside(tree: Tree) -> Tree:
    """All but what every kind has."""
    return {name: value for name, value in tree.items() if name not in ("apiVersion", "kind", "metadata")}


@cache
def _nothing(cls: Any) -> Any:
    """An empty object."""
    return cls()


@cache
def _plain(cls: Any) -> dict[str, Any]:
    """The parts beside metadata and spec, as they are when nothing is in them."""
    empty = _nothing(cls)
    names = (field.name for field in msgspec.structs.fields(cls))
    return {name: getattr(empty, name) for name in names if name not in ("kind", "apiVersion", "metadata", "spec")}


def track_change(op: Operation, new: Any, old: Any, part: SubresourceStrategy | None) -> None:
    """Of an object that is about to be changed. Where nobody keeps books nobody begins."""
    if part is None and entries.is_reset(new.metadata.managedFields):
        new.metadata.managedFields = []
        return
    were = old.metadata.managedFields
    own = part is None and new.metadata.managedFields != were
    books = _given(new, old) if own else known(old)
    if not books:
        new.metadata.managedFields = []
        return
    before, after = parts.what_differs(old, new, _OWNED) if _comparable(op) else _whole(op, new, old)
    changed = manager_of(op, part).updated(books, before, after, owner(op), op.clock.timestamp())
    new.metadata.managedFields = were if changed is books and not own else entries.write(changed)


def _comparable(op: Operation) -> bool:
    """Whether equal parts need no look: nothing is spelled otherwise for the client than it is stored."""
    return op.custom is None and op.same_version and op.raw is None and parts.plain(op.stored.type)


def _whole(op: Operation, new: Any, old: Any) -> tuple[Tree, Tree]:
    """Both as trees, the old one first."""
    return tree_of(op, old), _sent(op, tree_of(op, new))


def settle(new: Any, old: Any) -> None:
    """Books that differ in their times only stay as they were: the write may be none at all."""
    mine, were = new.metadata.managedFields, old.metadata.managedFields
    if mine is not were and len(mine) == len(were) and mine != were and entries.timeless(mine) == entries.timeless(were):
        new.metadata.managedFields = were


def known(obj: Any) -> Managed:
    """The books of a stored object; broken ones count as none."""
    return _understood(obj, ours=True)


def _understood(obj: Any, *, ours: bool) -> Managed:
    try:
        return entries.read(obj.metadata.managedFields, ours=ours)
    except entries.BadEntry:
        return {}


def _given(new: Any, old: Any | None) -> Managed:
    """What the client says of ownership, if it says something that can be understood; else what was."""
    if old is None or new.metadata.managedFields:
        books = _understood(new, ours=False)
        if books or old is None:
            return books
    return known(old)


def tree_of(op: Operation, obj: Any) -> Tree:
    """The object in the requested version, without its managedFields."""
    if not op.same_version:
        obj = convert_object(to_tree(obj), op.stored, op.resource)
    kept = obj.metadata.managedFields
    obj.metadata.managedFields = []
    tree = to_tree(obj)
    obj.metadata.managedFields = kept
    return tree


def _sent(op: Operation, tree: Tree) -> Tree:
    """With the empty lists that the client sent and that a typed object holds as null: to name them is to own them."""
    if op.raw is not None:
        _restore(tree, op.raw)
    return tree


def _restore(tree: Any, raw: Any) -> None:
    if isinstance(raw, dict) and isinstance(tree, dict):
        for name, value in raw.items():
            if value == [] and name in tree and tree[name] is None:
                tree[name] = []
            elif value and isinstance(value, (dict, list)):
                _restore(tree.get(name), value)
    elif isinstance(raw, list) and isinstance(tree, list) and len(raw) == len(tree):
        for below, value in zip(tree, raw, strict=True):
            _restore(below, value)


def empty_tree(resource: Resource) -> Tree:
    """The kind's canonical empty object: what a new object is compared with."""
    if resource.custom:
        return {"apiVersion": resource.api_version, "kind": resource.kind}
    return _empty(resource.type_key)


@cache
def _empty(type_key: str) -> Tree:
    return to_tree(load_type(type_key)())
