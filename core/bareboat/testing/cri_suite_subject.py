"""What a runtime suite is about: the subject a driver's author describes, and the driver under test in the words of the rules.

What comes in: a subclass of ``Subject`` with a factory, images and commands. What goes out: the ``runtime`` fixture. The rules
themselves are in ``cri_suite`` and ``cri_suite_features``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest_asyncio

from bareboat.contracts.cri import GROUP, Container, ContainerConfig, RuntimeDriver, Sandbox, SandboxConfig
from bareboat.contracts.errors import InProgress
from bareboat.testing.driver_suite import Soundness, round_trips
from bareboat.testing.host import FakeHost

__all__ = ["Runtime", "Subject", "round_trips", "settled"]

T = TypeVar("T")


class Runtime:
    """One driver under test, with the shorthand that the rules are written in."""

    def __init__(self, suite: Subject, host: FakeHost) -> None:
        self.suite, self.host = suite, host
        self.driver: RuntimeDriver = suite.make_driver(host)

    async def restart(self) -> None:
        """What a new agent process does: nothing but the host's directories carries over."""
        await self.driver.close()
        self.driver = self.suite.make_driver(self.suite.make_host(self.host.state_dir.parent))
        await self.driver.open()

    def sandbox_config(self, name: str = "pod", **fields: Any) -> SandboxConfig:
        logs = self.host.state_dir.parent / "logs" / name
        logs.mkdir(parents=True, exist_ok=True)
        return SandboxConfig(**{"name": name, "namespace": "default", "uid": f"uid-{name}", "log_directory": str(logs)} | fields)

    async def sandbox(self, name: str = "pod", **fields: Any) -> Sandbox:
        return await self.driver.run_pod_sandbox(self.sandbox_config(name, **fields))

    async def config(self, name: str = "main", behaviour: dict[str, Any] | None = None, **fields: Any) -> ContainerConfig:
        log = self.host.state_dir.parent / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        image = await self.driver.pull_image(self.suite.image)
        behaviour = self.suite.runs_on() if behaviour is None else behaviour
        return ContainerConfig(**{"name": name, "image": image, "log_path": str(log)} | behaviour | fields)

    async def create(self, sandbox_id: str, behaviour: dict[str, Any] | None = None, **fields: Any) -> str:
        return await self.driver.create_container(sandbox_id, await self.config(behaviour=behaviour, **fields))

    async def running(self, behaviour: dict[str, Any] | None = None, **fields: Any) -> str:
        container = await self.create((await self.sandbox()).id, behaviour, **fields)
        await self.driver.start_container(container)
        return container

    async def container(self, container_id: str) -> Container:
        found = [c for c in await self.driver.list_containers() if c.id == container_id]
        assert len(found) == 1, f"container {container_id} is listed {len(found)} times"
        return found[0]

    async def until(self, container_id: str, state: str) -> Container:
        async with asyncio.timeout(self.suite.patience):
            while (container := await self.container(container_id)).state != state:
                await asyncio.sleep(0.01)
        return container

    async def sandbox_state(self, sandbox_id: str) -> str:
        return {s.id: s.state for s in await self.driver.list_pod_sandbox()}.get(sandbox_id, "")

    async def ended(self, behaviour: dict[str, Any]) -> Container:
        return await self.until(await self.running(behaviour), "EXITED")


async def settled(call: Callable[[], Awaitable[T]], attempts: int = 500) -> T:
    """Call until it is no longer InProgress: what the node agent's retries do."""
    for _ in range(attempts):
        try:
            return await call()
        except InProgress:
            await asyncio.sleep(0.01)
    raise AssertionError("still InProgress after 5 s")


class Subject(Soundness):
    """What a suite asks of its subclass: ``driver_class`` or ``make_driver``, and what runs on it.

    Images must differ as references; ``runs_on`` … are ContainerConfig fields."""

    group = GROUP
    image: ClassVar[str] = "host"
    other_image: ClassVar[str] = "host:other"
    missing_image: ClassVar[str] = "registry.invalid/no/such:image"
    malformed_image: ClassVar[str] = "Not//An:Image:"
    patience: ClassVar[float] = 10.0
    stop_signal_code: ClassVar[int] = 137

    def runs_on(self) -> dict[str, Any]:
        return {"command": ("sleep", "3600")}

    def exits_with(self, code: int) -> dict[str, Any]:
        return {"command": ("sh", "-c", f"exit {code}")}

    def ignores_stop(self) -> dict[str, Any]:
        return {"command": ("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")}

    def obeys_stop(self) -> dict[str, Any]:
        """Ends with code 0 on the stop signal."""
        return {"command": ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.02; done")}

    def cannot_start(self) -> dict[str, Any]:
        return {"command": ("/no/such/command",)}

    @pytest_asyncio.fixture
    async def runtime(self, tmp_path: Path) -> AsyncIterator[Runtime]:
        runtime = Runtime(self, self.make_host(tmp_path))
        await runtime.driver.open()
        yield runtime
        for sandbox in await runtime.driver.list_pod_sandbox():
            await settled(lambda s=sandbox: runtime.driver.remove_pod_sandbox(s.id))  # type: ignore[misc]
        await runtime.driver.close()
