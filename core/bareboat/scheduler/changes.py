"""What changes in the cluster, told to the columns, the nominations and the queue.

What comes in: pods, nodes and namespaces from the informers. What goes out: columns that are true, waiting pods that are queued, and
for every change that may help refused pods its kind. Decisions and writes are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bareboat.models import core_v1
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import InformerFactory
from bareboat.reconcile.state import State
from bareboat.scheduler.columns import Columns, static_changed
from bareboat.scheduler.facts import NodeFacts, Placed
from bareboat.scheduler.nominations import Nominations
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.queue import SchedulingQueue
from bareboat.scheduler.requests import PodUse, PodUses
from bareboat.scheduler.verdict import NODE, POD_GONE, POD_PLACED

ENDED = ("Succeeded", "Failed")


class _Labels(msgspec.Struct):
    labels: dict[str, str] = {}


class _Wish(msgspec.Struct):
    """What a pod asks for, without a look at what it means."""

    metadata: _Labels = msgspec.field(default_factory=_Labels)
    spec: msgspec.Raw = msgspec.Raw(b"")


class Changes:
    """``wants`` says whether a pod is to be scheduled, ``busy`` whether its key is in someone's hands."""

    def __init__(
        self,
        columns: Columns,
        queue: SchedulingQueue,
        nominations: Nominations,
        informers: InformerFactory,
        wants: Callable[[core_v1.Pod | PodFacts], bool],
        busy: Callable[[str], bool],
    ) -> None:
        self._columns, self._queue, self._nominations = columns, queue, nominations
        self._wants, self._busy = wants, busy
        self.uses = PodUses()
        #: what a pod was decided on, and where it will be: its binding, when it comes, tells nothing new
        self._assumed: dict[str, tuple[bytes | None, bytes]] = {}
        #: labels of every namespace
        self.namespaces: dict[str, dict[str, str]] = {}
        self.pods = informers.of(core_v1.Pod)
        self._nodes = informers.of(core_v1.Node)
        self._spaces = informers.of(core_v1.Namespace)
        self._spaces.on_change(self._namespace_changed)
        self._nodes.on_view(self._node_changed, NodeFacts)
        self.pods.on_state(self._pod_changed)

    async def synced(self) -> None:
        for informer in (self._spaces, self._nodes, self.pods):
            await informer.synced()

    def assume(self, key: str, pod: core_v1.Pod, use: PodUse, node: str) -> None:
        """The pod takes its room from now on."""
        pod.spec.nodeName = node
        self._nominations.remove(key)
        self._assumed[key] = (self.pods.raw(key), f'"nodeName":"{node}"'.encode())
        self._columns.put_pod(PlacedPod(key, pod, use))

    def forget(self, key: str) -> None:
        """The pod was not bound after all."""
        self._assumed.pop(key, None)
        self._columns.remove_pod(key)
        self._queue.wake(POD_GONE)

    def _pod_changed(self, key: str, before: State, after: State) -> None:
        known, place = self._assumed.pop(key, (None, b""))
        if known is not None and after.data is not None and before.data is known and place in after.data:
            self._queue.remove(key)
            self._queue.wake(POD_PLACED)
            return
        pod: PodFacts | None = after.of(PodFacts)
        if pod is None or pod.status.phase in ENDED:
            self._gone(key)
        elif pod.spec.nodeName:
            if pod is not before.of(PodFacts) or pod.metadata.deletionTimestamp or key not in self._columns.placed():
                self._placed(key, after.alone(Placed))
        elif key in self._columns.placed():
            return  # assumed; the binding will tell
        elif self._wants(pod):
            self._waiting(key, pod, before, after)
        else:
            self._gone(key)

    def _gone(self, key: str) -> None:
        self._queue.remove(key)
        nominated = self._nominations.remove(key)
        if self._columns.remove_pod(key) or nominated:
            self._queue.wake(POD_GONE)

    def _placed(self, key: str, pod: Any) -> None:
        self._queue.remove(key)
        self._nominations.remove(key)
        before = self._columns.placed().get(key)
        after = PlacedPod(key, pod, self.uses.of(pod))
        self._columns.put_pod(after)
        if before is None or before.labels != after.labels or before.terminating != after.terminating:
            self._queue.wake(POD_PLACED)
        if before is not None and before.use.requests != after.use.requests:
            self._queue.wake(POD_GONE)

    def _waiting(self, key: str, pod: PodFacts, before: State, after: State) -> None:
        was: PodFacts | None = before.of(PodFacts)
        nominated = pod.status.nominatedNodeName
        if nominated != (was.status.nominatedNodeName if was else ""):
            self._nominate(key, after.of(core_v1.Pod), nominated)
        if self._busy(key):
            return
        if not self._queue.holds(key):
            self._queue.add(key, pod.spec.priority or 0)
        elif was is not None and before.of(_Wish) != after.of(_Wish):
            self._queue.wake_some([key])  # its own status must not bring it back, a change of what it asks for must

    def _nominate(self, key: str, pod: core_v1.Pod, node: str) -> None:
        if node:
            self._nominations.put(key, pod, self.uses.of(pod), node)
        elif self._nominations.remove(key):
            self._queue.wake(POD_GONE)
            self._queue.wake_some([key])

    def _node_changed(self, key: str, old: NodeFacts | None, node: NodeFacts | None) -> None:
        if node is old:
            return
        name = key.lstrip("/")
        if node is None:
            self._columns.remove_node(name)
            self._queue.wake(NODE)
            return
        i = self._columns.index.get(name)
        before = self._columns.nodes[i] if i is not None else None
        self._columns.put_node(node)
        if before is None or static_changed(before, node) or before.status.allocatable != node.status.allocatable:
            self._queue.wake(NODE)

    def _namespace_changed(self, key: str, _old: bytes | None, new: bytes | None) -> None:
        space = self._spaces.get(key) if new is not None else None
        name = key.lstrip("/")
        labels = space.metadata.labels if space else {}
        if self.namespaces.get(name) != labels:
            self.namespaces[name] = labels
            self._queue.wake(POD_PLACED)
        if space is None:
            self.namespaces.pop(name, None)
