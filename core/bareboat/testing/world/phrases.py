"""What ``world.until`` waits for, said in words: ``deployment/web is available``, ``3 pods -l app=web are ready``, ``pod/x is gone``,
``boat/argo has status.phase=Afloat``.

In: the phrase. Out: the reference's text and a test over a ``Selection``. Waiting, and telling what was seen, is ``waiting``'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from bareboat.testing.world.things import Selection, Thing, is_ready

_PHRASE = re.compile(r"^(?:(?P<count>\d+)\s+)?(?P<reference>.+?)\s+(?:is|are|has|have)\s+(?P<negated>not\s+|no\s+)?(?P<what>.+)$")
Test = Callable[[Thing], bool]


class Phrase(msgspec.Struct, frozen=True):
    """``holds`` of what ``reference`` selects."""

    reference: str
    holds: Callable[[Selection], bool]


def parse(text: str) -> Phrase:
    """Raises ValueError with the forms that there are."""
    found = _PHRASE.match(text.strip())
    if found is None:
        raise ValueError(
            f"{text!r} says nothing to wait for; write `KIND/NAME is WORD`, `N KIND -l SELECTOR are WORD` or `KIND/NAME has PATH=VALUE`"
        )
    count, what, negated = found["count"], found["what"].strip(), bool(found["negated"])
    if what in ("gone", "there"):
        wants_some = (what == "there") != negated
        wanted = int(count) if count and wants_some else None
        return Phrase(found["reference"], lambda seen: (len(seen) == wanted) if wanted is not None else bool(seen) == wants_some)
    test = _test(what)
    return Phrase(found["reference"], lambda seen: _enough(seen, test, negated, int(count) if count else None))


def _enough(seen: Selection, test: Test, negated: bool, count: int | None) -> bool:
    matching = sum(test(one) != negated for one in seen)
    if count is not None:
        return matching == count
    return bool(seen) and matching == len(seen)


def _test(what: str) -> Test:
    path, operator, value = re.match(r"^([^=!<>]+?)\s*(>=|<=|!=|=|$)\s*(.*)$", what).groups()  # type: ignore[union-attr]
    if operator:
        return lambda one: _compare(one.at(path.strip()), operator, value)
    if "." in what or "[" in what:
        return lambda one: one.at(what) is not None
    return WORDS.get(what.lower().replace("-", " "), lambda one: _condition(one, what))


def _compare(found: object, operator: str, value: str) -> bool:
    if operator in (">=", "<="):
        number = float(found) if isinstance(found, int | float) else 0.0
        return number >= float(value) if operator == ">=" else number <= float(value)
    text = {True: "true", False: "false", None: ""}.get(found, str(found)) if isinstance(found, bool | None) else str(found)
    return (text == value.strip("'\"")) == (operator == "=")


def _condition(one: Thing, kind: str) -> bool:
    found = one.condition(kind)
    return found is not None and found.get("status") == "True"


def _rolled_out(one: Thing) -> bool:
    """Every replica that is wanted is of the newest revision and ready, and no other is left."""
    wanted = one.at("spec.replicas")
    wanted = one.at("status.desiredNumberScheduled") if wanted is None else wanted
    seen = (one.at("status.observedGeneration") or 0) >= (one.at("metadata.generation") or 0)
    fresh = one.at("status.updatedReplicas") or one.at("status.updatedNumberScheduled") or 0
    ready = one.at("status.availableReplicas") or one.at("status.numberAvailable") or 0
    every = one.at("status.replicas") or one.at("status.currentNumberScheduled") or 0
    return seen and fresh == wanted == ready == every


def _available(one: Thing) -> bool:
    """The condition where there is one, and all replicas that are wanted."""
    if one.get("kind") in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        wanted = one.at("spec.replicas")
        wanted = one.at("status.desiredNumberScheduled") if wanted is None else wanted
        ready = one.at("status.availableReplicas") or one.at("status.numberAvailable") or 0
        seen = (one.at("status.observedGeneration") or 0) >= (one.at("metadata.generation") or 0)
        return seen and wanted is not None and bool(ready >= wanted)
    return _condition(one, "Available")


def _phase(name: str) -> Test:
    return lambda one: str(one.at("status.phase") or "").lower() == name


#: Beside these every word is a condition of ``status.conditions`` that has to be True.
WORDS: dict[str, Test] = {
    "ready": lambda one: _available(one) if one.get("kind") in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet") else is_ready(one),
    "available": _available,
    "rolled out": _rolled_out,
    "running": _phase("running"),
    "pending": _phase("pending"),
    "succeeded": _phase("succeeded"),
    "bound": _phase("bound"),
    "active": _phase("active"),
    "terminating": lambda one: bool(one.at("metadata.deletionTimestamp")),
    "scheduled": lambda one: bool(one.at("spec.nodeName")) or _condition(one, "PodScheduled"),
}
