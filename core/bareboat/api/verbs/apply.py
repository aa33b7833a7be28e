"""Server-side apply (KEP-555): the configuration of one applier laid over the live object, or the beginning of a new one.

In: a patch of type ``application/apply-patch+yaml``. Out: the entry. What others own and the configuration would change is a
conflict unless ``force``; what client-side apply left behind passes over to the field manager ``kubectl``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api import ownership
from bareboat.api.conversion import convert_object
from bareboat.api.managed import checking, entries
from bareboat.api.managed.conflicts import Conflicts
from bareboat.api.managed.entries import Managed, Owner
from bareboat.api.managed.manager import FieldManager
from bareboat.api.managed.sets import difference, union
from bareboat.api.managed.walks import compare, named
from bareboat.api.operation import Operation
from bareboat.api.patch import parts
from bareboat.api.strategy import SubresourceStrategy
from bareboat.api.verbs.create import create_object
from bareboat.api.verbs.read import not_found
from bareboat.api.verbs.update import TRIES
from bareboat.api.writing import ChangedRow, changed_row, check_name, conflict, load, write_changed
from bareboat.api.yaml_body import as_one, repeated_keys, yaml_to_json
from bareboat.models.codec import DecodeError, decode, has_duplicates
from bareboat.models.status import AlreadyExists, ApiError, BadRequest, Conflict
from bareboat.store.entry import Entry
from bareboat.store.errors import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service

Tree = dict[str, Any]
APPLY_PATCH = "application/apply-patch+yaml"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: The field manager that takes over what client-side apply owned.
KUBECTL = "kubectl"


async def apply(service: Service, op: Operation, part: SubresourceStrategy | None) -> tuple[Entry, bool]:
    """The entry and whether it is new. Raises ApiError (409 with the conflicts as causes)."""
    config = read_config(op)
    force = op.request.flag("force")
    for _ in range(TRIES):
        current = service.log.newest(op.key(op.info.name))
        if current is None:
            if part is not None or op.info.subresource:
                raise not_found(op)
            try:
                return await _begin(service, op, config), True
            except AlreadyExists:
                continue
        row = await _applied_row(service, op, current, config, part, force=force)
        try:
            return await write_changed(service, op, row), False
        except CompareFailed:
            continue
    raise conflict(op, op.info.name, "too many writers at once; try again")


async def _applied_row(
    service: Service, op: Operation, current: Entry, config: Tree, part: SubresourceStrategy | None, *, force: bool
) -> ChangedRow:
    old = await load(op, current)
    new = applied(op, old, config, part, force=force)
    if new.metadata.resourceVersion and new.metadata.resourceVersion != str(current.revision):
        raise conflict(op, op.info.name)
    return await changed_row(service, op, new, old, current, part, tracked=True)


def read_config(op: Operation) -> Tree:
    """The configuration as a tree that fits its kind. Raises BadRequest, and 500 as upstream for fields that the kind does not have."""
    config = parse_config(op.request.body)
    _check_repeated(op)
    kind, api_version = config.get("kind"), config.get("apiVersion")
    resource = op.resource
    if kind != resource.kind or api_version != resource.api_version:
        raise BadRequest(f"invalid object type: {api_version}, Kind={kind}")
    meta = config.get("metadata")
    if isinstance(meta, dict) and meta.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    found = list(checking.faults(config, ownership.manager_of(op, None).atom))
    if found:
        raise untyped(op, checking.sentence(found))
    return config


def _check_repeated(op: Operation) -> None:
    """Keys that come twice: refused or warned of, as ``fieldValidation`` says. Raises BadRequest."""
    if op.field_validation == "Ignore":
        return
    repeated = repeated_keys(op.request.body) if _may_repeat(op.request.body) else []
    if not repeated:
        return
    text = f"error converting YAML to JSON: {as_one(repeated)}"
    if op.field_validation == "Strict":
        raise BadRequest(f"error strict decoding YAML: {text}")
    op.warnings.append(text)


def _may_repeat(data: bytes) -> bool:
    """False for JSON whose keys all add up: looking closer is slow."""
    try:
        return has_duplicates(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return True


def parse_config(data: bytes) -> Tree:
    """YAML or JSON. Raises BadRequest."""
    try:
        config = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        config = msgspec.json.decode(yaml_to_json(data))
    if not isinstance(config, dict):
        raise BadRequest(
            f"error decoding YAML: json: cannot unmarshal {type(config).__name__} into Go value of type map[string]interface {{}}"
        )
    return config


def untyped(op: Operation, sentence: str) -> ApiError:
    """Upstream answers 500 without a reason."""
    where = f"{op.info.namespace}/{op.info.name}" if op.info.namespace else f"/{op.info.name}"
    return ApiError(
        f"failed to create typed patch object ({where}; {op.resource.api_version}, Kind={op.resource.kind}): {sentence}",
        code=500,
        reason="",
    )


async def _begin(service: Service, op: Operation, config: Tree) -> Entry:
    meta = config.get("metadata") or {}
    if meta.get("uid"):
        because = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
        raise Conflict.of(op.resource.plural, op.info.name, group=op.resource.group, because=because)
    manager = ownership.manager_of(op, None)
    owner = ownership.owner(op, "Apply")
    empty = ownership.empty_tree(op.resource)
    merged, books = manager.applied({}, empty, config, owner, op.clock.timestamp(), force=True)
    obj = _typed(op, merged)
    check_name(op, obj)
    obj.metadata.name = op.info.name
    obj.metadata.managedFields = entries.write(books)
    return await create_object(service, op, obj, tracked=True)


def applied(op: Operation, old: Any, config: Tree, part: SubresourceStrategy | None, *, force: bool) -> Any:
    """The new object with its books, defaulted, in the stored version. Raises ApiError for conflicts."""
    manager, owner, now = ownership.manager_of(op, part), ownership.owner(op, "Apply"), op.clock.timestamp()
    books = ownership.known(old)
    touched = _touched(op, config, books, owner) if books else None
    live = ownership.tree_of(op, old) if touched is None else parts.tree_of(old, touched)
    books = books or manager.adopted(ownership.empty_tree(op.resource), live, op.resource.api_version, now)
    merged, books = _resolved(manager, books, live, config, owner, now, force=force)
    if owner.manager == KUBECTL:
        _refresh_last_applied(live, merged, config)
    new = _typed(op, merged, old, touched)
    check_name(op, new)
    new.metadata.managedFields = entries.write(books)
    return new


def _touched(op: Operation, config: Tree, books: Managed, owner: Owner) -> parts.Touched | None:
    """The parts that the configuration names, or named the last time; None: look at the whole object."""
    if op.custom is not None or not op.same_version or not parts.plain(op.resource.type):
        return None
    last = books.get(owner)
    named = _names(last.fields) if last else {}
    return parts.of_trees(config, named, {"metadata": {"annotations": None}})


def _names(fields: Tree) -> Tree:
    """Of the parts, and of those of metadata."""
    return {name[2:]: {below[2:]: None for below in under} if name == "f:metadata" else None for name, under in fields.items()}


def _resolved(
    manager: FieldManager, books: Managed, live: Tree, config: Tree, owner: Owner, now: str, *, force: bool
) -> tuple[Tree, Managed]:
    try:
        return manager.applied(books, live, config, owner, now, force=force)
    except Conflicts as conflicts:
        left = _less_client_side(manager, conflicts, live) if owner.manager == KUBECTL else conflicts
        if left.owners:
            raise left.error() from conflicts
    return manager.applied(books, live, config, owner, now, force=True)


def _less_client_side(manager: FieldManager, conflicts: Conflicts, live: Tree) -> Conflicts:
    """The conflicts about what was not last written by client-side apply, or was changed since."""
    last = _last_applied(live)
    if last is None:
        return conflicts
    change = compare(last, live, manager.atom)
    changed = union(union(change.added, change.modified), change.removed)
    allowed = difference(named(last, manager.atom), changed)
    left = {owner: fields for owner, taken in conflicts.owners.items() if (fields := difference(taken, allowed))}
    return Conflicts(left)


def _last_applied(live: Tree) -> Tree | None:
    text = live.get("metadata", {}).get("annotations", {}).get(LAST_APPLIED)
    if not text:
        return None
    try:
        last = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return last if isinstance(last, dict) else None


def _refresh_last_applied(live: Tree, merged: Tree, config: Tree) -> None:
    """An object that client-side apply knows gets the applied configuration as its last one, so that going back works."""
    if LAST_APPLIED not in live.get("metadata", {}).get("annotations", {}):
        return
    meta = config.get("metadata") or {}
    notes = {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    kept = {**{k: v for k, v in meta.items() if k != "annotations"}, **({"annotations": notes} if notes else {})}
    text = msgspec.json.encode({**config, "metadata": kept}, order="deterministic").decode() + "\n"
    annotations = {**merged["metadata"].get("annotations", {}), LAST_APPLIED: text}
    merged["metadata"] = {**merged["metadata"], "annotations": annotations}


def _typed(op: Operation, tree: Tree, old: Any = None, touched: parts.Touched | None = None) -> Any:
    """The object of a tree, defaulted. ``touched`` are the parts that the tree has; the others are those of ``old``."""
    if op.custom is not None:
        return op.custom.applied(tree)
    cls: Any = op.resource.type
    try:
        obj = decode(cls, msgspec.json.encode(tree))
    except DecodeError as error:
        raise untyped(op, str(error)) from error
    if touched is not None:
        parts.complete(obj, old, touched)
    if not op.same_version:
        obj = convert_object(tree, op.resource, op.stored)
    op.strategy.default(obj)
    return obj
