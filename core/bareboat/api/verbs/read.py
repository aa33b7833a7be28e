"""get and list. Bytes as stored are bytes as served; pages come from one revision."""

from __future__ import annotations

import asyncio
import base64
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api import answers
from bareboat.api.indexes import Keys, Terms
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.verbs.select import Match, field_terms, label_selector, matcher, single_name
from bareboat.contracts.store import Compacted
from bareboat.models.status import BadRequest, Cause, Invalid, NotFound, ResourceExpired, Timeout
from bareboat.store.entry import Entry

if TYPE_CHECKING:
    from bareboat.api.service import Service


#: Entries that are read in one turn of the loop.
PORTION = 1_500
#: Entries that selectors look into in one turn of the loop.
TESTED = 250


class _Token(msgspec.Struct):
    """Where the next page starts: ``after`` this key, as of revision ``rv``."""

    rv: int
    after: str


def find(service: Service, op: Operation, name: str = "") -> Entry:
    """The named object's entry. Raises NotFound."""
    entry = service.log.get(op.key(name or op.info.name))
    if entry is None:
        raise not_found(op, name)
    return entry


def not_found(op: Operation, name: str = "") -> NotFound:
    return NotFound.of(op.resource.plural, name or op.info.name, group=op.resource.group)


async def get(service: Service, op: Operation) -> ApiResponse:
    form = answers.form_of(op)
    wanted = revision(op)
    if wanted > service.log.head:
        raise _too_new(wanted, service.log.head)
    entry = find(service, op)
    data = await op.shown(entry)
    return ApiResponse(200, data) if form is answers.PLAIN else answers.one(op, data, form)


async def list_objects(service: Service, op: Operation) -> ApiResponse:
    form = answers.form_of(op)
    wanted = revision(op)
    match_mode = op.request.first("resourceVersionMatch")
    limit, token = op.number("limit"), op.request.first("continue")
    if limit < 0:
        limit = 0
    check_match_mode(op, match_mode, wanted, token)
    if wanted > service.log.head:
        raise _too_new(wanted, service.log.head)
    selecting = "labelSelector" in op.request.query or "fieldSelector" in op.request.query
    terms = await _terms(service, op) if selecting else None
    at, start = service.log.head, ""
    if token:
        at, start = _decode_token(service, op, token)
    elif match_mode == "Exact" or (wanted and limit and match_mode != "NotOlderThan"):
        at = wanted
    keys = service.indexes.keys(op.stored.key, terms) if terms and at == service.log.head else None
    test = matcher(op) if selecting and keys is None else None
    more, plain = 0, keys is None and test is None
    if plain and (limit or start):
        entries, more = await _page(service, op, at, start, limit or sys.maxsize)
    else:
        entries = await _all(service, op, at, keys)
        entries = [e for e in entries if e.key > start] if start else entries
        if test is not None:
            entries = await _tested(test, await op.seen(entries))
        if limit:
            entries, more = entries[:limit], max(0, len(entries) - limit)
    meta: dict[str, Any] = {"resourceVersion": str(at)}
    if more:
        meta["continue"] = _encode_token(at, entries[-1].key)
        if plain:
            meta["remainingItemCount"] = more
    seen = await op.seen(entries)
    bodies: list[bytes] = []
    size = 0
    for first in range(0, len(seen), PORTION):
        some = [op.served(e) for e in seen[first : first + PORTION]]
        bodies += some
        size += sum(map(len, some))
        if first:
            await asyncio.sleep(0)
    return answers.many(op, bodies, meta, form, size)


async def _page(service: Service, op: Operation, at: int, start: str, limit: int) -> tuple[list[Entry], int]:
    try:
        return await service.log.page(op.prefix, at, start, limit)
    except Compacted as error:
        raise ExpiredPage(start) if start else expired(at, error.compacted) from error


async def _all(service: Service, op: Operation, at: int, keys: Keys | None) -> list[Entry]:
    """What is under the prefix, or of that what has one of the keys, which are those of now, in any namespace."""
    if isinstance(keys, set) and len(keys) <= PORTION:
        get, prefix = service.log.get, op.prefix
        return [entry for key in sorted(keys) if key.startswith(prefix) and (entry := get(key)) is not None]
    if at == service.log.head and service.log.count(op.prefix) > PORTION and not single_name(op):
        return await _portions(service, op, at, keys)
    entries = await _entries(service, op, at)
    return entries if keys is None else [entry for entry in entries if entry.key in keys]


async def _portions(service: Service, op: Operation, at: int, keys: Keys | None) -> list[Entry]:
    """The same of a large resource, and others have their turn meanwhile."""
    found: list[Entry] = []
    last, more = "", 1
    while more:
        entries, more = await _page(service, op, at, last, PORTION)
        last = entries[-1].key if entries else ""
        found += entries if keys is None else [entry for entry in entries if entry.key in keys]
        await asyncio.sleep(0)
    return found


async def _tested(test: Match, seen: list[Entry]) -> list[Entry]:
    """Those whose bytes pass, looked at some at a time."""
    found: list[Entry] = []
    for first in range(0, len(seen), TESTED):
        found += [entry for entry in seen[first : first + TESTED] if test(entry.data)]
        if first:
            await asyncio.sleep(0)
    return found


async def _terms(service: Service, op: Operation) -> Terms | None:
    """What an index is to be asked, if one answers the selectors; it is there then."""
    if op.custom is not None:
        return None
    return await service.indexes.select(op.stored.key, label_selector(op), field_terms(op))


async def _entries(service: Service, op: Operation, at: int) -> list[Entry]:
    name = single_name(op)
    if at == service.log.head:
        if name:
            entry = service.log.get(op.key(name))
            return [entry] if entry else []
        return service.log.listing(op.prefix)
    try:
        return await service.log.snapshot(op.prefix, at)
    except Compacted as error:
        raise expired(at, error.compacted) from error


def revision(op: Operation) -> int:
    """The request's resourceVersion; 0 if it has none. Raises Invalid."""
    text = op.request.first("resourceVersion")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        cause = Cause(
            "FieldValueInvalid", f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax', "resourceVersion"
        )
        if op.info.verb == "list":
            raise Invalid("ListOptions", "", [cause], group="meta.k8s.io")
        raise BadRequest(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def check_match_mode(op: Operation, mode: str, wanted: int, token: str) -> None:
    """Upstream's rules of resourceVersionMatch. Raises Invalid."""
    text = op.request.first("resourceVersion")
    fault = ""
    if op.info.verb == "list" and "sendInitialEvents" in op.request.query:
        cause = Cause("FieldValueForbidden", "Forbidden: sendInitialEvents is forbidden for list", "sendInitialEvents")
        raise Invalid("ListOptions", "", [cause], group="meta.k8s.io")
    if mode and token:
        fault = "resourceVersionMatch is forbidden when continue is provided"
    elif mode and not text and not op.request.flag("sendInitialEvents"):
        fault = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif mode == "Exact" and text == "0":
        fault = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if fault:
        raise Invalid("ListOptions", "", [Cause("FieldValueForbidden", f"Forbidden: {fault}", "resourceVersionMatch")], group="meta.k8s.io")
    if mode and mode not in ("Exact", "NotOlderThan"):
        message = f'Unsupported value: "{mode}": supported values: "Exact", "NotOlderThan", ""'
        raise Invalid("ListOptions", "", [Cause("FieldValueNotSupported", message, "resourceVersionMatch")], group="meta.k8s.io")
    if token and wanted:
        raise BadRequest("specifying resource version is not allowed when using continue")


def expired(wanted: int, oldest: int) -> ResourceExpired:
    return ResourceExpired(f"too old resource version: {wanted} ({oldest})", details={})


def _too_new(wanted: int, head: int) -> Timeout:
    message = f"Too large resource version: {wanted}, current: {head}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return Timeout(message, details={"causes": causes}, retry_after=1)


class ExpiredPage(ResourceExpired):
    """Carries a token to go on after a key from what there is now."""

    def __init__(self, after: str) -> None:
        message = (
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the "
            "continue parameter, or use the continue token in this response to retrieve the remainder of the results."
        )
        super().__init__(message, details={})
        self.fresh = _encode_token(-1, after)

    def to_status(self) -> dict[str, Any]:
        return {**super().to_status(), "metadata": {"continue": self.fresh}}


def _encode_token(at: int, after: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_Token(at, after))).decode().rstrip("=")


def _decode_token(service: Service, op: Operation, token: str) -> tuple[int, str]:
    try:
        decoded = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=_Token)
    except (ValueError, msgspec.MsgspecError) as error:
        raise BadRequest(f"continue key is not valid: {error}") from error
    if not decoded.after.startswith(op.prefix):
        raise BadRequest(f"continue key is not valid: it is of another list than {op.resource.plural}")
    if decoded.rv == -1:  # a token given with an expired one: go on from what there is now
        return service.log.head, decoded.after
    if decoded.rv < max(service.log.compacted, service.log.aged):
        raise ExpiredPage(decoded.after)
    return decoded.rv, decoded.after
