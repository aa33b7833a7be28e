"""The driver that the kernel calls in the place of the real one: same contract, same capabilities, and nothing but what they promise.

In: a sound class and how it is made. Out: a driver whose verbs run on the real one's own thread. The real one is made when it is opened,
and again, after a while, if its constructor or ``open`` failed: until then every verb is Unavailable and ``status`` says which plugin and
why. An exception that is no DriverError and a value of the wrong type are bugs: logged with the traceback, answered as DriverError
"PluginBug".
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from abc import ABCMeta
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from bareboat.base.backoff import Backoff
from bareboat.contracts.driver import Driver, Health
from bareboat.contracts.errors import DriverError, SkipPlugin, Unavailable
from bareboat.plugins.running.returns import promise
from bareboat.plugins.running.streams import RemoteStreams, iterated, looks_like_streams
from bareboat.plugins.running.thread import DriverThread

#: Seconds that ``status`` may take, and between attempts to make a driver that failed.
STATUS_SECONDS = 5.0
Make = Callable[[], Driver]
log = logging.getLogger("bareboat.driver")


def guarded(cls: type[Driver], label: str, make: Make, *, inline: bool | None = None) -> Any:
    """A driver of ``cls``'s contract. ``inline``: on the caller's own loop, for drivers that never block (``Driver.inline``)."""
    on_own_loop = getattr(cls, "inline", False) if inline is None else inline
    members: dict[str, Any] = {name: _forwarder(name, verb) for name, verb in _verbs(cls).items()}
    members |= {name: _attribute(name) for name in attributes(cls)}
    made = ABCMeta(f"Guarded{cls.__name__}", (Guard, *_contract(cls)), members)
    return made(cls, label, make, None if on_own_loop else DriverThread(label))


def _contract(cls: type[Any]) -> list[type[Any]]:
    """The classes of the contract that the driver is: base and mixins, in its own order."""
    found = [c for c in inspect.getmro(cls) if c.__module__.startswith("bareboat.contracts.") and c is not Driver]
    return [c for c in found if not any(c is not other and issubclass(other, c) for other in found)]


def _verbs(cls: type[Any]) -> dict[str, Any]:
    verbs: dict[str, Any] = {}
    for base in reversed([c for c in inspect.getmro(cls) if c.__module__.startswith("bareboat.contracts.")]):
        verbs |= {n: v for n, v in vars(base).items() if inspect.isfunction(v) and not n.startswith("_")}
    return {n: v for n, v in verbs.items() if n not in ("open", "close", "status")}


def attributes(cls: type[Any]) -> set[str]:
    """What a contract's classes say of a driver beside its verbs: capabilities, names."""
    bases = [c for c in inspect.getmro(cls) if c.__module__.startswith("bareboat.contracts.")]
    found = {n for base in bases for n in (*vars(base), *inspect.get_annotations(base)) if not n.startswith("_")}
    return {n for n in found if not inspect.isfunction(getattr(cls, n, None))}


def _attribute(name: str) -> Any:
    """As the real one has it; as its class has it until there is one."""
    return property(lambda self: getattr(self._inner if self._inner is not None else self._class, name))


class Guard:
    """What is beside the verbs."""

    def __init__(self, cls: type[Driver], label: str, make: Make, thread: DriverThread | None) -> None:
        self._class, self._label, self._make, self._thread = cls, label, make, thread
        self._inner: Driver | None = None
        self._why = "it was not opened"
        self._backoff = Backoff(1.0, 60.0)
        self._not_before = 0.0
        self._making = asyncio.Lock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        inner = self.__dict__.get("_inner")
        return getattr(inner if inner is not None else self._class, name)

    async def open(self) -> None:
        """Never fails: a driver that cannot be made is not ready, and is tried again."""
        if self._thread is not None:
            self._thread.start()
        try:
            await self._ready()
        except Unavailable as error:
            log.warning("%s", error)

    async def close(self) -> None:
        """What the driver leaves running is ended, and said."""
        if self._inner is not None:
            try:
                await self._on_thread(self._inner.close)
            except Exception:
                log.exception("closing %s failed", self._label)
        self._inner, self._why = None, "it was closed"
        if self._thread is not None:
            left = await self._thread.stop()
            if left:
                log.warning("%s left %d tasks behind, which were ended: %s", self._label, len(left), ", ".join(left[:8]))

    async def status(self) -> Health:
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                inner = await self._ready()
                found = await self._on_thread(inner.status)
        except TimeoutError:
            return Health(ready=False, reason="PluginBlocked", message=f"{self._label} has not said within {STATUS_SECONDS:g} s how it is")
        except DriverError as error:
            return Health(ready=False, reason=error.reason, message=error.message)
        except Exception as error:
            log.exception("status of %s failed", self._label)
            return Health(ready=False, reason="PluginBug", message=f"{self._label}: status raised {type(error).__name__}: {error}")
        if not isinstance(found, Health):
            return Health(ready=False, reason="PluginBug", message=f"{self._label}: status returned {type(found).__name__}, not Health")
        return found

    async def _on_thread(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await (work() if self._thread is None else self._thread.call(work))

    async def _ready(self) -> Driver:
        """The real one, made and open. Raises Unavailable."""
        if self._inner is not None and (self._thread is None or self._thread.alive):
            return self._inner
        async with self._making:
            if self._inner is not None and self._thread is not None and not self._thread.alive:
                self._inner, self._why = None, "its thread has died"
                self._thread.start()
            if self._inner is None:
                await self._begin()
            assert self._inner is not None
            return self._inner

    async def _begin(self) -> None:
        if time.monotonic() < self._not_before:
            raise Unavailable(f"{self._label}: {self._why}", reason="PluginFailed")
        try:
            self._inner = await self._on_thread(self._made)
        except SkipPlugin as error:
            self._failed(f"it does not apply to this host: {error}", 60.0)
        except Unavailable as error:
            if error.reason in ("PluginBlocked", "PluginDied"):
                raise
            self._failed(error.message, self._backoff.next())
        except Exception as error:
            log.exception("%s cannot be started", self._label)
            self._failed(f"starting it raised {type(error).__name__}: {error}", self._backoff.next())
        else:
            self._backoff.reset()

    async def _made(self) -> Driver:
        inner = self._make()
        await inner.open()
        return inner

    def _failed(self, why: str, seconds: float) -> None:
        self._why, self._not_before = why, time.monotonic() + seconds
        raise Unavailable(f"{self._label}: {why}", reason="PluginFailed", retry_after=seconds)

    async def _called(self, name: str, check: Callable[[Any], bool], promised: str, arguments: Any, options: Any) -> Any:
        inner = await self._ready()
        try:
            found = await self._on_thread(lambda: getattr(inner, name)(*arguments, **options))
        except (DriverError, TimeoutError):
            raise
        except Exception as error:
            if type(error).__module__.startswith("bareboat.contracts."):
                raise
            log.exception("%s: %s failed", self._label, name)
            raise DriverError(f"{self._label}: {name} raised {type(error).__name__}: {error}", reason="PluginBug") from error
        if not check(found):
            log.error("%s: %s returned %.200r, where %s is promised", self._label, name, found, promised)
            raise DriverError(f"{self._label}: {name} returned {type(found).__name__}, where {promised} is promised", reason="PluginBug")
        return RemoteStreams(found, self._on_thread) if self._thread is not None and looks_like_streams(found) else found

    async def _items(self, name: str, arguments: Any, options: Any) -> AsyncIterator[Any]:
        inner = await self._ready()
        source = getattr(inner, name)(*arguments, **options)
        async for item in source if self._thread is None else iterated(source, self._on_thread):
            yield item


def _forwarder(name: str, verb: Any) -> Any:
    if not inspect.iscoroutinefunction(verb):
        if "AsyncIterator" not in str(inspect.signature(verb).return_annotation):
            return lambda self, *arguments, **options: getattr(self._inner or self._class, name)(*arguments, **options)

        def items(self: Guard, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
            return self._items(name, arguments, options)

        return items
    check, promised = promise(verb)

    async def call(self: Guard, *arguments: Any, **options: Any) -> Any:
        return await self._called(name, check, promised, arguments, options)

    return call
