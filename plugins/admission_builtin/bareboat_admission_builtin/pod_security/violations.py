"""What checks say: a reason and a detail, in upstream's words, and the pieces these sentences are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from bareboat.models.status import quote
from bareboat_admission_builtin.pods import containers


class Violation(NamedTuple):
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


#: (annotations, pod spec) → what is wrong, or None.
Check = Callable[[dict[str, str], Any], Violation | None]


def each(spec: Any) -> Iterator[tuple[Any, Any]]:
    """(container, its security context or None)."""
    for _, container in containers(spec):
        yield container, container.securityContext


def quoted(names: Iterable[str]) -> str:
    return ", ".join(quote(name) for name in names)


def plural(word: str, names: list[str]) -> str:
    """``container "a"`` or ``containers "a", "b"``."""
    return f"{word if len(names) == 1 else word + 's'} {quoted(names)}"


def setters(pod: bool, names: list[str]) -> str:
    """Who set something: the pod, some containers, or both."""
    return " and ".join([*(["pod"] if pod else []), *([plural("container", names)] if names else [])])


def in_user_namespace(spec: Any) -> bool:
    return spec.hostUsers is False


def profile_of(context: Any, name: str) -> str | None:
    profile = getattr(context, name) if context is not None else None
    return None if profile is None else profile.type
