"""Bodies and patched trees as custom objects, with what strict clients want to be told: unknown and duplicate fields."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from bareboat.api.body import JSON, YAML, check_size, media_type
from bareboat.api.custom.definition import Version
from bareboat.api.custom.pruning import prune
from bareboat.api.operation import Operation
from bareboat.api.yaml_body import yaml_to_json
from bareboat.models import meta_v1, rawjson
from bareboat.models.codec import DecodeError, decode_strict, from_tree
from bareboat.models.custom import CustomObject
from bareboat.models.rawjson import Pairs
from bareboat.models.status import BadRequest, UnsupportedMediaType

_encode = msgspec.json.encode
_has_fraction = re.compile(rb"\d(?:\.\d|[eE][+-]?\d)").search
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read_body(op: Operation, version: Version) -> CustomObject:
    """Raises BadRequest, UnsupportedMediaType."""
    check_size(op.request.body)
    media = media_type(op.request.content_type)
    if media not in (JSON, YAML):
        raise UnsupportedMediaType(f"the body of the request was in an unknown format - accepted media types include: {JSON}, {YAML}")
    data = yaml_to_json(op.request.body) if media == YAML else op.request.body
    tree = parsed(data, version)
    if not tree.get("kind"):
        raise BadRequest(f"Object 'Kind' is missing in '{data.decode('utf-8', 'replace')}'")
    if (found := tree.get("apiVersion") or version.api_version) != version.api_version:
        raise BadRequest(f"the API version in the data ({found}) does not match the expected API version ({version.api_version})")
    validation = op.field_validation
    obj, complaints = typed(tree, version)
    if validation == "Ignore":
        return obj
    complaints = [*duplicates(data), *complaints]
    if complaints and validation == "Strict":
        kind = version.definition.kind
        said = f"strict decoding error: {', '.join(complaints)}"
        raise BadRequest(f'{kind} in version "{version.name}" cannot be handled as a {kind}: {said}')
    op.warnings.extend(complaints)
    return obj


def parsed(data: bytes, version: Version) -> dict[str, Any]:
    """The tree of a body; whole numbers are integers however they were spelled."""
    kind = version.definition.kind
    try:
        tree = msgspec.json.decode(data)
    except _MALFORMED:
        try:
            tree = rawjson.plain(rawjson.parse(data))
        except rawjson.SyntaxFault as error:
            raise BadRequest(f'{kind} in version "{version.name}" cannot be handled as a {kind}: {error}') from error
    if not isinstance(tree, dict):
        raise BadRequest(f"couldn't get version/kind; json parse error: json: cannot unmarshal {type(tree).__name__} into an object")
    if _has_fraction(data):
        return {name: _whole(item) for name, item in tree.items()}
    return tree


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


def typed(tree: dict[str, Any], version: Version) -> tuple[CustomObject, list[str]]:
    """The object with what its schema knows, and complaints about the rest. Raises BadRequest for metadata that is none."""
    given = tree.get("metadata")
    if not isinstance(given, dict | None):
        raise BadRequest(f"metadata must be an object, not {type(given).__name__}")
    try:
        meta, complaints = decode_strict(meta_v1.ObjectMeta, _encode(given or {}))
    except DecodeError as error:
        said = str(error).replace("ObjectMeta.", "ObjectMeta.metadata.", 1)
        raise BadRequest(
            f'{version.definition.kind} in version "{version.name}" cannot be handled as a {version.definition.kind}: {said}'
        ) from error
    complaints = [fault.replace('"', '"metadata.', 1) for fault in complaints]
    content = {name: value for name, value in tree.items() if name not in ("kind", "apiVersion", "metadata")}
    complaints += [f'unknown field "{path}"' for path in prune(content, version.schema)]
    return CustomObject(str(tree.get("kind") or ""), version.api_version, meta, content), complaints


def empty(version: Version) -> CustomObject:
    return CustomObject(version.definition.kind, version.api_version, from_tree(meta_v1.ObjectMeta, {}))


def duplicates(data: bytes) -> list[str]:
    """Members that come twice, by path. Nothing is parsed again unless the counts differ."""
    try:
        if _encode(msgspec.json.decode(data)).count(b":") == data.count(b":"):
            return []
        found: list[str] = []
        _walk(rawjson.parse(data), "", found)
    except (*_MALFORMED, rawjson.SyntaxFault):
        return []  # not JSON: what reads it says so
    return found


def _walk(value: Any, at: str, found: list[str]) -> None:
    if isinstance(value, Pairs):
        seen: set[str] = set()
        for name, item in value:
            path = f"{at}.{name}" if at else name
            if name in seen:
                found.append(f'duplicate field "{path}"')
            seen.add(name)
            _walk(item, path, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, f"{at}[{index}]", found)
