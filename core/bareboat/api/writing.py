"""What every write has in common after its verb has made the new object: admission, validation, encoding, the log.

In: a Struct of the stored version. Out: the entry that is now in the log (or would be, on a dry run).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from bareboat.api import ownership
from bareboat.api.custom.rows import START
from bareboat.api.kinds.metadata import validate_metadata_create, validate_metadata_update
from bareboat.api.operation import Operation
from bareboat.api.strategy import SubresourceStrategy, WriteContext
from bareboat.contracts.admission import AdmissionRequest
from bareboat.contracts.admission import Operation as AdmissionOperation
from bareboat.models.codec import DecodeError, decode, encode, encode_with
from bareboat.models.status import AlreadyExists, BadRequest, Cause, Conflict, Invalid
from bareboat.store.entry import PREFIX, Entry, head, serve, strip
from bareboat.store.errors import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.allocation.services import Plan
    from bareboat.api.service import Service

#: Events are kept this long, in seconds.
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def admission_request(op: Operation, verb: AdmissionOperation, obj: Any, old: Any, name: str = "") -> AdmissionRequest:
    meta = (obj if obj is not None else old).metadata if obj is not None or old is not None else None
    return AdmissionRequest(
        operation=verb,
        group=op.resource.group,
        version=op.resource.version,
        resource=op.resource.plural,
        subresource=op.info.subresource,
        kind=op.resource.kind,
        namespace=op.info.namespace,
        name=name or op.info.name or (meta.name if meta is not None else ""),
        user=op.request.user,
        object=obj,
        old=old,
        options=_options(op, verb),
        dry_run=op.dry_run,
        warnings=op.warnings,
        annotations={} if op.request.trail is None else op.request.trail.annotations,
    )


_BARE = {f"{name}Options": {"kind": f"{name}Options", "apiVersion": "meta.k8s.io/v1"} for name in ("Create", "Update", "Patch", "Delete")}
_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


def _options(op: Operation, verb: AdmissionOperation) -> dict[str, Any]:
    """The verb's options as webhooks see them; nobody writes to them."""
    kind = "PatchOptions" if op.info.verb == "patch" and verb == "UPDATE" else _OPTIONS.get(verb)
    if kind is None:
        return {}
    query = op.request.query
    if not query:
        return _BARE[kind]
    found: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if "dryRun" in query:
        found["dryRun"] = query["dryRun"]
    for name in ("fieldManager", "fieldValidation"):
        if name in query and kind != "DeleteOptions":
            found[name] = query[name][0]
    return found


async def stored_bytes(op: Operation, obj: Any) -> bytes:
    """Canonical bytes without kind, apiVersion and resourceVersion."""
    return _stored(op, obj) if op.custom is None else await op.custom.row(obj)


def _stored(op: Operation, obj: Any, spec: bytes = b"") -> bytes:
    """Of a built-in kind. ``spec``: that of the object, encoded."""
    obj.metadata.resourceVersion = ""
    data = encode_with(obj, "spec", spec) if spec else encode(obj)
    return b"{" + data[len(head(op.stored.kind, op.stored.api_version)) :]


def shown(op: Operation, stored: bytes, revision: int, created: int, key: str) -> Entry:
    """The entry of a dry run: like one from the log, in no log."""
    start = head(op.stored.kind, op.stored.api_version) if op.custom is None else START
    data = serve(start, revision, stored) if revision else start + stored[1:]
    return Entry(key, revision, created, data)


async def load(op: Operation, entry: Entry) -> Any:
    """The stored object, decoded."""
    if op.custom is not None:
        return await op.custom.load(entry)
    cls: Any = op.stored.type
    return decode(cls, entry.data)


def unchanged(op: Operation, stored: bytes, current: Entry) -> bool:
    """Whether ``stored`` says what is there already. An object that would be spelled otherwise today is written anew."""
    start = START if op.custom is not None else head(op.stored.kind, op.stored.api_version)
    if len(serve(start, current.revision, b"")) + len(stored) - len(PREFIX) != len(current.data):
        return False
    return stored == strip(start, current.revision, current.data)


def invalid(op: Operation, name: str, causes: list[Cause]) -> Invalid:
    return Invalid(op.resource.kind, name, causes, group=op.resource.group)


class NewRow(NamedTuple):
    """What is written of a new object. Whoever waits for the log holds this, and the object is let go while it is still in the
    processor's caches. ``ended``: see AdmissionRequest."""

    key: str
    stored: bytes
    allocation: Plan
    ended: list[Callable[[], None]]


async def new_row(service: Service, op: Operation, obj: Any, *, tracked: bool = False) -> NewRow:
    """Admission, metadata and validation of a new object, already defaulted. It has to be written next, however that goes.

    ``tracked``: the object has its managedFields already.
    """
    if not tracked:
        ownership.track_new(op, obj)
    request = admission_request(op, "CREATE", obj, None)
    await service.admission.mutate(request)
    obj = request.object
    context = op.context()
    op.strategy.prepare_create(obj, context)
    op.warnings.extend(context.warnings)
    allocation = service.allocations.plan(op.stored.key, obj, None)
    causes = allocation.causes
    if causes:
        raise invalid(op, obj.metadata.name, causes)
    verdict = op.strategy.judge(obj)
    causes = validate_metadata_create(obj.metadata, op.stored, op.strategy) + context.causes + verdict.causes
    if causes:
        raise invalid(op, obj.metadata.name, causes)
    op.warnings.extend(verdict.warnings)
    key = op.key(obj.metadata.name, obj.metadata.namespace)
    stored = _stored(op, obj, verdict.spec) if op.custom is None else await op.custom.row(obj)
    # what validators do to the object is too late: the bytes are made
    checked = request if request.name == obj.metadata.name else admission_request(op, "CREATE", obj, None)
    try:
        await service.admission.validate(checked)
    except BaseException:
        _end(checked.ended)
        raise
    return NewRow(key, stored, allocation, checked.ended)


async def write_new(service: Service, op: Operation, new: NewRow) -> Entry:
    """The log for a new object. Raises AlreadyExists (retried by generateName)."""
    key, stored, allocation, ended = new
    try:
        if op.dry_run:
            if service.log.newest(key) is not None:
                raise already_exists(op, key)
            return shown(op, stored, 0, 0, key)
        expires = op.clock.now().timestamp() + service.event_seconds if op.stored.key == "core/events" else 0.0
        with allocation:
            return await service.log.write(key, stored, expect=0, expires_at=expires, guards=allocation.guards)
    except CompareFailed as error:
        raise already_exists(op, key) from error
    finally:
        _end(ended)


def _end(ended: list[Callable[[], None]]) -> None:
    """Tell the plugins that wanted to know that the write is over, however it went."""
    for tell in ended:
        tell()


def already_exists(op: Operation, key: str) -> AlreadyExists:
    return AlreadyExists.of(op.resource.plural, key.rpartition("/")[2], group=op.resource.group)


def conflict(op: Operation, name: str, because: str = MODIFIED) -> Conflict:
    return Conflict.of(op.resource.plural, name, group=op.resource.group, because=because)


class ChangedRow(NamedTuple):
    """What is written over ``current``, as in NewRow. ``gone``: the object is removed by it."""

    current: Entry
    stored: bytes
    gone: bool
    allocation: Plan
    ended: list[Callable[[], None]]


async def changed_row(
    service: Service,
    op: Operation,
    new: Any,
    old: Any,
    current: Entry,
    part: SubresourceStrategy | None = None,
    *,
    tracked: bool = False,
    admitted: bool = False,
) -> ChangedRow:
    """``new_row`` for a changed object. ``admitted``: as the object that the subresource takes."""
    name = current.key.rpartition("/")[2]
    _keep_identity(op, new, old)
    if not tracked:
        ownership.track_change(op, new, old, part)
    if op.request.trail is not None:
        op.request.trail.saw(new)
    request = None
    if not admitted:
        request = admission_request(op, "UPDATE", new, old, name)
        await service.admission.mutate(request)
        new = request.object
    context: WriteContext = op.context()
    (part or op.strategy).prepare_update(new, old, context)
    ownership.settle(new, old)
    op.warnings.extend(context.warnings)
    allocation = service.allocations.plan(op.stored.key, new, old)
    causes = allocation.causes or (
        validate_metadata_update(new.metadata, old.metadata, op.strategy) + context.causes + (part or op.strategy).validate_update(new, old)
    )
    if causes:
        raise invalid(op, name, causes)
    if part is None:
        op.warnings.extend(op.strategy.warnings(new, old))
    gone = finished(op, new)
    stored = await _bytes_of_change(op, new)
    if request is None:
        return ChangedRow(current, stored, gone, allocation, [])
    try:  # what validators do to the object is too late: the bytes are made
        await service.admission.validate(request)
    except BaseException:
        _end(request.ended)
        raise
    return ChangedRow(current, stored, gone, allocation, request.ended)


async def write_changed(service: Service, op: Operation, row: ChangedRow) -> Entry:
    """The log for it. Raises CompareFailed if ``current`` is no longer the newest; the verb decides what then."""
    try:
        return await _put_changed(service, op, row)
    finally:
        _end(row.ended)


async def _bytes_of_change(op: Operation, new: Any) -> bytes:
    """Admission still sees the revision that the client gave."""
    revision = new.metadata.resourceVersion
    stored = await stored_bytes(op, new)
    new.metadata.resourceVersion = revision
    return stored


async def _put_changed(service: Service, op: Operation, row: ChangedRow) -> Entry:
    current, stored, gone, allocation, _ = row
    if op.dry_run or (not service.log.stale(current.key) and unchanged(op, stored, current)):
        current = await service.log.settled(current)
        return shown(op, stored, current.revision, current.created, current.key) if op.dry_run else current
    if gone:
        with allocation:
            return await service.log.write(current.key, None, expect=current.revision)
    with allocation:
        return await service.log.write(
            current.key, stored, expect=current.revision, expires_at=current.expires_at, guards=allocation.guards
        )


def finished(op: Operation, obj: Any) -> bool:
    """A deleted object that nothing holds any more: the write that shows it removes it."""
    meta = obj.metadata
    if not meta.deletionTimestamp or meta.finalizers or meta.deletionGracePeriodSeconds:
        return False
    return not (op.stored.key == "core/namespaces" and obj.spec.finalizers)


def _keep_identity(op: Operation, new: Any, old: Any) -> None:
    """What the server sets on metadata stays as it is; a missing uid is filled in, a wrong one is a conflict."""
    meta, was = new.metadata, old.metadata
    if meta.uid and meta.uid != was.uid:
        because = f"Precondition failed: UID in precondition: {meta.uid}, UID in object meta: {was.uid}"
        raise conflict(op, was.name, because)
    meta.uid = was.uid
    meta.name = meta.name or was.name
    meta.namespace = was.namespace
    meta.creationTimestamp = was.creationTimestamp
    meta.generation = was.generation
    meta.selfLink = ""
    meta.deletionTimestamp = was.deletionTimestamp
    meta.deletionGracePeriodSeconds = was.deletionGracePeriodSeconds
    meta.generateName = meta.generateName or was.generateName


def decode_tree(op: Operation, cls: Any, data: bytes, kind: str) -> Any:
    """A patched object's bytes as a Struct; what no longer fits the type is the client's fault."""
    try:
        return decode(cls, data)
    except DecodeError as error:
        raise BadRequest(str(error)) from error


def check_name(op: Operation, obj: Any) -> None:
    """Name and namespace of the body against those of the path. Raises BadRequest."""
    meta, info = obj.metadata, op.info
    if op.resource.namespaced and info.namespace:
        if meta.namespace and meta.namespace != info.namespace:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
        meta.namespace = info.namespace
    elif not op.resource.namespaced:
        meta.namespace = ""
    if info.name and not meta.name and info.verb in ("update", "patch"):
        raise BadRequest(f"the name of the object ({info.name} based on URL) was undeterminable: name must be provided")
    if info.name and meta.name and meta.name != info.name:
        raise BadRequest(f"the name of the object ({meta.name}) does not match the name on the URL ({info.name})")
