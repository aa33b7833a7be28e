"""Objects as tests read them: a ``Thing`` is the object's tree whose members are attributes too, a ``Selection`` several of them.

What an object does not have is None, so that ``thing.status.readyReplicas == 3`` may be asked at any time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Thing(dict[str, Any]):
    """The tree as the API serves it: ``thing["spec"]["replicas"]`` and ``thing.spec.replicas`` are the same.

    A member of the name of a dict's method (``items``, ``values``, ``keys`` …) is reached by its key only.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return thing(self.get(name.rstrip("_")))

    @property
    def name(self) -> str:
        return str(self.get("metadata", {}).get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.get("metadata", {}).get("namespace", ""))

    def condition(self, kind: str) -> Thing | None:
        """The condition of that type, upper or lower case."""
        for found in (self.get("status") or {}).get("conditions") or ():
            if str(found.get("type", "")).lower() == kind.lower():
                return Thing(found)
        return None

    def at(self, path: str) -> Any:
        """``at("spec.template.spec.containers[0].image")``; None where there is nothing."""
        found: Any = self
        for step in path.replace("[", ".").replace("]", "").split("."):
            if isinstance(found, list):
                found = found[int(step)] if step.lstrip("-").isdigit() and -len(found) <= int(step) < len(found) else None
            else:
                found = found.get(step) if isinstance(found, dict) else None
        return thing(found)


def thing(value: Any) -> Any:
    """Trees become Things, inside lists as well."""
    if isinstance(value, dict):
        return value if isinstance(value, Thing) else Thing(value)
    if isinstance(value, list):
        return [thing(item) for item in value]
    return value


class Selection(list[Thing]):
    """Objects of one kind at one moment, by namespace and name. ``revision`` is the store's."""

    def __init__(self, found: Iterable[Thing] = (), revision: int = 0) -> None:
        super().__init__(sorted(found, key=lambda t: (t.namespace, t.name)))
        self.revision = revision

    @property
    def names(self) -> list[str]:
        return [t.name for t in self]

    @property
    def ready(self) -> int:
        """How many have the condition Ready, or Available where there is no Ready, and are not being deleted."""
        return sum(is_ready(t) for t in self)

    @property
    def phases(self) -> dict[str, int]:
        """How many there are of each ``status.phase``."""
        found: dict[str, int] = {}
        for one in self:
            phase = str(one.at("status.phase") or "")
            found[phase] = found.get(phase, 0) + 1
        return found


def is_ready(one: Thing) -> bool:
    if one.at("metadata.deletionTimestamp"):
        return False
    found = one.condition("Ready") or one.condition("Available")
    return found is not None and found.get("status") == "True"
