"""create: decode, default, name, and the common way of writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bareboat.api import answers, body
from bareboat.api.conversion import convert_object
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.templates import Templates
from bareboat.api.writing import check_name, new_row, write_new
from bareboat.models.codec import to_tree
from bareboat.models.status import AlreadyExists, BadRequest
from bareboat.store.entry import Entry

if TYPE_CHECKING:
    from bareboat.api.service import Service

#: A generated name is tried this often before the client is told.
NAME_TRIES = 8
#: Longest part of generateName that is kept before the suffix.
NAME_BASE = 58
_templates = Templates()


async def create(service: Service, op: Operation) -> ApiResponse:
    form = answers.form_of(op)
    made = [_named(op)]  # handed on, not kept: see NewRow
    meta = made[0].metadata
    start = "" if meta.name else meta.generateName[:NAME_BASE]
    entry = await (_generated(service, op, start, made) if start else create_object(service, op, made.pop()))
    return answers.one(op, op.served(entry) if op.custom is None else await op.shown(entry), form, 201)


def _named(op: Operation) -> Any:
    """The body's object, for the place that the path names."""
    obj = read_object(op)
    check_name(op, obj)
    if op.resource.namespaced and not op.info.namespace:
        raise BadRequest("an empty namespace may not be set during creation")
    return obj


def read_object(op: Operation) -> Any:
    """The body, in the stored version, with its type's defaults."""
    resource = op.resource
    if op.custom is not None:
        return op.custom.read(op)
    obj = _templates.read(op)
    if obj is not None:
        return obj
    cls: Any = resource.type
    obj = body.read(op, cls, resource.kind, resource.api_version)
    if not op.same_version:
        obj = convert_object(to_tree(obj), resource, op.stored)
    op.strategy.default(obj)
    _templates.remember(op, obj)
    return obj


async def _generated(service: Service, op: Operation, start: str, made: list[Any]) -> Entry:
    """Names are made until one is free; for each but the first the body is read again."""
    warned = op.warnings.copy()
    for attempt in range(NAME_TRIES):
        if attempt:
            made.append(_named(op))
            op.warnings[:] = warned
        try:
            return await create_object(service, op, made.pop(), start=start)
        except AlreadyExists:
            if attempt == NAME_TRIES - 1:
                raise
    raise AssertionError("unreachable")


async def create_object(service: Service, op: Operation, obj: Any, *, start: str = "", tracked: bool = False) -> Entry:
    """A decoded and defaulted object → its entry. ``start``: of a name that is to be made. ``tracked``: with managedFields."""
    if op.request.trail is not None:
        op.request.trail.saw(obj)
    _stamp(op, obj)
    if start:
        obj.metadata.name = start + op.ids.suffix(5)
    new = await new_row(service, op, obj, tracked=tracked)
    del obj  # see NewRow
    return await write_new(service, op, new)


def _stamp(op: Operation, obj: Any) -> None:
    """What the server says of an object that begins."""
    meta = obj.metadata
    meta.uid = op.ids.uid()
    meta.creationTimestamp = op.clock.timestamp()
    meta.deletionTimestamp = meta.deletionGracePeriodSeconds = None
    meta.selfLink = meta.resourceVersion = ""
    meta.generation = 0
