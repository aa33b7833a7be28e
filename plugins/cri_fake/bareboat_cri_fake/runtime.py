"""The runtime's verbs over records. Time is the host's clock, so that everything works in virtual time too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from bareboat.contracts import cri
from bareboat.contracts.driver import Health, Host
from bareboat.contracts.errors import Conflict, InvalidConfig, NotFound
from bareboat.models.quantity import Quantity
from bareboat_cri_fake.options import FakeOptions
from bareboat_cri_fake.records import PREFIX, Records


class FakeRuntimeDriver(cri.RuntimeDriver, cri.Exec, cri.Events, cri.StatsMixin):
    """See contracts.cri.RuntimeDriver."""

    capabilities = cri.Capabilities(resources=False, security=False, reachable=False)

    def __init__(self, options: FakeOptions, host: Host) -> None:
        super().__init__(options, host)
        self._options = options
        path = host.state_dir / "records.json" if options.persist else None
        self._records = Records(path, fail=options.fail, slow=options.slow)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._listeners: set[asyncio.Queue[str]] = set()

    async def open(self) -> None:
        for container in list(self._records.book.containers.values()):
            if container.state == "RUNNING":
                self._plan_exit(container)

    async def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def status(self) -> Health:
        return Health(ready=True)

    async def version(self) -> cri.Version:
        return cri.Version(runtime_name="fake", runtime_version="0.1.0")

    async def run_pod_sandbox(self, config: cri.SandboxConfig) -> cri.Sandbox:
        await self._misbehave("run_pod_sandbox", config)
        for known in self._records.book.sandboxes.values():
            if (known.config.uid, known.config.attempt) == (config.uid, config.attempt):
                if known.config != config:
                    raise Conflict(f"sandbox {known.id} of pod {config.uid} has another configuration")
                return known
        identity = self._records.identity("s")
        netns = "" if config.host_network else f"/fake/netns/{identity}"
        made = cri.Sandbox(id=identity, config=config, state="READY", created_at=self._now(), netns=netns)
        self._records.book.sandboxes[identity] = made
        self._records.save()
        return made

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        found = self._records.book.sandboxes.get(sandbox_id)
        if found is None:
            return
        for container in self._of(sandbox_id):
            if container.state in ("RUNNING", "CREATED"):
                self._end(container.id, 137, "Error")
        self._records.book.sandboxes[sandbox_id] = msgspec.structs.replace(found, state="NOTREADY", netns="")
        self._records.save()

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        await self.stop_pod_sandbox(sandbox_id)
        for container in self._of(sandbox_id):
            await self.remove_container(container.id)
        if self._records.book.sandboxes.pop(sandbox_id, None) is not None:
            self._records.save()

    async def list_pod_sandbox(self) -> list[cri.Sandbox]:
        return list(self._records.book.sandboxes.values())

    async def create_container(self, sandbox_id: str, config: cri.ContainerConfig) -> str:
        sandbox = self._sandbox(sandbox_id)
        if sandbox.state != "READY":
            raise Conflict(f"sandbox {sandbox_id} is not ready", reason="SandboxNotReady")
        await self._misbehave("create_container", sandbox.config)
        for known in self._of(sandbox_id):
            if (known.config.name, known.config.attempt) == (config.name, config.attempt):
                if known.config != config:
                    raise Conflict(f"container {known.id} has another configuration")
                return known.id
        if config.image not in self._records.book.images:
            raise NotFound(f"image {config.image} is not here: pull it first", reason="ImageNotFound")
        identity = self._records.identity("c")
        image = self._records.book.images[config.image]
        self._records.book.containers[identity] = cri.Container(
            id=identity, sandbox_id=sandbox_id, config=config, state="CREATED", image_id=image, created_at=self._now()
        )
        self._records.save()
        return identity

    async def start_container(self, container_id: str) -> None:
        found = self._container(container_id)
        if found.state == "RUNNING":
            return
        if found.state == "EXITED":
            raise Conflict(f"container {container_id} has ended", reason="ContainerExited")
        await self._misbehave("start_container", self._sandbox(found.sandbox_id).config)
        if self._options.start_delay:
            await self.host.clock.sleep(self._options.start_delay)
        if found.config.command[:1] == ("/no/such/command",):
            self._end(container_id, 128, "StartError")
            raise InvalidConfig('exec: "/no/such/command": no such file or directory', reason="StartError")
        started = msgspec.structs.replace(found, state="RUNNING", started_at=self._now())
        self._records.book.containers[container_id] = started
        self._records.save()
        self._log(started, "fake container started")
        self._plan_exit(started)
        self._tell(container_id)

    async def stop_container(self, container_id: str, timeout: float) -> None:
        found = self._records.book.containers.get(container_id)
        if found is not None and found.state in ("RUNNING", "CREATED"):
            if found.config.annotations.get(f"{PREFIX}ignore-stop"):
                await self.host.clock.sleep(timeout)
                self._end(container_id, 137, "Error")
            else:
                code = int(found.config.annotations.get(f"{PREFIX}stop-code", "143"))
                self._end(container_id, code, "Error" if code else "Completed")

    async def remove_container(self, container_id: str) -> None:
        self._cancel(container_id)
        if self._records.book.containers.pop(container_id, None) is not None:
            self._records.save()
            self._tell(container_id)

    async def list_containers(self) -> list[cri.Container]:
        return list(self._records.book.containers.values())

    async def pull_image(self, image: str, credentials: cri.Credentials | None = None) -> str:
        if not image or image != image.strip() or " " in image or image.startswith(("/", ":")):
            raise NotFound(f"image name {image!r} cannot be parsed", reason="InvalidImageName")
        if "missing" in image:
            raise NotFound(f"image {image} does not exist", reason="ErrImagePull")
        self._records.book.images[image] = f"fake:{image}"
        self._records.save()
        return image

    async def list_images(self) -> list[cri.Image]:
        return [cri.Image(id=identity, tags=(name,), size=1) for name, identity in self._records.book.images.items()]

    async def exec(self, container_id: str, command: tuple[str, ...], *, tty: bool = False, stdin: bool = False) -> cri.Streams:
        self._running(container_id)
        return CannedStreams(command)

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> tuple[int, bytes, bytes]:
        self._running(container_id)
        if command[:1] == ("sleep",) and float(command[1]) > timeout:
            raise TimeoutError
        return (1, b"", b"") if command[:1] == ("false",) else (0, " ".join(command).encode() + b"\n", b"")

    async def container_stats(self) -> list[cri.Stats]:
        """What the pod's annotations say that each of its containers uses, all the time."""
        now, found = self._now(), []
        for container in self._records.book.containers.values():
            if container.state == "RUNNING":
                notes = self._sandbox(container.sandbox_id).config.annotations
                cpu = _quantity(notes.get(f"{PREFIX}cpu", "1m")).nanos
                memory = _quantity(notes.get(f"{PREFIX}memory", "1Mi")).value()
                spent = cpu * (now - container.started_at) // 1_000_000_000
                found.append(
                    cri.Stats(id=container.id, timestamp=now, cpu_nanos=spent, memory_working_set=memory, memory_usage=memory, pids=1)
                )
        return found

    async def events(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def _misbehave(self, verb: str, sandbox: cri.SandboxConfig) -> None:
        """Slow, or failing, as the options and the pod's annotations want it."""
        seconds = self._records.slowness(verb, sandbox)
        if seconds:
            await self.host.clock.sleep(seconds)
        self._records.fail_on_purpose(verb, sandbox)

    def _plan_exit(self, container: cri.Container) -> None:
        sandbox = self._records.book.sandboxes.get(container.sandbox_id)
        notes = {**(sandbox.config.annotations if sandbox is not None else {}), **container.config.annotations}
        after = notes.get(f"{PREFIX}exit-after", "").rstrip("s")
        if not after:
            return
        code = int(notes.get(f"{PREFIX}exit-code", "0"))
        left = max(0.0, float(after) - (self._now() - container.started_at) / 1e9)
        reason = "Completed" if code == 0 else "Error"
        self._timers[container.id] = asyncio.get_running_loop().call_later(left, self._end, container.id, code, reason)

    def _end(self, container_id: str, code: int, reason: str) -> None:
        self._cancel(container_id)
        found = self._records.book.containers.get(container_id)
        if found is None or found.state == "EXITED":
            return
        now = self._now()
        ended = msgspec.structs.replace(
            found, state="EXITED", exit_code=code, reason=reason, finished_at=now, started_at=found.started_at or now
        )
        self._records.book.containers[container_id] = ended
        self._records.save()
        self._tell(container_id)

    def _cancel(self, container_id: str) -> None:
        timer = self._timers.pop(container_id, None)
        if timer is not None:
            timer.cancel()

    def _tell(self, container_id: str) -> None:
        for queue in self._listeners:
            queue.put_nowait(container_id)

    def _log(self, container: cri.Container, text: str) -> None:
        if container.config.log_path:
            path = Path(container.config.log_path)
            path.parent.mkdir(parents=True, exist_ok=True)
            stamp = self.host.clock.micro().replace("Z", "000Z")
            with path.open("a") as file:
                file.write(f"{stamp} stdout F {text}\n")
            path.chmod(0o640)

    def _now(self) -> int:
        moment = datetime.fromisoformat(self.host.clock.micro().replace("Z", "+00:00"))
        return int(moment.timestamp() * 1_000_000) * 1000

    def _of(self, sandbox_id: str) -> list[cri.Container]:
        return [c for c in self._records.book.containers.values() if c.sandbox_id == sandbox_id]

    def _sandbox(self, sandbox_id: str) -> cri.Sandbox:
        found = self._records.book.sandboxes.get(sandbox_id)
        if found is None:
            raise NotFound(f"sandbox {sandbox_id} is unknown")
        return found

    def _container(self, container_id: str) -> cri.Container:
        found = self._records.book.containers.get(container_id)
        if found is None:
            raise NotFound(f"container {container_id} is unknown")
        return found

    def _running(self, container_id: str) -> cri.Container:
        found = self._container(container_id)
        if found.state != "RUNNING":
            raise NotFound(f"container {container_id} is not running", reason="ContainerNotRunning")
        return found


def _quantity(text: str) -> Quantity:
    """Nothing, for what is no quantity: a record cannot fail for what its pod says of it."""
    try:
        return Quantity.parse(text)
    except ValueError:
        return Quantity()


class CannedStreams:
    """Echoes its command and ends."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command

    async def write_stdin(self, data: bytes) -> None:
        """Taken and forgotten."""

    async def close_stdin(self) -> None:
        """Nothing reads it."""

    async def output(self) -> AsyncIterator[tuple[Literal["stdout", "stderr"], bytes]]:
        yield "stdout", " ".join(self._command).encode() + b"\n"

    async def resize(self, size: cri.Size) -> None:
        """There is no terminal."""

    async def wait(self) -> int:
        return 1 if self._command[:1] == ("false",) else 0

    async def close(self) -> None:
        """Nothing to let go of."""
