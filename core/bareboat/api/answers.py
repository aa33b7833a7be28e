"""Answers: which form a client accepts, and rendering objects, lists, Tables, Status and events in it.

JSON objects and lists are joined from the store's bytes; nothing is decoded unless the client asked for a Table, metadata
only, YAML or another version.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from bareboat.api.operation import Operation
from bareboat.api.request import ApiRequest, ApiResponse
from bareboat.models.protobuf import CONTENT_TYPE
from bareboat.models.status import ApiError, NotAcceptable
from bareboat.store.entry import head

#: Bytes of a list that are joined at a time; a smaller one is one body.
PIECE = 256 * 1024
END = b"]}\n"
YAML_TYPES = ("application/yaml", "application/x-yaml")


class Form(msgspec.Struct, frozen=True):
    """``shape`` "", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList"; ``yaml`` or ``protobuf`` instead of JSON."""

    shape: str = ""
    yaml: bool = False
    pretty: bool = False
    protobuf: bool = False


PLAIN = Form()


def form_of(op: Operation) -> Form:
    """``negotiate``, for objects of the operation's kind."""
    return negotiate(op.request, protobuf=op.custom is None)


def negotiate(request: ApiRequest, *, shapes: bool = True, protobuf: bool = False) -> Form:
    """The first form of the Accept header that can be given; ``shapes`` False: nothing but the object. Raises NotAcceptable (406).

    ``protobuf``: there is a message for it. It is given to those who can read nothing else: JSON is there already.
    """
    if not request.accept or request.accept in ("application/json", "*/*"):
        return PLAIN if "pretty" not in request.query else Form(pretty=request.flag("pretty"))
    packed = False
    for clause in request.accept.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        given = dict(p.split("=", 1) for p in parameters if "=" in p)
        if media == CONTENT_TYPE and "as" not in given:
            packed = protobuf
        if media not in ("application/json", "*/*", "application/*", *YAML_TYPES):
            continue
        shape = given.get("as", "")
        if shape:
            known = shape in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
            if not shapes or not known or given.get("g") != "meta.k8s.io" or given.get("v") != "v1":
                continue
        return Form(shape, media in YAML_TYPES, request.flag("pretty"))
    if packed:
        return Form(protobuf=True)
    accepted = ["application/json", "application/yaml", *([CONTENT_TYPE] if protobuf else [])]
    raise NotAcceptable(f"only the following media types are accepted: {', '.join(accepted)}")


def data(body: bytes, form: Form, status: int = 200) -> ApiResponse:
    """JSON bytes in the wanted form."""
    if form.protobuf:
        from bareboat.models.protobuf_encoding import encode

        return ApiResponse(status, encode(msgspec.json.decode(body)), CONTENT_TYPE)
    if form.yaml:
        import yaml

        text: str = yaml.safe_dump(msgspec.json.decode(body), default_flow_style=False, allow_unicode=True)
        return ApiResponse(status, text.encode(), "application/yaml")
    if form.pretty:
        body = msgspec.json.format(body, indent=2) + b"\n"
    return ApiResponse(status, body)


def tree(value: Any, form: Form = PLAIN, status: int = 200) -> ApiResponse:
    return data(msgspec.json.encode(value), form, status)


def one(op: Operation, body: bytes, form: Form, status: int = 200) -> ApiResponse:
    """One object."""
    if form is PLAIN:
        return ApiResponse(status, body)
    if form.shape == "Table":
        from bareboat.api.tables import table

        return tree(table(op, [body], {"resourceVersion": _revision_of(body)}), form, status)
    if form.shape.startswith("PartialObjectMetadata"):
        return data(partial(body), form, status)
    return data(body, form, status)


def many(op: Operation, bodies: Sequence[bytes], meta: dict[str, Any], form: Form, size: int = -1) -> ApiResponse:
    """A list; ``meta`` is its ListMeta, ``size`` that of all bodies, if it is known."""
    if form.shape == "Table":
        from bareboat.api.tables import table

        return tree(table(op, bodies, meta), form)
    if form.shape.startswith("PartialObjectMetadata"):
        items = [msgspec.json.decode(partial(body)) for body in bodies]
        return tree({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items}, form)
    listed = _List(op, bodies, meta, sum(map(len, bodies)) if size < 0 else size)
    if form.yaml or form.pretty or form.protobuf or (listed.length <= PIECE and not op.request.apart):
        return data(b"".join(listed), form)
    return ApiResponse(200, pieces=listed)


class _List:
    """A list object, its items without kind and apiVersion, as upstream; joined a few items at a time."""

    def __init__(self, op: Operation, bodies: Sequence[bytes], meta: dict[str, Any], size: int) -> None:
        resource = op.resource
        self.bodies, self.meta = bodies, meta
        self._cut = len(head(resource.kind, resource.api_version))
        opening = head(resource.list_kind or f"{resource.kind}List", resource.api_version)
        self._opening = b'%b"metadata":%b,"items":[' % (opening, msgspec.json.encode(meta))
        separators = max(0, 2 * len(bodies) - 1)
        self.length = len(self._opening) + size - self._cut * len(bodies) + separators + len(END)

    def __iter__(self) -> Iterator[bytes]:
        cut, size = self._cut, 0
        parts: list[bytes | memoryview] = []
        separator = b"{"
        yield self._opening
        for body in self.bodies:
            parts += (separator, memoryview(body)[cut:])
            separator = b",{"
            size += len(body)
            if size > PIECE:
                yield b"".join(parts)
                parts, size = [], 0
        parts.append(END)
        yield b"".join(parts)


def partial(body: bytes) -> bytes:
    """The object's metadata as PartialObjectMetadata."""
    found = msgspec.json.decode(body, type=_Metadata)
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":' + bytes(found.metadata) + b"}"


class _Metadata(msgspec.Struct):
    metadata: msgspec.Raw


def _revision_of(body: bytes) -> str:
    meta: dict[str, Any] = msgspec.json.decode(bytes(msgspec.json.decode(body, type=_Metadata).metadata))
    return str(meta.get("resourceVersion", ""))


def failure(error: ApiError) -> ApiResponse:
    """A Status."""
    response = tree(error.to_status(), status=error.code)
    if error.retry_after is not None:
        response.headers["retry-after"] = str(error.retry_after)
    return response


def success(details: dict[str, Any]) -> dict[str, Any]:
    """The Status of a delete that left nothing to show."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
