"""JSON patch, RFC 6902: add, remove, replace, move, copy, test. Raises Invalid (422) with upstream's reasons when it does not apply."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from bareboat.models.status import ApiError, BadRequest

#: Operations in one patch at most (upstream's limit).
LIMIT = 10_000
#: Bytes that all its copies together may add (upstream's limit): each could double the document.
COPIED = 3 * 1024 * 1024
_MISSING = object()


class _Unprocessable(ApiError):
    code, reason = 422, "Invalid"


def apply_json_patch(tree: dict[str, Any], operations: list[Any]) -> dict[str, Any]:
    """The patched tree; ``tree`` may be changed."""
    if len(operations) > LIMIT:
        raise ApiError(
            f"The allowed maximum operations in a JSON patch is {LIMIT}, got {len(operations)}", code=413, reason="RequestEntityTooLarge"
        )
    holder = {"": tree}
    copied = 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise BadRequest("error decoding patch: each operation must be an object")
        if operation.get("op") == "copy":
            copied += _size(holder, operation)
            if copied > COPIED:
                because = f"the accumulated size increase of copy is {copied}, exceeding the limit {COPIED}"
                raise _Unprocessable(f"Unable to complete the copy, {because}")
        _apply(holder, operation)
    if not isinstance(holder[""], dict):
        raise _Unprocessable("the patched document is no object")
    return holder[""]


def _size(holder: dict[str, Any], operation: dict[str, Any]) -> int:
    """Of what a copy adds; 0 of what is not there: the copy itself says so."""
    source = operation.get("from", "")
    found = _get(holder, source, "", missing=None) if isinstance(source, str) else None
    return len(msgspec.json.encode(found))


def _apply(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    name, path = operation.get("op"), operation.get("path")
    if not isinstance(path, str) or not isinstance(operation.get("from", ""), str):
        raise _Unprocessable(f"Unable to process patch: operation {name!r} has no path")
    if name in ("add", "replace", "test") and "value" not in operation:
        operation = {**operation, "value": None}
    if name == "add":
        _add(holder, path, copy.deepcopy(operation["value"]))
    elif name == "remove":
        _remove(holder, path)
    elif name == "replace":
        _get(holder, path, "replace operation does not apply: doc is missing key")
        parent, key = _parent(holder, path)
        _set(parent, key, copy.deepcopy(operation["value"]), path)
    elif name in ("move", "copy"):
        source = operation.get("from", "")
        value = _get(holder, source, f"{name} operation does not apply: doc is missing from path")
        if name == "move":
            _remove(holder, source)
        else:
            value = copy.deepcopy(value)
        _add(holder, path, value)
    elif name == "test":
        found = _get(holder, path, "", missing=None)
        if found != operation["value"] or type(found) is not type(operation["value"]):
            raise _Unprocessable(f"the server rejected our request due to an error in our request: testing value {path} failed")
    else:
        raise _Unprocessable(f"Unexpected kind: {name}")


def _tokens(path: str) -> list[str]:
    if path == "":
        return [""]
    if not path.startswith("/"):
        raise _Unprocessable(f"the path {path!r} must start with /")
    return ["", *(t.replace("~1", "/").replace("~0", "~") for t in path.split("/")[1:])]


def _step(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        return value.get(token, _MISSING)
    if isinstance(value, list) and token.isdigit() and int(token) < len(value):
        return value[int(token)]
    return _MISSING


def _get(holder: dict[str, Any], path: str, complaint: str, missing: Any = _MISSING) -> Any:
    value: Any = holder
    for token in _tokens(path):
        value = _step(value, token)
        if value is _MISSING:
            if missing is not _MISSING:
                return missing
            raise _Unprocessable(f"the server rejected our request due to an error in our request: {complaint}: {path}: missing value")
    return value


def _parent(holder: dict[str, Any], path: str) -> tuple[Any, str]:
    *way, last = _tokens(path)
    value: Any = holder
    for token in way:
        value = _step(value, token)
        if value is _MISSING or value is None:
            raise _Unprocessable(
                "the server rejected our request due to an error in our request: "
                f'add operation does not apply: doc is missing path: "{path}": missing value'
            )
    return value, last


def _add(holder: dict[str, Any], path: str, value: Any) -> None:
    parent, key = _parent(holder, path)
    if isinstance(parent, list):
        index = len(parent) if key == "-" else _index(key, len(parent) + 1, path)
        parent.insert(index, value)
    else:
        _set(parent, key, value, path)


def _set(parent: Any, key: str, value: Any, path: str) -> None:
    if isinstance(parent, dict):
        parent[key] = value
    elif isinstance(parent, list):
        parent[_index(key, len(parent), path)] = value
    else:
        raise _Unprocessable(f"the path {path!r} leads into a value that has no members")


def _remove(holder: dict[str, Any], path: str) -> None:
    _get(holder, path, "remove operation does not apply: doc is missing path")
    parent, key = _parent(holder, path)
    if isinstance(parent, list):
        del parent[int(key)]
    else:
        del parent[key]


def _index(key: str, limit: int, path: str) -> int:
    if not key.isdigit() or int(key) >= limit:
        raise _Unprocessable(f"the index {key!r} of {path!r} is not in the list")
    return int(key)
