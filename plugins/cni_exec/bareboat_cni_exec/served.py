"""One CNI call as verbs of one of our networks.

What comes in: a ``Call``. What goes out: the answer's JSON; errors are the contract's. Calls on one network of this machine are one
at a time: its books are files, and the next process reads what this one wrote.

``driver: none`` gives nothing and claims an address of no network: for a runtime that insists on a CNI binary while the agent attaches
the pod itself.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import msgspec

from bareboat.contracts.cni import GROUP, Attachment, NetworkConfig, Result
from bareboat.contracts.errors import InvalidConfig, NotFound, Unavailable
from bareboat_cni_exec import translate

P = ParamSpec("P")
T = TypeVar("T")
NONE = "none"
#: Of the block for what is local to a link: routed nowhere, and given to nobody.
CLAIMED = "169.254.0.1/32"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    command: str
    config: dict[str, Any]
    version: str
    containerid: str = ""
    netns: str = ""
    ifname: str = ""

    def attachment(self) -> Attachment:
        ports = translate.ports_of(self.config.get("runtimeConfig"))
        return Attachment(container_id=self.containerid, netns=self.netns, ifname=self.ifname, ports=ports)


class Clock:
    """contracts.driver.DriverClock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def timestamp(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def micro(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class BinaryHost:
    """contracts.driver.Host for one call."""

    def __init__(self, directory: Path, instance: str) -> None:
        import socket

        self.node_name = socket.gethostname()
        self.instance = instance or hashlib.sha256(str(directory).encode()).hexdigest()[:8]
        self.clock = Clock()
        self.log = logging.getLogger("bareboat.cni")
        self.state_dir, self.runtime_dir = directory / "state", directory / "run"
        for path in (self.state_dir, self.runtime_dir):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def blocking(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(call, *args, **kwargs)


def serve(call: Call, state: str) -> dict[str, Any] | None:
    name = call.config.get("name")
    if not isinstance(name, str) or not name or "/" in name or name in (".", ".."):
        raise InvalidConfig("name: required, the network's name without a slash")
    wanted = call.config.get("driver")
    if wanted == NONE:
        claimed = translate.result_json(Result(ips=(CLAIMED,)), call.attachment(), call.version)
        return claimed if call.command == "ADD" else None
    directory = Path(state) / name
    with _alone(directory):
        return asyncio.run(_serve(call, _class(wanted), BinaryHost(directory, str(call.config.get("instance", ""))[:8])))


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _class(wanted: Any) -> Any:
    for point in entry_points(group=GROUP):
        if point.name == wanted:
            return point.load()
    raise InvalidConfig(f"driver {wanted!r}: no such network installed", reason="PluginMissing")


async def _serve(call: Call, cls: Any, host: BinaryHost) -> dict[str, Any] | None:
    try:
        driver = cls(msgspec.convert(call.config.get("options") or {}, cls.Options), host)
    except msgspec.ValidationError as error:
        raise InvalidConfig(f"options: {error}") from error
    await driver.open()
    try:
        return await _verb(call, driver)
    finally:
        await driver.close()


async def _verb(call: Call, driver: Any) -> dict[str, Any] | None:
    if call.command == "ADD":
        if not Path(call.netns).exists():
            raise NotFound(f"network namespace {call.netns} does not exist", reason="InvalidNetNS")
        await driver.configure(_network(call.config))
        return translate.result_json(await driver.add(call.attachment()), call.attachment(), call.version)
    if call.command == "CHECK":
        await driver.check(call.attachment())
    elif call.command == "DEL":
        await _delete(call, driver)
    elif call.command == "GC":
        await _collect(call, driver)
    else:
        await driver.configure(_network(call.config))
        health = await driver.status()
        if not health.ready:
            raise Unavailable(health.message, reason=health.reason)
    return None


async def _delete(call: Call, driver: Any) -> None:
    if call.containerid in await driver.list_attachments():
        await driver.configure(_network(call.config))  # the rules of what remains are written anew
        await driver.delete(call.containerid, call.ifname)


async def _collect(call: Call, driver: Any) -> None:
    """With nothing valid nothing is needed any more: the network itself goes too."""
    valid = frozenset(str(v.get("containerID")) for v in call.config.get("cni.dev/valid-attachments") or [] if isinstance(v, dict))
    if not valid:
        await driver.teardown()
    else:
        await driver.configure(_network(call.config))
        await driver.gc(valid)


def _network(config: dict[str, Any]) -> NetworkConfig:
    """Raises InvalidConfig."""
    if not config.get("podCIDR"):
        raise InvalidConfig("podCIDR: required, the range of this node's pods")
    fields = {
        "pod_cidr": config["podCIDR"],
        "cluster_cidr": config.get("clusterCIDR") or config["podCIDR"],
        "service_cidr": config.get("serviceCIDR") or "10.96.0.0/16",
        "mtu": config.get("mtu", 0),
        "peers": config.get("peers", ()),
    }
    try:
        return msgspec.convert(fields, NetworkConfig)
    except msgspec.ValidationError as error:
        raise InvalidConfig(f"network configuration: {error}") from error
