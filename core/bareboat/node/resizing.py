"""A pod's resources changed in place: given if the node has room, then told to the runtime, container by container.

What comes in: the pod as it should be. What goes out: what each container is given (kept in a file, so a restart of the agent changes
nothing), updates of running containers, and the conditions that say how far it has come.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.models.codec import copy, from_tree, to_tree
from bareboat.node import translation
from bareboat.node.allocations import Shortage, requests_of
from bareboat.node.pod_state import PodState, sidecars

if TYPE_CHECKING:
    from bareboat.node.services import NodeServices

_SIZES = ("cpu", "memory")


class Resizing:
    """Of one pod."""

    def __init__(self, node: NodeServices, state: PodState) -> None:
        self._node = node
        self._state = state
        self._allocated: dict[str, core_v1.ResourceRequirements] = {}
        self._applied: dict[str, cri.Resources] = {}
        self._pending: tuple[str, str] | None = None
        self._error = ""
        self._loaded = False

    def allocate(self, pod: core_v1.Pod) -> None:
        """Give the pod what it asks for, if there is room: all of it or nothing."""
        self._load()
        containers = [*pod.spec.containers, *sidecars(pod)]
        wanted = {c.name: copy(c.resources) for c in containers}
        requests = requests_of(pod, wanted)
        self._pending = None
        if self._allocated and wanted != self._allocated:
            shortage = self._node.allocations.shortage(self._state.uid, requests, _SIZES)
            if shortage is not None:
                self._pending = _reason(shortage)
                self._node.allocations.set(self._state.uid, requests_of(pod, self._allocated))
                return
        self._node.allocations.set(self._state.uid, requests)
        if wanted != self._allocated:
            self._allocated = wanted
            self._save()

    def sized(self, container: core_v1.Container) -> core_v1.Container:
        """The container with what it has been given."""
        if container.name not in self._allocated:
            return container
        fresh = copy(container)
        fresh.resources = self._allocated[container.name]
        return fresh

    async def apply(self, pod: core_v1.Pod, container: core_v1.Container, found: cri.Container) -> bool:
        """Tell the runtime. True if the container has to be restarted for it."""
        wanted = self._sizes(pod, container)
        have = self._applied.get(found.id, found.config.resources)
        if _same(wanted, have):
            return False
        if self._needs_restart(container, wanted, have):
            return True
        if not isinstance(self._node.runtime, cri.Update):
            self._error = "the runtime cannot change resources"
            return False
        try:
            await self._node.runtime.update_container_resources(found.id, wanted)
        except DriverError as error:
            self._error = error.message
            self._node.events.event(pod, "Warning", "ResizeError", f"Error resizing container {container.name}: {error.message}")
            raise
        self._applied[found.id] = wanted
        self._error = ""
        return False

    def _sizes(self, pod: core_v1.Pod, container: core_v1.Container) -> cri.Resources:
        return translation.resources(pod, self.sized(container), self._node.allocatable.get("memory", "0"))

    def _needs_restart(self, container: core_v1.Container, wanted: cri.Resources, have: cri.Resources) -> bool:
        policies = {p.resourceName: p.restartPolicy for p in container.resizePolicy}
        cpu = (wanted.cpu_shares, wanted.cpu_quota) != (have.cpu_shares, have.cpu_quota)
        memory = wanted.memory_limit != have.memory_limit
        return (cpu and policies.get("cpu") == "RestartContainer") or (memory and policies.get("memory") == "RestartContainer")

    def _in_progress(self, pod: core_v1.Pod) -> bool:
        for container in [*pod.spec.containers, *sidecars(pod)]:
            found = self._state.current(container.name)
            if found is not None and found.state == "RUNNING":
                have = self._applied.get(found.id, found.config.resources)
                if not _same(self._sizes(pod, container), have):
                    return True
        return False

    def report(self, pod: core_v1.Pod, status: core_v1.PodStatus, now: str) -> None:
        """Resources in the container statuses, and the conditions of a resize that is not over."""
        everybody = {**{c.name: c.resources for c in pod.spec.initContainers}, **self._allocated}
        for found in [*status.containerStatuses, *status.initContainerStatuses]:
            given = everybody.get(found.name)
            if given is not None and found.containerID:
                found.allocatedResources = dict(given.requests)
                found.resources = core_v1.ResourceRequirements(requests=dict(given.requests), limits=dict(given.limits))
        self._condition(pod, status, "PodResizePending", *(self._pending or ("", "")), now=now, wanted=self._pending is not None)
        progress = self._in_progress(pod)
        self._condition(pod, status, "PodResizeInProgress", "Error" if self._error else "", self._error, now=now, wanted=progress)

    def _condition(
        self, pod: core_v1.Pod, status: core_v1.PodStatus, kind: str, reason: str, message: str, *, now: str, wanted: bool
    ) -> None:
        known = next((c for c in status.conditions if c.type == kind), None)
        status.conditions = [c for c in status.conditions if c.type != kind]
        if not wanted:
            return
        since = known.lastTransitionTime if known is not None else now
        generation = pod.metadata.generation or 0
        status.conditions.append(
            core_v1.PodCondition(
                type=kind, status="True", reason=reason, message=message, lastTransitionTime=since, observedGeneration=generation
            )
        )

    def _file(self) -> Path:
        return self._node.pod_directory(self._state.uid) / "allocated.json"

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        if self._file().exists():
            trees = msgspec.json.decode(self._file().read_bytes())
            self._allocated = {name: from_tree(core_v1.ResourceRequirements, tree) for name, tree in trees.items()}

    def _save(self) -> None:
        self._file().parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        partial = self._file().with_suffix(".new")
        partial.write_bytes(msgspec.json.encode({name: to_tree(found) for name, found in self._allocated.items()}))
        partial.replace(self._file())


def _same(left: cri.Resources, right: cri.Resources) -> bool:
    return all(getattr(left, name) == getattr(right, name) for name in ("cpu_shares", "cpu_quota", "memory_limit"))


def _reason(shortage: Shortage) -> tuple[str, str]:
    if shortage.hopeless:
        what = f"Node didn't have enough capacity: {shortage.resource}, requested: {shortage.requested}, capacity: {shortage.capacity}"
        return "Infeasible", what
    text = f"Node didn't have enough resource: {shortage.resource}"
    return "Deferred", f"{text}, requested: {shortage.requested}, used: {shortage.used}, capacity: {shortage.capacity}"
