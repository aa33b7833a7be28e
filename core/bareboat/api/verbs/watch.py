"""watch: current objects if asked for, then every change, in order, with bookmarks, until timeout or the client goes.

``events`` is the watch itself (types and bytes); ``watch`` dresses it as newline-delimited JSON. An object that starts or
stops matching the selectors is ADDED or DELETED for this watcher, whatever happened to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api import answers
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.verbs.read import check_match_mode, expired, revision
from bareboat.api.verbs.select import Match, concerns, matcher, single_name
from bareboat.api.verbs.stream import Bookmark, Stream
from bareboat.client.transport import EventType
from bareboat.contracts.store import Compacted
from bareboat.models.protobuf import CONTENT_TYPE
from bareboat.models.status import ApiError, Cause, Invalid
from bareboat.store.broadcast import SlowSubscriber, Subscription
from bareboat.store.entry import Change, head, serve, strip
from bareboat.store.errors import StoreFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service

#: Seconds between bookmarks, and of a watch without timeoutSeconds (with up to as much again at random).
BOOKMARK_EVERY = 60.0
TIMEOUT = 1800.0
#: Bytes gathered before they are handed to the connection.
CHUNK = 64 * 1024

Event = tuple[EventType, bytes]


async def watch(service: Service, op: Operation) -> ApiResponse:
    """Raises ApiError before the stream starts; afterwards errors are ERROR events."""
    form = answers.form_of(op)
    subscription, initial = await begin(service, op)
    response = ApiResponse(200, stream=_lines(service, op, subscription, initial, form))
    if op.custom is None and op.same_version and form is answers.PLAIN and matcher(op) is None:
        response.follow = _stream(service, op, subscription, initial).follow
    if form.yaml:
        response.content_type = "application/json"
    if form.protobuf:
        response.content_type = f"{CONTENT_TYPE};stream=watch"
    return response


def _stream(service: Service, op: Operation, subscription: Subscription, initial: list[Event]) -> Stream:
    now = service.clock.monotonic()
    until = now + (float(op.number("timeoutSeconds")) or TIMEOUT * (1.0 + service.ids.fraction()))
    bookmark = Bookmark(partial(_bookmark, op), now, BOOKMARK_EVERY) if op.request.flag("allowWatchBookmarks") else None
    return Stream(service, subscription, initial, until, bookmark)


async def begin(service: Service, op: Operation) -> tuple[Subscription, list[Event]]:
    """Subscribe, and what has to be sent first. Raises Gone for a revision that is no longer kept."""
    wanted = revision(op)
    op.number("timeoutSeconds")
    send_initial = op.request.flag("sendInitialEvents")
    mode = op.request.first("resourceVersionMatch")
    check_match_mode(op, mode, wanted, "")
    if send_initial and mode != "NotOlderThan":
        message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise Invalid("ListOptions", "", [Cause("FieldValueForbidden", message, "resourceVersionMatch")], group="meta.k8s.io")
    if service.log.shared:
        await service.caught_up(op)
    name = single_name(op)
    prefix = op.key(name) if name else op.prefix
    current = send_initial or ("sendInitialEvents" not in op.request.query and wanted == 0)
    after = service.log.head if current or not wanted else wanted
    try:
        subscription = await service.log.subscribe(prefix, after)
    except Compacted as error:
        raise expired(after, error.compacted) from error
    initial: list[Event] = []
    if current:
        initial = await _current(service, op, prefix, name, after)
        if send_initial:
            initial.append(("BOOKMARK", _bookmark(op, after, initial_end=True)))
    return subscription, initial


async def _current(service: Service, op: Operation, prefix: str, name: str, at: int) -> list[Event]:
    test = matcher(op)
    if name:
        entry = service.log.get(prefix)
        entries = [entry] if entry else []
    else:
        entries = list(service.log.scan(prefix))
    entries = await op.seen([e for e in entries if e.revision <= at])
    return [("ADDED", op.served(e)) for e in entries if e.revision <= at and (test is None or test(e.data))]


async def events(
    service: Service, op: Operation, subscription: Subscription, initial: list[Event], whose: Callable[[Change], Any] | None = None
) -> AsyncIterator[list[tuple[EventType, bytes, Any]]]:
    """Batches of events until the timeout; of each its type, its object, and of a change what ``whose`` says of it, else None.

    Raises ApiError when the watch cannot go on.
    """
    test = matcher(op)
    subscription.concerns = concerns(op)
    if op.custom is not None:
        op.custom.watched(subscription)
    seconds = float(op.number("timeoutSeconds")) or TIMEOUT * (1.0 + service.ids.fraction())
    deadline = service.clock.monotonic() + seconds
    bookmarks = op.request.flag("allowWatchBookmarks")
    next_bookmark = service.clock.monotonic() + BOOKMARK_EVERY
    try:
        if initial:
            yield [(kind, data, None) for kind, data in initial]
        while (now := service.clock.monotonic()) < deadline:
            seen = service.log.head
            batch = [
                (kind, data, None if whose is None else whose(change))
                for change in await _seen(op, subscription.take())
                for kind, data in _event(op, change, test)
            ]
            if bookmarks and now >= next_bookmark:
                batch.append(("BOOKMARK", _bookmark(op, seen), None))
                next_bookmark = now + BOOKMARK_EVERY
            if batch:
                yield batch
                continue
            if op.custom is not None and op.custom.closed:
                return  # the kind changed: clients watch again and see it as it is now
            until = min(deadline, next_bookmark) if bookmarks else deadline
            await subscription.woken(max(0.0, until - now))
        if bookmarks:
            yield [("BOOKMARK", _bookmark(op, service.log.head), None)]
    except SlowSubscriber as error:
        raise expired(subscription.seen, service.log.head) from error
    finally:
        subscription.close()


async def _seen(op: Operation, changes: list[Change]) -> list[Change]:
    """With their entries as this watcher sees them."""
    if op.custom is None or not changes:
        return changes
    new = await op.seen([change.entry for change in changes])
    old = iter(await op.seen([change.previous for change in changes if change.previous is not None]))
    return [
        change._replace(entry=entry, previous=None if change.previous is None else next(old))
        for change, entry in zip(changes, new, strict=True)
    ]


def _event(op: Operation, change: Change, test: Match | None) -> list[Event]:
    """None or one event for this watcher."""
    if test is None:
        kind: EventType = "DELETED" if change.deleted else "MODIFIED" if change.entry.created != change.revision else "ADDED"
        return [(kind, op.served(change.entry))]
    matched = change.previous is not None and test(change.previous.data)
    matches = not change.deleted and test(change.entry.data)
    if matches:
        return [("MODIFIED" if matched else "ADDED", op.served(change.entry))]
    if matched and change.previous is not None:
        return [("DELETED", _last_match(op, change))]
    return []


def _last_match(op: Operation, change: Change) -> bytes:
    """The last matching state with the revision of the change that ended the match."""
    from bareboat.store.entry import Entry

    previous = change.previous
    assert previous is not None
    start = head(op.stored.kind, op.stored.api_version)
    data = serve(start, change.revision, strip(start, previous.revision, previous.data))
    return op.served(Entry(change.key, change.revision, previous.created, data))


def _bookmark(op: Operation, at: int, *, initial_end: bool = False) -> bytes:
    meta: dict[str, object] = {"resourceVersion": str(at), "creationTimestamp": None}
    if initial_end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return msgspec.json.encode({"kind": op.resource.kind, "apiVersion": op.resource.api_version, "metadata": meta})


async def _lines(
    service: Service, op: Operation, subscription: Subscription, initial: list[Event], form: answers.Form
) -> AsyncIterator[bytes]:
    written = _writer(op, form)
    try:
        async for batch in events(service, op, subscription, initial):
            gathered: list[bytes] = []
            size = 0
            for kind, data, _ in batch:
                line = written(kind, data)
                gathered.append(line)
                size += len(line)
                if size > CHUNK:
                    yield b"".join(gathered)
                    gathered, size = [], 0
                    await asyncio.sleep(0)
            if gathered:
                yield b"".join(gathered)
    except ApiError as error:
        yield _writer(op, answers.Form(protobuf=form.protobuf))("ERROR", msgspec.json.encode(error.to_status()))
    except StoreFailed:
        return


def _writer(op: Operation, form: answers.Form) -> Callable[[str, bytes], bytes]:
    """How an event is written, its object being JSON."""
    if form.protobuf:
        from bareboat.models.protobuf_encoding import event

        return lambda kind, data: event(kind, msgspec.json.decode(data))
    dress = _dresser(op, form)
    return lambda kind, data: b'{"type":"%b","object":%b}\n' % (kind.encode(), dress(kind, data))


def _dresser(op: Operation, form: answers.Form):  # type: ignore[no-untyped-def]
    """How an object is shown: as it is, as metadata, or as a one-row Table."""
    if form.shape == "Table":
        from bareboat.api.tables import table

        first = [True]

        def as_table(kind: EventType, data: bytes) -> bytes:
            shown = table(op, [] if kind == "BOOKMARK" else [data], {"resourceVersion": ""}, columns=first[0])
            first[0] = False
            if kind == "BOOKMARK":
                shown["metadata"] = {"resourceVersion": msgspec.json.decode(data)["metadata"]["resourceVersion"]}
            return msgspec.json.encode(shown)

        return as_table
    if form.shape.startswith("PartialObjectMetadata"):
        return lambda kind, data: answers.partial(data)
    return lambda kind, data: data
