"""update: the whole object, or one part of it through a subresource.

With a resourceVersion it must still be the newest; without one (where the kind allows it) the write goes on top of whatever
is newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bareboat.api import answers
from bareboat.api.operation import Operation
from bareboat.api.patch.replacing import replacement
from bareboat.api.request import ApiResponse
from bareboat.api.strategy import SubresourceStrategy
from bareboat.api.verbs.create import create_object, read_object
from bareboat.api.verbs.read import not_found
from bareboat.api.writing import ChangedRow, changed_row, check_name, conflict, invalid, load, write_changed
from bareboat.models.status import BadRequest, Cause, Conflict
from bareboat.store.entry import Entry
from bareboat.store.errors import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service

#: Tries of a write that names no revision and loses races.
TRIES = 20


async def update(service: Service, op: Operation) -> ApiResponse:
    return await update_part(service, op, None)


async def update_part(service: Service, op: Operation, part: SubresourceStrategy | None) -> ApiResponse:
    """``part`` None is the whole object."""
    form = answers.form_of(op)
    current = service.log.newest(op.key(op.info.name))
    if current is None:
        obj = read_object(op)
        check_name(op, obj)
        if part is None and op.strategy.allow_create_on_update and not obj.metadata.resourceVersion:
            return answers.one(op, await op.shown(await create_object(service, op, obj)), form, 201)
        raise not_found(op)
    entry = await _replace(service, op, current, part)
    return answers.one(op, await op.shown(entry), form)


async def _replace(service: Service, op: Operation, current: Entry | None, part: SubresourceStrategy | None) -> Entry:
    """Write the body over the newest state. Raises Conflict, Invalid."""
    warned = len(op.warnings)
    for _ in range(TRIES):
        if current is None:
            raise not_found(op)
        del op.warnings[warned:]
        row, wanted = await _replacing_row(service, op, current, part)
        try:
            return await write_changed(service, op, row)
        except CompareFailed as error:
            if wanted:
                raise conflict(op, op.info.name) from error
        current = service.log.newest(op.key(op.info.name))
    raise Conflict.of(op.resource.plural, op.info.name, group=op.resource.group, because="too many writers at once; try again")


async def _replacing_row(service: Service, op: Operation, current: Entry, part: SubresourceStrategy | None) -> tuple[ChangedRow, int]:
    """And the revision that the body names, 0 if it names none."""
    old = await load(op, current)
    obj = replacement(op, old, current.data) or read_object(op)
    check_name(op, obj)
    wanted = _wanted_revision(op, obj, part)
    if wanted and wanted != current.revision:
        raise conflict(op, op.info.name)
    return await changed_row(service, op, obj, old, current, part), wanted


def _wanted_revision(op: Operation, obj: Any, part: SubresourceStrategy | None) -> int:
    text = obj.metadata.resourceVersion
    if text and not text.isdigit():
        raise BadRequest(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if not text and part is None and not op.strategy.allow_unconditional_update:
        cause = Cause("FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion")
        raise invalid(op, op.info.name, [cause])
    return int(text or 0)
