"""Waiting for a state of the world, and walking over its history.

In: a phrase or a callable, and what changes. Out: the objects as soon as it holds, or a failure that says what was seen instead, with the
last Events about it. Nothing polls: every change of the store is looked at once.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.models.status import ApiError
from bareboat.testing.world import phrases
from bareboat.testing.world.references import Reference
from bareboat.testing.world.things import Selection, Thing

if TYPE_CHECKING:
    from bareboat.testing.world.world import World

Holds = Callable[[], bool | Awaitable[bool]]
#: Seconds between two looks of a callable that depends on something outside the world.
LOOK_EVERY = 0.5


async def until(world: World, wanted: str | Callable[[], Any], timeout: float) -> Any:
    """Raises AssertionError with what was seen."""
    if callable(wanted):
        return await _until_true(world, wanted, timeout)
    phrase = phrases.parse(wanted)
    deadline = world.time + timeout
    while True:
        known = world.faults.airwaves.published
        seen = await _seen(world, phrase.reference)
        if phrase.holds(seen):
            return seen[0] if len(seen) == 1 else seen
        left = deadline - world.time
        if left <= 0:
            raise AssertionError(await _complaint(world, wanted, timeout, seen))
        await world.faults.airwaves.change(known, left)


async def _until_true(world: World, wanted: Callable[[], Any], timeout: float) -> Any:
    deadline = world.time + timeout
    while True:
        known = world.faults.airwaves.published
        result = wanted()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        left = deadline - world.time
        if left <= 0:
            raise AssertionError(f"not true after {timeout:g} s: {_source(wanted)}")
        await world.faults.airwaves.change(known, min(left, LOOK_EVERY))


async def _seen(world: World, reference: str) -> Selection:
    """Nothing, while the kind is not served yet or the object not there."""
    try:
        return await world.list(reference)
    except LookupError:
        return Selection()
    except ApiError as error:
        if error.code == 404:
            return Selection()
        raise


async def _complaint(world: World, wanted: str, timeout: float, seen: Selection) -> str:
    lines = [f"after {timeout:g} s it is not so that {wanted}"]
    lines += [f"  {describe(one)}" for one in seen[:10]] or ["  nothing of that name is there"]
    names = {one.name for one in seen}
    events = (await world.list("events -A"))[-200:]
    about = [e for e in events if e.at("involvedObject.name") in names or any(n in str(e.at("involvedObject.name")) for n in names)]
    lines += [f"  {e.get('type')} {e.get('reason')} ({e.at('involvedObject.name')}): {e.get('message')}" for e in about[-8:]]
    return "\n".join(lines)


def describe(one: Thing) -> str:
    """An object's state in a line."""
    status = {k: v for k, v in (one.get("status") or {}).items() if k != "conditions" and not isinstance(v, dict | list)}
    conditions = {c.get("type"): c.get("status") for c in (one.get("status") or {}).get("conditions") or ()}
    return f"{one.get('kind')} {one.namespace or '-'}/{one.name}: {status} {conditions}"


def _source(wanted: Callable[[], Any]) -> str:
    try:
        return inspect.getsource(wanted).strip()
    except (OSError, TypeError):
        return repr(wanted)


async def history(world: World, reference: Reference, since: int, quiet: float, through: str) -> AsyncIterator[Selection]:
    """Every state of the selected objects after the revision, until nothing changes for ``quiet`` seconds or ``through`` holds."""
    log = world.plane.kernel.log
    prefix = f"{reference.resource.key}/"
    current = {e.key: Thing(msgspec.json.decode(e.data)) for e in await log.snapshot(prefix, since)}
    subscription = await log.subscribe(prefix, since)
    yield _selected(world, reference, current, since)
    try:
        while True:
            changes = subscription.take()
            if not changes:
                if through and phrases.parse(through).holds(_selected(world, reference, current, 0)):
                    return
                await subscription.wait(quiet)
                if not (changes := subscription.take()):
                    return
            for change in changes:
                before = _selected(world, reference, current, 0)
                current.pop(change.key, None)
                if not change.deleted:
                    current[change.key] = Thing(msgspec.json.decode(change.entry.data))
                after = _selected(world, reference, current, change.revision)
                if after != before:
                    yield after
    finally:
        subscription.close()


def _selected(world: World, reference: Reference, current: dict[str, Thing], revision: int) -> Selection:
    return Selection((one for one in current.values() if world.matches(reference, one)), revision)
