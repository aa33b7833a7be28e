"""What a test breaks: answers that are errors, watches that end, come late or start from nowhere, a store that is slow or full.

In: rules that a test adds. Out: ``meet``, asked by the API for every request, and ``Airwaves``, through which all events go. A rule
concerns the clients under test; the cluster's own components meet it only with ``of="*"`` or when they are named. The verbs of the
world itself never fail. Nothing is random: a rule holds for its next ``times`` requests.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import msgspec

from bareboat.api.request import ApiRequest, RequestInfo
from bareboat.api.service import Service
from bareboat.contracts.auth import UserInfo
from bareboat.contracts.errors import Exhausted
from bareboat.contracts.store import Row
from bareboat.models import status
from bareboat.store.broadcast import CAPACITY, Broadcast, SlowSubscriber, Subscription
from bareboat.store.entry import Change
from bareboat.store.errors import StoreFailed
from bareboat.store.followers import Make, Offer
from bareboat.store.memory import MemoryStore

#: Who the world's own verbs are done by.
WORLD = UserInfo(name="bareboat:world", groups=("system:masters", "system:authenticated"))
COMPONENTS = ("system:serviceaccount:kube-system:", "system:kube-", "system:node:", "system:apiserver", WORLD.name)
FOREVER = 1_000_000_000
_asking: contextvars.ContextVar[str] = contextvars.ContextVar("bareboat_world_user", default=WORLD.name)

_ERRORS: dict[int, Callable[[str], status.ApiError]] = {
    400: status.BadRequest,
    403: lambda text: status.Forbidden(text, details={}),
    404: lambda text: status.NotFound(text, details={}),
    409: lambda text: status.Conflict(text, details={}),
    410: status.ResourceExpired,
    429: lambda text: status.TooManyRequests(text, retry_after=1),
    500: status.InternalError,
    503: status.ServiceUnavailable,
    504: status.Timeout,
}


class Fault(msgspec.Struct, kw_only=True):
    """One rule: ``left`` requests that it still concerns, ``met`` those that it has. ``verb``, ``kind`` (plural), ``of`` are patterns."""

    code: int
    verb: str = "*"
    kind: str = "*"
    name: str = "*"
    of: str = ""
    delay: float = 0.0
    left: int = 1
    met: int = 0

    def concerns(self, user: str, info: RequestInfo) -> bool:
        matches = fnmatchcase(info.verb, self.verb) and fnmatchcase(info.resource, self.kind) and fnmatchcase(info.name, self.name)
        return self.left > 0 and matches and concerned(user, self.of)


class Faults:
    """Of one world: ``world.faults``."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self.airwaves = Airwaves()
        self.store = BrittleStore()

    def fail(self, verb: str = "*", kind: str = "*", *, code: int, times: int = 1, name: str = "*", of: str = "") -> Fault:
        """The next ``times`` requests of that verb (as RBAC names it: get, list, watch, create, update, patch, delete) on that kind
        (plural) answer with ``code``: 400, 403, 404, 409, 410, 429, 500, 503 or 504. ``met`` of what is returned counts them."""
        if code not in _ERRORS:
            raise ValueError(f"code {code} is not offered; choose of {', '.join(map(str, _ERRORS))}")
        return self._add(Fault(code=code, verb=verb, kind=kind, name=name, of=of, left=times))

    def delay(self, verb: str = "*", kind: str = "*", *, seconds: float, times: int = FOREVER, of: str = "") -> Fault:
        """The next ``times`` requests are answered ``seconds`` late."""
        return self._add(Fault(code=0, verb=verb, kind=kind, delay=seconds, of=of, left=times))

    def cut_watches(self, kind: str = "*", *, of: str = "", expired: bool = False) -> int:
        """End the watches of that kind that are open now; ``expired``: with 410, so that the client has to list again. How many."""
        return self.airwaves.cut(kind, of, expired)

    def late_watches(self, kind: str = "*", *, seconds: float, of: str = "") -> None:
        """From now on, events of that kind reach watchers ``seconds`` after they happened, also in the watches that are open."""
        self.airwaves.hold(kind, of, seconds)

    def slow_store(self, seconds: float) -> None:
        """Every write takes so long from now on; 0 ends it."""
        self.store.seconds = seconds

    def full_store(self, full: bool = True) -> None:
        """Writes fail (503) until ``full_store(False)``; reads and watches go on."""
        self.store.full = full

    def clear(self) -> None:
        """Everything works again."""
        self._rules.clear()
        self.airwaves.lateness.clear()
        self.slow_store(0)
        self.full_store(False)

    def _add(self, fault: Fault) -> Fault:
        self._rules.append(fault)
        return fault

    async def meet(self, user: UserInfo, info: RequestInfo) -> None:
        """Raises ApiError if a rule concerns the request."""
        _asking.set(user.name)
        for rule in self._rules:
            if rule.concerns(user.name, info):
                rule.left -= 1
                rule.met += 1
                if rule.delay:
                    await asyncio.sleep(rule.delay)
                if rule.code:
                    raise _ERRORS[rule.code](f"the test makes {info.verb} of {info.resource or info.path} fail")


def concerned(user: str, of: str) -> bool:
    """``of`` "" is everyone but the cluster's own components and the world."""
    if user == WORLD.name:
        return False
    return fnmatchcase(user, of) if of else not user.startswith(COMPONENTS)


def faulty_service(faults: Faults) -> type[Service]:
    """The API, asking ``faults`` after it has authorized."""

    class FaultyService(Service):
        async def authorize(self, request: ApiRequest, info: RequestInfo) -> None:
            await super().authorize(request, info)
            await faults.meet(request.user, info)

    return FaultyService


class BrittleStore(MemoryStore):
    """Slow or full on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.full = False

    async def append(self, rows: Sequence[Row]) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.full:
            raise Exhausted("no space left, as the test asked for")
        await super().append(rows)


class Airwaves(Broadcast):
    """All events on their way to watchers, and a word to whoever waits for the next change."""

    def __init__(self) -> None:
        super().__init__()
        self.lateness: list[tuple[str, str, float]] = []
        #: How often something was published.
        self.published = 0
        self._waiting: set[asyncio.Event] = set()
        self._open: set[Receiver] = set()

    def subscribe(self, prefix: str, capacity: int = CAPACITY) -> Subscription:
        found = Receiver(self, prefix, capacity, _asking.get())
        self._open.add(found)
        return self.add(found)

    def remove(self, subscription: Subscription) -> None:
        super().remove(subscription)
        self._open.discard(subscription)

    def publish(self, changes: Sequence[Change]) -> None:
        super().publish(changes)
        self.published += 1
        for event in self._waiting:
            event.set()

    def cut(self, kind: str, of: str, expired: bool) -> int:
        found = [r for r in self._open if fnmatchcase(r.kind, kind) and concerned(r.user, of)]
        for receiver in found:
            receiver.fail(SlowSubscriber("the test says so") if expired else StoreFailed("the watch was cut, as the test asked for"))
        return len(found)

    def hold(self, kind: str, of: str, seconds: float) -> None:
        self.lateness.append((kind, of, seconds))

    def late(self, receiver: Receiver) -> float:
        return next(
            (s for kind, of, s in reversed(self.lateness) if fnmatchcase(receiver.kind, kind) and concerned(receiver.user, of)), 0.0
        )

    async def change(self, known: int, seconds: float) -> None:
        """Until something has changed since ``published`` was ``known``, or until the time has passed."""
        if self.published != known:
            return
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            self._waiting.discard(event)


class Receiver(Subscription):
    """One watch; ``user`` is who watches. Events keep their order however late they are."""

    def __init__(self, airwaves: Airwaves, prefix: str, capacity: int, user: str) -> None:
        super().__init__(airwaves, prefix, capacity)
        self.kind = prefix.split("/")[1]
        self.user = user
        self._airwaves = airwaves
        self._arrives = 0.0

    def follow(self, offer: Offer, make: Make) -> None:
        """Each change comes by itself, late or not."""

    def push(self, change: Change) -> None:
        loop = asyncio.get_running_loop()
        self._arrives = max(self._arrives, loop.time() + self._airwaves.late(self))
        if self._arrives <= loop.time():
            super().push(change)
        else:
            loop.call_at(self._arrives, self._arrive, change)

    def _arrive(self, change: Change) -> None:
        super().push(change)
        self.wake()
