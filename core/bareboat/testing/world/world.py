"""``World``: a cluster for a test. API, controllers, scheduler, garbage collection and nodes as data, all on the running event loop.

On an event loop of virtual time (``testing.virtual_time``) an hour passes in milliseconds, and what happens is the same every time. Over
HTTPS (``serve``) any client may join in; then time is real. Several worlds live in one process and share nothing.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bareboat.base.clock import Clock, LoopClock, SystemClock
from bareboat.base.ids import SeededIds
from bareboat.client.client import Client
from bareboat.contracts.auth import UserInfo
from bareboat.models import core_v1
from bareboat.models.scheme import Scheme
from bareboat.models.selectors import parse_fields, parse_labels
from bareboat.testing.virtual_time import VirtualTimeLoop
from bareboat.testing.world import waiting
from bareboat.testing.world.faults import WORLD, Faults
from bareboat.testing.world.nodes import Drivers, Logs, WorldNode, fake_drivers
from bareboat.testing.world.plane import Plane
from bareboat.testing.world.references import Reference, parse
from bareboat.testing.world.things import Selection, Thing
from bareboat.testing.world.verbs import Verbs

#: Who ``world.client`` is: an administrator that faults concern.
OPERATOR = UserInfo(name="operator", groups=("system:masters", "system:authenticated"))
PATIENCE = 300.0


class World:
    """``async with World() as world``. For references see ``testing.world.references``, for phrases ``testing.world.phrases``."""

    def __init__(
        self,
        *,
        nodes: int = 1,
        controllers: bool | Sequence[str] = True,
        admission: bool = True,
        rbac: bool = False,
        plugins: Sequence[Any] = (),
        drivers: Drivers = fake_drivers,
        labels: Mapping[str, str] | None = None,
        capacity: Mapping[str, int] | None = None,
        namespace: str = "default",
        seed: int = 1,
    ) -> None:
        """``controllers``: all (with the scheduler), none, or their names. ``rbac``: clients need roles, except administrators.
        ``plugins``: names of installed hook plugins, or modules with hooks. ``capacity`` of a node: cpu, memory, pods."""
        self.namespace = namespace
        self.faults = Faults()
        self.nodes: dict[str, WorldNode] = {}
        self._wanted = (nodes, controllers, admission, rbac, plugins, seed)
        self._drivers, self._labels, self._capacity = drivers, labels or {}, capacity or {}
        self._directory = tempfile.TemporaryDirectory(prefix="bareboat-world-", ignore_cleanup_errors=True)
        self._face: Any = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> Self:
        """Ready when it returns: API, controllers, nodes."""
        nodes, controllers, admission, rbac, plugins, seed = self._wanted
        virtual = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
        self.clock: Clock = LoopClock() if virtual else SystemClock()
        self._seed = seed
        self.plane = Plane(
            self.faults, clock=self.clock, ids=SeededIds(seed), admission=admission, rbac=rbac, controllers=controllers, plugins=plugins
        )
        await self.plane.start()
        self.scheme: Scheme = self.plane.kernel.scheme
        self._logs = Logs(self.plane, self.nodes)
        self._verbs = Verbs(self.plane.client(WORLD, "bareboat-world"))
        self.client: Client = self.client_for(OPERATOR)
        if controllers is not False:
            await asyncio.gather(*(self.add_node() for _ in range(nodes)))
            await self._settled()
        self._marked = self.revision
        return self

    async def stop(self) -> None:
        """Twice is fine."""
        if self._face is not None:
            await self._face.stop()
            self._face = None
        for node in self.nodes.values():
            await node.stop()
        self.nodes.clear()
        await self.plane.stop()
        self._directory.cleanup()

    async def _settled(self) -> None:
        """Until the nodes can take pods and the namespace has its service account."""
        everything = self._wanted[1] is True
        for name in self.nodes:
            await self.until(f"node/{name} is ready")
        if everything:
            await self.until(f"serviceaccount/{self.namespace}/default is there")

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def time(self) -> float:
        """Seconds; virtual where the loop's time is."""
        return asyncio.get_running_loop().time()

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, with all that happens in it."""
        await asyncio.sleep(seconds)

    async def until(self, wanted: str | Callable[[], Any], timeout: float = PATIENCE) -> Any:
        """Until the phrase holds, or the callable (sync or async) gives something true; that, or what the phrase is about. Raises
        AssertionError that says what was seen instead."""
        return await waiting.until(self, wanted, timeout)

    async def history(self, reference: str, *, quiet: float = 30.0, through: str = "") -> AsyncIterator[Selection]:
        """Every state that the selected objects were and are in since the last verb of this world, one by one; ends when they have not
        changed for ``quiet`` seconds, or when the phrase ``through`` holds."""
        async for selection in waiting.history(self, self.reference(reference), self._marked, quiet, through):
            yield selection

    @property
    def revision(self) -> int:
        """Of the store: how many writes there were."""
        return self.plane.kernel.log.head

    # ── objects ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def reference(self, text: str) -> Reference:
        return parse(self.scheme, text, self.namespace)

    async def apply(self, *sources: Any) -> list[Thing]:
        """Server-side apply of what each source holds: a path to YAML or JSON (a folder: all of it), the text, a tree, or a list of them.
        Definitions of kinds are in force when it returns."""
        self._mark()
        return [await self._apply(tree) for source in sources for tree in self._verbs.trees(source)]

    async def _apply(self, tree: dict[str, Any]) -> Thing:
        made = await self._verbs.apply(tree, self.namespace)
        if made.get("kind") == "CustomResourceDefinition":
            made = await self.until(f"customresourcedefinition/{made.name} is established")
        return made

    async def create(self, source: Any) -> Thing:
        """Raises AlreadyExists."""
        self._mark()
        return await self._verbs.create(next(iter(self._verbs.trees(source))), self.namespace)

    async def get(self, reference: str) -> Thing:
        """Raises NotFound."""
        return await self._verbs.get(self.reference(reference))

    async def list(self, reference: str) -> Selection:
        """Also of one object: then it is in it, or nothing."""
        return await self._verbs.list(self.reference(reference))

    async def exists(self, reference: str) -> bool:
        return bool(await self.list(reference))

    async def delete(self, reference: str, *, grace: int | None = None, propagation: str = "") -> None:
        """One object, or all that are selected. Does not wait: ``until("… is gone")`` does."""
        self._mark()
        await self._verbs.delete(self.reference(reference), grace, propagation)

    async def patch(self, reference: str, patch: Any, *, type: str = "merge", subresource: str = "") -> Thing:
        """``type`` is merge, json, strategic or apply."""
        self._mark()
        return await self._verbs.patch(self.reference(reference), patch, type, subresource)

    async def status(self, reference: str, **fields: Any) -> Thing:
        """Set members of the object's status."""
        return await self.patch(reference, {"status": fields}, subresource="status")

    async def scale(self, reference: str, replicas: int) -> Thing:
        return await self.patch(reference, {"spec": {"replicas": replicas}})

    async def label(self, reference: str, **labels: str | None) -> Thing:
        """None removes a label."""
        return await self.patch(reference, {"metadata": {"labels": labels}})

    async def annotate(self, reference: str, annotations: Mapping[str, str | None]) -> Thing:
        return await self.patch(reference, {"metadata": {"annotations": dict(annotations)}})

    async def set_image(self, reference: str, image: str, container: str = "") -> Thing:
        """Of the pod template's container of that name, or its first."""
        found = await self.get(reference)
        containers = found.at("spec.template.spec.containers")
        number = next((i for i, c in enumerate(containers) if c.get("name") == container), 0)
        return await self.patch(
            reference, [{"op": "replace", "path": f"/spec/template/spec/containers/{number}/image", "value": image}], type="json"
        )

    async def restart(self, reference: str) -> Thing:
        """A new roll-out of the same template."""
        notes = {"kubectl.kubernetes.io/restartedAt": self.clock.timestamp()}
        return await self.patch(reference, {"spec": {"template": {"metadata": {"annotations": notes}}}})

    async def events(self, reference: str = "") -> Selection:
        """The Events about an object, or all in the namespace."""
        found = await self.list("events")
        about = self.reference(reference) if reference else None
        return Selection(e for e in found if about is None or e.at("involvedObject.name") == about.name)

    async def logs(self, reference: str, container: str = "") -> str:
        """What the pod has written."""
        pod = self.reference(reference)
        found = await self.client_for(WORLD).get(core_v1.Pod, pod.name, pod.namespace)
        return b"".join([chunk async for chunk in await self._logs.read(found, container)]).decode()

    def matches(self, reference: Reference, one: Thing) -> bool:
        """Whether the reference selects the object."""
        if reference.name and one.name != reference.name:
            return False
        if reference.namespace and one.namespace != reference.namespace:
            return False
        if reference.labels and not parse_labels(reference.labels).matches(one.at("metadata.labels") or {}):
            return False
        wanted = parse_fields(reference.fields) if reference.fields else []
        return all((str(one.at(path) or "") == value) == (operator != "!=") for path, operator, value in wanted)

    def _mark(self) -> None:
        self._marked = self.revision

    # ── nodes, identities, the way in ────────────────────────────────────────────────────────────────────────────────

    async def add_node(self, name: str = "", labels: Mapping[str, str] | None = None) -> WorldNode:
        """A further node; ``until("node/n2 is ready")`` waits for it."""
        number = len(self.nodes) + 1
        name = name or f"n{number}"
        marks = {**self._labels, **(labels or {})}
        node = WorldNode(self.plane, Path(self._directory.name), name, number, self._drivers, marks, self._capacity)
        self.nodes[name] = node
        await node.start()
        return node

    async def lose_node(self, name: str) -> None:
        """The machine is silent from now on: NotReady after 40 s or so, its pods evicted as they tolerate it."""
        self._mark()
        await self.nodes[name].lose()

    async def find_node(self, name: str) -> None:
        """A lost one is back, with the containers that it had."""
        await self.nodes[name].start()

    def client_for(self, user: UserInfo | str) -> Client:
        """A client with that identity; a name alone is a user of no group."""
        if isinstance(user, str):
            user = UserInfo(name=user, groups=("system:authenticated",))
        return self.plane.client(user)

    async def compact(self) -> int:
        """Forget all history: whoever watches on from before gets a real 410. The oldest revision that is kept."""
        log = self.plane.kernel.log
        await log.compact(log.head, log.head)
        return log.compacted

    async def serve(self, port: int = 0) -> str:
        """Offer the API over HTTPS on the loopback address, with ``kubeconfig``. The URL. Needs a loop of real time."""
        from bareboat.testing.world.face import Face

        if self._face is None:
            self._face = Face(self.plane, Path(self._directory.name))
            await self._face.start(port)
        return self.url

    @property
    def url(self) -> str:
        """Raises RuntimeError before ``serve``."""
        return self._served.url  # type: ignore[no-any-return]

    @property
    def kubeconfig(self) -> Path:
        """A file that any client reads, of an administrator. Raises RuntimeError before ``serve``."""
        return self._served.kubeconfig  # type: ignore[no-any-return]

    @property
    def _served(self) -> Any:
        if self._face is None:
            raise RuntimeError("the world has no HTTP face yet: `await world.serve()` first, in a test marked real_time")
        return self._face
