"""What the daemon has of this driver instance, as contract values.

What comes in: the daemon's short list, once a second. What goes out: Sandboxes and Containers. Only what looks different than at the last
look is inspected: a container's config never changes, what runs keeps its pid, what has ended stays so. A container's log is complete
before it is told to have ended.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from bareboat.contracts.cri import Container, Sandbox
from bareboat.contracts.errors import NotFound
from bareboat_cri_docker import translate
from bareboat_cri_docker.backend import Docker
from bareboat_cri_docker.logs import Logs

Kind = Literal["sandbox", "container"]
V = TypeVar("V", Sandbox, Container)


class Seen(Generic[V]):
    """Values by id, each with the state in which the daemon had it."""

    def __init__(self, kind: Kind, value_of: Callable[[dict[str, Any]], V]) -> None:
        self.kind = kind
        self.value_of: Callable[[dict[str, Any]], V] = value_of
        self.known: dict[str, tuple[str, V]] = {}


class Inventory:
    """Of one instance on one daemon. Synchronous; any thread."""

    def __init__(self, docker: Docker, instance: str, logs: Logs, failed: Path) -> None:
        self.docker, self.instance, self.logs = docker, instance, logs
        self._failed = failed
        failed.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sandboxes: Seen[Sandbox] = Seen("sandbox", translate.sandbox_of)
        self._containers: Seen[Container] = Seen("container", self._container_of)

    def filters(self, kind: Kind | None = None, sandbox: str = "") -> dict[str, list[str]]:
        wanted = [f"{translate.INSTANCE}={self.instance}"]
        wanted += [f"{translate.KIND}={kind}"] if kind else []
        wanted += [f"{translate.SANDBOX}={sandbox}"] if sandbox else []
        return {"label": wanted}

    def sandboxes(self) -> list[Sandbox]:
        return self._list(self._sandboxes)

    def containers(self, sandbox: str = "") -> list[Container]:
        return self._list(self._containers, sandbox)

    def sandbox(self, sandbox_id: str) -> Sandbox | None:
        """As it is now."""
        return self._look(self._sandboxes, sandbox_id)

    def container(self, container_id: str) -> Container | None:
        return self._look(self._containers, container_id)

    def known_sandbox(self, sandbox_id: str) -> Sandbox:
        """As it was at some time: its config does not change. Raises NotFound."""
        known = self._sandboxes.known.get(sandbox_id)
        found = known[1] if known else self.sandbox(sandbox_id)
        if found is None:
            raise NotFound(f"no sandbox {sandbox_id}")
        return found

    def inspect(self, name: str, kind: Kind) -> dict[str, Any] | None:
        """The daemon's own words about one of ours, None if there is no such thing."""
        try:
            found: dict[str, Any] = self.docker.api.inspect_container(name)
        except OSError as error:
            if translate.status_of(error) == 404:
                return None
            raise
        labels = found["Config"]["Labels"] or {}
        ours = labels.get(translate.INSTANCE) == self.instance and labels.get(translate.KIND) == kind
        return found if ours and name in (found["Id"], found["Name"].removeprefix("/")) else None

    def note_failure(self, container_id: str) -> None:
        """It could not be started, just now."""
        (self._failed / container_id).touch()
        self._containers.known.pop(container_id, None)

    def forget(self, some_id: str) -> None:
        self._sandboxes.known.pop(some_id, None)
        self._containers.known.pop(some_id, None)
        (self._failed / some_id).unlink(missing_ok=True)

    def _look(self, seen: Seen[V], some_id: str) -> V | None:
        found = self.inspect(some_id, seen.kind) if some_id and "/" not in some_id else None
        if found is None:
            seen.known.pop(some_id, None)
            return None
        value = seen.value_of(found)
        seen.known[some_id] = (found["State"]["Status"], value)
        return value

    def _list(self, seen: Seen[V], sandbox: str = "") -> list[V]:
        entries = self.docker.api.containers(all=True, filters=self.filters(seen.kind, sandbox))
        found = [value for entry in entries if (value := self._current(seen, entry)) is not None]
        if not sandbox:
            gone = seen.known.keys() - {e["Id"] for e in entries}
            for some_id in gone:
                seen.known.pop(some_id, None)
        return found

    def _current(self, seen: Seen[V], entry: dict[str, Any]) -> V | None:
        known = seen.known.get(entry["Id"])
        if known is not None and (known[0] == entry["State"] or (known[1].state in ("EXITED", "NOTREADY") and known[0] != "created")):
            return known[1]
        return self._look(seen, entry["Id"])

    def _container_of(self, found: dict[str, Any]) -> Container:
        note = self._failed / found["Id"]
        failed_at = note.stat().st_mtime_ns if note.exists() else 0
        value = translate.container_of(found, failed_at)
        if value.state == "EXITED":
            self.logs.finish(value.id)
        return value
