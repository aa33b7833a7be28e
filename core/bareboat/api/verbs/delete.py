"""delete and deletecollection: preconditions, grace, finalizers, propagation; one way for one object or many.

An object with finalizers, or one whose kind waits for its agent (pods), is marked with a deletionTimestamp and goes when the
last finalizer or the grace is gone. Otherwise it goes at once.
"""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api import answers, body
from bareboat.api.operation import Operation
from bareboat.api.request import ApiRequest, ApiResponse
from bareboat.api.verbs.read import not_found
from bareboat.api.verbs.select import matcher
from bareboat.api.verbs.update import TRIES
from bareboat.api.writing import admission_request, conflict, finished, load, shown, stored_bytes, unchanged
from bareboat.api.yaml_body import yaml_to_json
from bareboat.base.clock import rfc3339
from bareboat.models import meta_v1
from bareboat.models.status import BadRequest, Cause, Invalid, NotFound
from bareboat.store.entry import Entry
from bareboat.store.errors import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
#: Kinds whose delete answers with the object rather than a Status, as upstream.
RETURN_OBJECT = frozenset(
    {
        "core/pods",
        "core/persistentvolumes",
        "core/persistentvolumeclaims",
        "core/podtemplates",
        "core/resourcequotas",
        "core/serviceaccounts",
        "core/services",
    }
)
_POLICIES = ("Orphan", "Background", "Foreground")


async def delete(service: Service, op: Operation) -> ApiResponse:
    form = answers.form_of(op)
    options = read_options(op)
    _warn(op, options)
    entry, gone, uid = await delete_object(service, op, op.info.name, options)
    if gone and op.stored.key not in RETURN_OBJECT:
        details = {"name": op.info.name, "group": op.resource.group, "kind": op.resource.plural, "uid": uid}
        return answers.tree(answers.success({k: v for k, v in details.items() if v}), form)
    return answers.one(op, await op.shown(entry), form)


async def delete_collection(service: Service, op: Operation) -> ApiResponse:
    """Every object that the selectors match; objects that go meanwhile are fine."""
    form = answers.form_of(op)
    options = read_options(op)
    _warn(op, options)
    test = matcher(op)
    entries = [e for e in await op.seen(list(service.log.scan(op.prefix))) if test is None or test(e.data)]
    shown_bytes = []
    for entry in entries:
        _, namespace, name = entry.key.rsplit("/", 2)
        try:
            deleted, _, _ = await delete_object(service, op, name, options, namespace)
        except NotFound:
            continue
        shown_bytes.append(await op.shown(deleted))
    return answers.many(op, shown_bytes, {"resourceVersion": str(service.log.head)}, form)


def _warn(op: Operation, options: meta_v1.DeleteOptions) -> None:
    if op.strategy.orphans_warning and _policy(options) is None:
        op.warnings.append(op.strategy.orphans_warning)


def read_options(op: Operation) -> meta_v1.DeleteOptions:
    """From the body if there is one, else from the query. Raises BadRequest, Invalid."""
    request = op.request
    if request.body:
        media = body.media_type(request.content_type)
        if media == body.PROTOBUF:
            options: Any = body.read(op, meta_v1.DeleteOptions, "DeleteOptions", "v1")
        else:
            options = _read_json(op, request, media)
    else:
        options = meta_v1.DeleteOptions(propagationPolicy=request.first("propagationPolicy") or None)
        if request.first("gracePeriodSeconds"):
            options.gracePeriodSeconds = op.number("gracePeriodSeconds")
        if request.first("orphanDependents"):
            options.orphanDependents = request.flag("orphanDependents")
    if options.dryRun:
        request.query["dryRun"] = list(options.dryRun)
    _check_options(options)
    return options  # type: ignore[no-any-return]


def _read_json(op: Operation, request: ApiRequest, media: str) -> Any:
    data = yaml_to_json(request.body) if media == body.YAML else request.body
    try:
        found = msgspec.json.decode(data) if data.strip() else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(found, dict) or found.get("kind", "DeleteOptions") not in ("DeleteOptions", ""):
        raise BadRequest(f"the body of a delete must be DeleteOptions, not {found.get('kind') if isinstance(found, dict) else found!r}")
    found.pop("apiVersion", None)
    op.request = copy.copy(request)
    op.request.body = msgspec.json.encode(found)
    op.request.content_type = body.JSON
    return body.read(op, meta_v1.DeleteOptions, "DeleteOptions", "v1")


def _check_options(options: meta_v1.DeleteOptions) -> None:
    causes = []
    if options.propagationPolicy is not None and options.orphanDependents is not None:
        message = "Invalid value: orphanDependents and deletionPropagation cannot be both set"
        causes.append(Cause("FieldValueInvalid", message, "propagationPolicy"))
    if options.propagationPolicy is not None and options.propagationPolicy not in _POLICIES:
        supported = '"Background", "Foreground", "Orphan"'
        message = f'Unsupported value: "{options.propagationPolicy}": supported values: {supported}'
        causes.append(Cause("FieldValueNotSupported", message, "propagationPolicy"))
    if causes:
        raise Invalid("DeleteOptions", "", causes, group="meta.k8s.io")


async def delete_object(
    service: Service,
    op: Operation,
    name: str,
    options: meta_v1.DeleteOptions,
    namespace: str | None = None,
    *,
    admitted: bool = False,
) -> tuple[Entry, bool, str]:
    """The object's last entry, whether it is gone, and its uid. ``admitted``: as something else. Raises NotFound, Conflict."""
    for _ in range(TRIES):
        current = service.log.newest(op.key(name, namespace))
        if current is None:
            raise not_found(op, name)
        old = await load(op, current)
        _check_preconditions(op, old, current, options)
        if not admitted:
            await service.admission.admit(admission_request(op, "DELETE", None, old, name))
        try:
            return await _delete_once(service, op, current, old, options)  # nobody looks at the old one any more: it is marked
        except CompareFailed:
            continue
    raise conflict(op, name, "too many writers at once; try again")


async def _delete_once(
    service: Service, op: Operation, current: Entry, new: Any, options: meta_v1.DeleteOptions
) -> tuple[Entry, bool, str]:
    uid = new.metadata.uid
    mark(op, new, options)
    gone = finished(op, new) if new.metadata.deletionTimestamp else True
    if op.dry_run:
        return shown(op, await stored_bytes(op, new), current.revision, current.created, current.key), gone, uid
    if gone:
        return await service.log.write(current.key, None, expect=current.revision), True, uid
    stored = await stored_bytes(op, new)
    if unchanged(op, stored, current):
        return await service.log.settled(current), False, uid
    return await service.log.write(current.key, stored, expect=current.revision, expires_at=current.expires_at), False, uid


def mark(op: Operation, obj: Any, options: meta_v1.DeleteOptions) -> None:
    """Set finalizers by propagation policy, then deletionTimestamp and grace if something still holds the object."""
    meta = obj.metadata
    if not meta.deletionTimestamp:
        op.strategy.prepare_delete(obj, op.context())
    _set_propagation(meta, options, orphans=op.strategy.orphans)
    grace = op.strategy.grace_seconds(obj, options.gracePeriodSeconds) if op.strategy.graceful else 0
    if options.gracePeriodSeconds is not None and options.gracePeriodSeconds < 0 and op.strategy.graceful:
        grace = 1
    held = bool(meta.finalizers) or grace > 0 or (op.stored.key == "core/namespaces" and bool(obj.spec.finalizers))
    if meta.deletionTimestamp:
        before = meta.deletionGracePeriodSeconds or 0
        if grace < before:  # a grace period only gets shorter
            meta.deletionGracePeriodSeconds = grace
            meta.deletionTimestamp = rfc3339(op.clock.now() + timedelta(seconds=grace))
        return
    if not held:
        return
    meta.deletionTimestamp = rfc3339(op.clock.now() + timedelta(seconds=grace))
    meta.deletionGracePeriodSeconds = grace
    if meta.generation:
        meta.generation += 1
    if op.stored.key == "core/namespaces":
        obj.status.phase = "Terminating"


def _policy(options: meta_v1.DeleteOptions) -> str | None:
    if options.orphanDependents is not None:
        return "Orphan" if options.orphanDependents else "Background"
    return options.propagationPolicy


def _set_propagation(meta: Any, options: meta_v1.DeleteOptions, *, orphans: bool) -> None:
    """What the client says, else what a finalizer says already, else as the kind does."""
    policy = _policy(options)
    if policy is None:
        if not orphans or ORPHAN in meta.finalizers or FOREGROUND in meta.finalizers:
            return
        policy = "Orphan"
    wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy)
    kept = [f for f in meta.finalizers if f not in (ORPHAN, FOREGROUND)]
    meta.finalizers = [*kept, wanted] if wanted else kept


def _check_preconditions(op: Operation, old: Any, current: Entry, options: meta_v1.DeleteOptions) -> None:
    wanted = options.preconditions
    if wanted is None:
        return
    meta = old.metadata
    if wanted.uid is not None and wanted.uid != meta.uid:
        raise conflict(op, meta.name, f"Precondition failed: UID in precondition: {wanted.uid}, UID in object meta: {meta.uid}")
    if wanted.resourceVersion is not None and wanted.resourceVersion != str(current.revision):
        have = f"ResourceVersion in object meta: {current.revision}"
        raise conflict(op, meta.name, f"Precondition failed: ResourceVersion in precondition: {wanted.resourceVersion}, {have}")
