"""What every driver is: information about itself, options, capabilities, a life cycle, and what the kernel lends it.

A driver class is named by an entry point. Importing its module does nothing and is fast. The kernel checks the class
(``plugins.loader``), decodes the cluster file's options into ``Options`` (unknown fields are refused), creates it with
``(options, host)``, calls ``open`` once before any verb and ``close`` once after the last. Both are idempotent.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, ParamSpec, Protocol, TypeVar

import msgspec

P = ParamSpec("P")
T = TypeVar("T")


class PluginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` as in the cluster file, ``summary`` in one line, ``contract`` the entry-point group ("bareboat.cri.v1")."""

    name: str
    summary: str
    contract: str


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For drivers without options."""


class DriverClock(Protocol):
    """Seconds and RFC3339 stamps; virtual in tests."""

    def monotonic(self) -> float: ...

    def timestamp(self) -> str: ...

    def micro(self) -> str: ...

    async def sleep(self, seconds: float) -> None: ...


class Host(Protocol):
    """What the kernel lends a driver.

    ``state_dir`` is the driver's own directory, kept over restarts, mode 0700. ``runtime_dir`` is emptied at boot.
    ``instance`` is at most eight characters and unique per cluster node on this machine: put it into the name of every bridge, table,
    cgroup, socket and interface, so that several clusters live side by side. ``blocking`` runs a blocking call on a
    bounded pool; cancelling the await does not stop the call.
    """

    node_name: str
    instance: str
    state_dir: Path
    runtime_dir: Path
    clock: DriverClock
    log: logging.Logger

    async def blocking(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


class Health(msgspec.Struct, frozen=True):
    """``ready`` False makes the Node NotReady (or sets the condition of the contract) with ``reason`` and ``message``."""

    ready: bool
    reason: str = ""
    message: str = ""


class Driver(ABC):
    """Base of all drivers: ``info`` and ``Options`` are class attributes; ``capabilities`` is data, checked against the mixins."""

    info: ClassVar[PluginInfo]
    #: True for a driver that is nothing but data and never blocks: its verbs run on the caller's event loop, without a thread of its own.
    inline: ClassVar[bool] = False
    Options: ClassVar[type[msgspec.Struct]] = NoOptions

    def __init__(self, options: msgspec.Struct, host: Host) -> None:
        self.options = options
        self.host = host

    async def open(self) -> None:
        """Get ready: reach the back end, find what an earlier process started. Called once, before any verb."""

    async def close(self) -> None:
        """Let go of the back end without stopping workloads. Twice is fine."""

    @abstractmethod
    async def status(self) -> Health:
        """Whether the back end can work now. Called every few seconds; must answer within 5 s."""
