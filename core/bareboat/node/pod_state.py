"""What a worker knows of its pod: the sandbox that is ready, the attempts of every container, the address.

What comes in: the pod and the lists of the runtime. What goes out: facts that the parts of a worker share. Nothing is done here.
"""

from __future__ import annotations

from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.node.status import Observed, is_sidecar


class PodState:
    """Of one pod of one worker; filled again at every look."""

    def __init__(self, key: str, uid: str) -> None:
        self.key = key
        self.uid = uid
        self.seen: dict[str, Observed] = {}
        self.sandbox: cri.Sandbox | None = None
        self.address = ""

    def observe(self, pod: core_v1.Pod | None, sandboxes: list[cri.Sandbox], containers: list[cri.Container]) -> None:
        ready = [s for s in sandboxes if s.state == "READY"]
        self.sandbox = max(ready, key=lambda s: s.config.attempt) if ready else None
        names = {c.config.name for c in containers}
        if pod is not None:
            names |= {c.name for c in [*pod.spec.initContainers, *pod.spec.containers]} | {c.name for c in pod.spec.ephemeralContainers}
        for name in names:
            attempts = [c for c in containers if c.config.name == name]
            self.of(name).attempts = sorted(attempts, key=lambda c: (c.config.attempt, c.created_at))

    def of(self, name: str) -> Observed:
        return self.seen.setdefault(name, Observed())

    def current(self, name: str) -> cri.Container | None:
        attempts = self.of(name).attempts
        return attempts[-1] if attempts else None

    def newest(self) -> dict[str, cri.Container]:
        return {name: seen.attempts[-1] for name, seen in self.seen.items() if seen.attempts}

    def alive(self) -> dict[str, cri.Container]:
        """Newest attempts that run or may be about to."""
        return {name: found for name, found in self.newest().items() if found.state in ("RUNNING", "CREATED")}

    def handler(self) -> str:
        """Of the runtime that the pod runs on."""
        return self.sandbox.config.runtime_handler if self.sandbox is not None else ""


def sidecars(pod: core_v1.Pod) -> list[core_v1.Container]:
    return [c for c in pod.spec.initContainers if is_sidecar(c)]


def plain_inits(pod: core_v1.Pod) -> list[core_v1.Container]:
    return [c for c in pod.spec.initContainers if not is_sidecar(c)]
