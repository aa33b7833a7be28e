"""Request bodies: JSON, YAML or protobuf in, a Struct of the wanted type out, with strict field validation.

415 for a content type nobody reads, 400 for a body that is not of the kind the path names, upstream's texts for both.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from bareboat.api.operation import Operation
from bareboat.api.yaml_body import as_one, repeated_keys, yaml_to_json
from bareboat.models import protobuf
from bareboat.models.codec import DecodeError, decode_strict
from bareboat.models.status import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

#: Bytes of a request body at most (upstream's limit).
LIMIT = 3 * 1024 * 1024
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"


class _TypeMeta(msgspec.Struct):
    kind: Any = ""
    apiVersion: Any = ""


has_empty_list = re.compile(rb"\[\s*\]").search
_decode_type = msgspec.json.Decoder(_TypeMeta).decode


def check_size(body: bytes) -> None:
    if len(body) > LIMIT:
        raise RequestEntityTooLarge(f"Request entity too large: limit is {LIMIT}")


def media_type(content_type: str) -> str:
    return JSON if content_type == JSON else content_type.split(";")[0].strip().lower() or JSON


def read(op: Operation, cls: type[Any], kind: str, api_version: str) -> Any:
    """The body as ``cls``. Unknown and duplicate fields are refused, warned of or ignored as ``fieldValidation`` says."""
    check_size(op.request.body)
    media = media_type(op.request.content_type)
    if media == PROTOBUF:
        return _read_protobuf(op.request.body, cls, kind, api_version)
    if media not in (JSON, YAML):
        supported = f"{JSON}, {YAML}, {PROTOBUF}"
        raise UnsupportedMediaType(f"the body of the request was in an unknown format - accepted media types include: {supported}")
    data, repeated = op.request.body, []
    if media == YAML:
        repeated = repeated_keys(data) if op.field_validation != "Ignore" else []
        data = yaml_to_json(data)
    obj = _decode(op, cls, data, kind, api_version, repeated)
    if has_empty_list(data) is not None:
        op.raw = _tree_or_none(data)
    return obj


def _decode(op: Operation, cls: type[Any], data: bytes, kind: str, api_version: str, repeated: list[str]) -> Any:
    """That it is of another kind is said before anything else that is wrong with it."""
    validation, version = op.field_validation, api_version.rpartition("/")[2]
    try:
        obj, faults = decode_strict(cls, data, ours=op.request.ours)
    except DecodeError as error:
        _check_kind(data, kind, api_version)
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from error
    if obj.kind != kind or obj.apiVersion != api_version:
        _check_kind(data, kind, api_version)
    if validation == "Ignore":
        return obj
    if repeated:
        faults = [as_one(repeated), *faults]
    if faults and validation == "Strict":
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: {", ".join(faults)}')
    op.warnings.extend(faults)
    return obj


def _tree_or_none(data: bytes) -> Any:
    """None where the decoder will say what is wrong."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _check_kind(data: bytes, kind: str, api_version: str) -> None:
    """Upstream takes a body without type; one of another type is refused."""
    try:
        found = _decode_type(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        try:
            tree = msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # the decoder says what is wrong
        if isinstance(tree, dict):
            return
        raise BadRequest(
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {_json_kind(tree)} into Go value of type struct "
            '{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        ) from None
    if (found.kind and found.kind != kind) or (found.apiVersion and found.apiVersion != api_version):
        have = f"{found.apiVersion}, Kind={found.kind}"
        raise BadRequest(
            f"the API version in the data ({found.apiVersion}) does not match the expected API version ({api_version})"
            if found.kind in ("", kind)
            else f'{found.kind} in version "{str(found.apiVersion).rpartition("/")[2]}" cannot be handled as a {kind}: '
            f"converting ({have}) to ({api_version}, Kind={kind}): unknown conversion"
        )


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {list: "array", str: "string", int: "number", float: "number"}.get(type(value), "null")


def _read_protobuf(data: bytes, cls: type[Any], kind: str, api_version: str) -> Any:
    """Options are known in every group, and clients send them as of the group of what they are for."""
    try:
        found_version, found_kind, obj = protobuf.decode(data)
    except (ValueError, KeyError, IndexError) as error:
        raise BadRequest(f"the body is not a protobuf message of {kind}: {error}") from error
    if found_kind != kind or (found_version not in ("", api_version) and kind != "DeleteOptions"):
        raise BadRequest(
            f"the API version in the data ({found_version}, Kind={found_kind}) does not match "
            f"the expected API version ({api_version}, Kind={kind})"
        )
    if not isinstance(obj, cls):
        raise BadRequest(f"the protobuf message is a {type(obj).__name__}, not a {kind}")
    return obj
