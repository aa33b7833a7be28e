"""create: decode, default, name, and the common way of writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bareboat.api import answers, body
from bareboat.api.conversion import convert_object
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.templates import Templates
from bareboat.api.writing import check_name, new_row, write_new
from bareboat.models.codec import decode, encode, to_tree
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
    form = answers.negotiate(op.request)
    entry = await create_object(service, op, _named(op))
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


async def create_object(service: Service, op: Operation, obj: Any, *, tracked: bool = False) -> Entry:
    """A decoded and defaulted object → its entry; names are made until one is free. ``tracked``: it has its managedFields already."""
    if op.request.trail is not None:
        op.request.trail.saw(obj)
    _stamp(op, obj)
    start = "" if obj.metadata.name else obj.metadata.generateName[:NAME_BASE]
    cls, kept = type(obj), encode(obj) if start else b""
    for attempt in range(NAME_TRIES):
        if attempt:
            obj = decode(cls, kept)
        if start:
            obj.metadata.name = start + op.ids.suffix(5)
        try:
            new = await new_row(service, op, obj, tracked=tracked)
            del obj  # see NewRow
            return await write_new(service, op, new)
        except AlreadyExists:
            if not start or attempt == NAME_TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _stamp(op: Operation, obj: Any) -> None:
    """What the server says of an object that begins."""
    meta = obj.metadata
    meta.uid = op.ids.uid()
    meta.creationTimestamp = op.clock.timestamp()
    meta.deletionTimestamp = meta.deletionGracePeriodSeconds = None
    meta.selfLink = meta.resourceVersion = ""
    meta.generation = 0
