"""patch: JSON patch, merge patch, strategic merge patch, on the newest object; re-run when another writer was faster.

A patch that carries a resourceVersion must find exactly that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api import answers
from bareboat.api.body import has_empty_list, media_type
from bareboat.api.conversion import convert_object
from bareboat.api.operation import Operation
from bareboat.api.patch import parts
from bareboat.api.patch.jsonpatch import apply_json_patch
from bareboat.api.patch.merge import apply_merge_patch
from bareboat.api.patch.strategic import apply_strategic_patch
from bareboat.api.request import ApiResponse
from bareboat.api.strategy import SubresourceStrategy
from bareboat.api.verbs.apply import APPLY_PATCH, apply
from bareboat.api.verbs.read import not_found
from bareboat.api.verbs.update import TRIES
from bareboat.api.writing import ChangedRow, changed_row, check_name, conflict, invalid, load, write_changed
from bareboat.models.codec import DecodeError, decode_strict, encode, to_tree
from bareboat.models.status import BadRequest, Cause, Invalid, UnsupportedMediaType
from bareboat.store.entry import Entry
from bareboat.store.errors import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
ACCEPTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
#: Of custom resources: nothing says how their lists would be merged.
CUSTOM_ACCEPTED = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)


async def patch(service: Service, op: Operation) -> ApiResponse:
    return await patch_part(service, op, None)


async def patch_part(service: Service, op: Operation, part: SubresourceStrategy | None) -> ApiResponse:
    """``part`` None is the whole object."""
    form = answers.form_of(op)
    check_options(op)
    if media_type(op.request.content_type) == APPLY_PATCH:
        entry, new = await apply(service, op, part)
        return answers.one(op, await op.shown(entry), form, 201 if new else 200)
    media, document = read_patch(op)
    entry = await _apply(service, op, media, document, part)
    return answers.one(op, await op.shown(entry), form)


def check_options(op: Operation) -> None:
    """An apply names its manager; only an apply may be forced. Raises Invalid."""
    causes = []
    if media_type(op.request.content_type) == APPLY_PATCH:
        if not op.request.first("fieldManager"):
            causes.append(Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager"))
    elif op.request.first("force"):
        causes.append(Cause("FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force"))
    if causes:
        raise Invalid("PatchOptions", "", causes, group="meta.k8s.io")


def read_patch(op: Operation) -> tuple[str, Any]:
    """Content type and the patch as a tree. Raises UnsupportedMediaType, BadRequest."""
    media = media_type(op.request.content_type)
    accepted = ACCEPTED if op.custom is None else CUSTOM_ACCEPTED
    if media not in accepted:
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
        )
    data = op.request.body
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    wanted = list if media == JSON_PATCH else dict
    if not isinstance(document, wanted):
        raise BadRequest(f"error decoding patch: json: cannot unmarshal {type(document).__name__} into Go value of type {_go_name(wanted)}")
    return media, document


def _go_name(wanted: type) -> str:
    return "jsonpatch.Patch" if wanted is list else "map[string]interface {}"


async def _apply(service: Service, op: Operation, media: str, document: Any, part: SubresourceStrategy | None) -> Entry:
    meta = document.get("metadata") if isinstance(document, dict) else None
    pinned = isinstance(meta, dict) and bool(meta.get("resourceVersion"))
    for _ in range(TRIES):
        current = service.log.newest(op.key(op.info.name))
        if current is None:
            raise not_found(op)
        row = await _patched_row(service, op, current, media, document, part)
        try:
            return await write_changed(service, op, row)
        except CompareFailed as error:
            if pinned:
                raise conflict(op, op.info.name) from error
    raise conflict(op, op.info.name, "too many writers at once; try again")


async def _patched_row(
    service: Service, op: Operation, current: Entry, media: str, document: Any, part: SubresourceStrategy | None
) -> ChangedRow:
    old = await load(op, current)
    new = patched(op, old, media, document)
    if new.metadata.resourceVersion and new.metadata.resourceVersion != str(current.revision):
        raise conflict(op, op.info.name)
    return await changed_row(service, op, new, old, current, part)


def patched(op: Operation, old: Any, media: str, document: Any) -> Any:
    """The patched object, defaulted, in the stored version. ``old`` is not changed, but parts of the new object may be its own."""
    if op.custom is not None:
        return op.custom.patched(op, old, media, document)
    cls: Any = op.resource.type
    touched = _touched(op, media, document)
    if touched is not None:
        new = _decoded(op, cls, apply_document(op, cls, parts.tree_of(old, touched), media, document))
        _check_type(op, new, media)
        parts.complete(new, old, touched)
    else:
        base = old if op.same_version else convert_object(to_tree(old), op.stored, op.resource)
        new = _decoded(op, cls, apply_document(op, cls, msgspec.json.decode(encode(base)), media, document))
        _check_type(op, new, media)
    check_name(op, new)
    if not op.same_version:
        new = convert_object(to_tree(new), op.resource, op.stored)
    op.strategy.default(new)
    return new


def _touched(op: Operation, media: str, document: Any) -> parts.Touched | None:
    """The parts that the patch names; None: look at the whole object."""
    if not op.same_version or not parts.plain(op.resource.type):
        return None
    return parts.of_json_patch(document) if media == JSON_PATCH else parts.of_merge(document)


def _decoded(op: Operation, cls: Any, tree: dict[str, Any]) -> Any:
    """Raises Invalid for what does not fit the type."""
    data = msgspec.json.encode(tree)
    op.raw = tree if has_empty_list(data) is not None else None
    try:
        new, faults = decode_strict(cls, data, ours=True)
    except DecodeError as error:
        raise _misfit(op, f"Invalid value: {error}") from error
    if faults and op.field_validation == "Strict":
        raise _misfit(op, f'Invalid value: "": strict decoding error: {", ".join(faults)}')
    if op.field_validation == "Warn":
        op.warnings.extend(f for f in faults if f not in op.warnings)
    return new


def _check_type(op: Operation, new: Any, media: str) -> None:
    """No patch makes another kind of an object: one is refused, or by strategic merge without effect. Raises Invalid."""
    kind, version = op.resource.kind, op.resource.api_version
    if (new.kind, new.apiVersion) != (kind, version) and media != STRATEGIC_PATCH:
        raise _misfit(op, f'Invalid value: "": no kind "{new.kind}" is registered for version "{new.apiVersion}" at this path')
    new.kind, new.apiVersion = kind, version


def _misfit(op: Operation, message: str) -> Invalid:
    return invalid(op, op.info.name, [Cause("FieldValueInvalid", message, "patch")])


def apply_document(op: Operation, cls: Any, tree: dict[str, Any], media: str, document: Any) -> dict[str, Any]:
    if media == JSON_PATCH:
        return apply_json_patch(tree, document)
    if media == MERGE_PATCH:
        merged: dict[str, Any] = apply_merge_patch(tree, document)
        return merged
    return apply_strategic_patch(cls, tree, document)
