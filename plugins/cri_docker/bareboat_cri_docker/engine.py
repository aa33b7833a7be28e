"""Sandboxes and containers as calls of the daemon. Synchronous; runs on the host's pool.

What comes in: contract values and ids. What goes out: contract values, or the contract's errors, or the SDK's, which the driver
translates. A key becomes the name of the daemon's container, so the daemon itself sees to it that a key is one container, whichever
process asks. Two calls on one key at a time: the second raises InProgress.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bareboat.contracts.cri import Container, ContainerConfig, Resources, Sandbox, SandboxConfig, Stats
from bareboat.contracts.errors import Conflict, InProgress, InvalidConfig, NotFound, Unavailable
from bareboat_cri_docker import bodies, translate
from bareboat_cri_docker.backend import Docker
from bareboat_cri_docker.host_network import foreign
from bareboat_cri_docker.images import Images
from bareboat_cri_docker.inventory import Inventory, Kind
from bareboat_cri_docker.logs import Logs
from bareboat_cri_docker.options import DockerOptions

_PATIENCE = 10.0
_NOT_READY = ("non running container", "cannot join network", "container is not running")


class Engine:
    """All that exists of one driver instance."""

    def __init__(self, options: DockerOptions, docker: Docker, instance: str, state: Path, log: logging.Logger) -> None:
        self.options, self.docker, self.instance, self.log = options, docker, instance, log
        self.images = Images(docker)
        self.logs = Logs(state / "logs", log)
        self.inventory = Inventory(docker, instance, self.logs, state / "failed")
        self._root = Path()
        #: the node's network, if it is not the daemon's
        self._netns = ""
        self._busy: set[Hashable] = set()
        self._lock = threading.Lock()

    def open(self) -> None:
        """Reach the daemon, take up the logs of what runs and forget notes about what is gone."""
        self.docker.negotiate()
        info = self.docker.api.info()
        self._root = Path(info["DockerRootDir"])
        if info.get("OSType") != "linux" or not (self._root / "containers").is_dir():
            raise Unavailable(f"the daemon at {self.options.socket} does not keep its containers on this machine, in {self._root}")
        self._netns = foreign(self.options.socket)
        containers = self.inventory.containers()
        for container in containers:
            self._follow(container.id, container.config)
            if container.state == "EXITED":
                self.logs.finish(container.id)
        for gone in self.logs.noted() - {c.id for c in containers}:
            self.logs.forget(gone)
            self.inventory.forget(gone)

    def close(self) -> None:
        self.logs.close()
        self.docker.close()

    def _follow(self, container_id: str, config: ContainerConfig) -> None:
        source = self._root / "containers" / container_id / f"{container_id}-json.log"
        self.logs.add(container_id, source, config.log_path)

    # ── sandboxes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        with self._alone(("sandbox", config.uid, config.attempt)):
            name = bodies.name_of(self.instance, "sandbox", config.uid, config.attempt)
            sandbox_id, state = self._create(name, "sandbox", config, lambda: self._sandbox_body(config))
            if state == "created":
                self._start_pause(sandbox_id)
            found = self.inventory.sandbox(sandbox_id)
            if found is None:
                raise InProgress(f"sandbox {sandbox_id} is being removed")
            return found

    def _sandbox_body(self, config: SandboxConfig) -> dict[str, Any]:
        return bodies.sandbox_body(config, self.instance, self.images.pause(), self._netns)

    def _create(self, name: str, kind: Kind, config: SandboxConfig | ContainerConfig, body: Any) -> tuple[str, str]:
        """The id and state of the container with this name, which is made if there is none. Raises Conflict."""
        found = self.inventory.inspect(name, kind)
        if found is None:
            try:
                return str(self.docker.api.create_container_from_config(body(), name=name)["Id"]), "created"
            except OSError as error:
                if translate.status_of(error) != 409:
                    raise
                found = self.inventory.inspect(name, kind)
        if found is None:
            raise InProgress(f"the container {name} is being removed")
        if found["State"]["Status"] in ("removing", "dead"):
            self.docker.api.remove_container(found["Id"], v=True, force=True)
            raise InProgress(f"the container {name} is being removed")
        if msgspec.json.decode(found["Config"]["Labels"][translate.CONFIG], type=type(config)) != config:
            raise Conflict(f"{kind} {config.name} attempt {config.attempt} exists with another configuration")
        return found["Id"], found["State"]["Status"]

    def _start_pause(self, sandbox_id: str) -> None:
        try:
            self.docker.api.start(sandbox_id)
        except OSError as error:
            if not translate.status_of(error):
                raise
            self._remove(sandbox_id)
            message = translate.start_failure(translate.message_of(error))
            if "sysctl" in message:
                raise InvalidConfig(message, reason="FailedCreatePodSandBox") from error
            raise Unavailable(message) from error

    def stop_sandbox(self, sandbox_id: str) -> None:
        if self.inventory.inspect(sandbox_id, "sandbox") is None:
            return
        with self._alone(("end", sandbox_id)):
            for container in self.inventory.containers(sandbox_id):
                self.kill(container.id)
            self.kill(sandbox_id)
            self.inventory.sandbox(sandbox_id)

    def remove_sandbox(self, sandbox_id: str) -> None:
        """The sandbox goes last: a process killed in between leaves something that is listed."""
        if self.inventory.inspect(sandbox_id, "sandbox") is None:
            return
        self.stop_sandbox(sandbox_id)
        with self._alone(("end", sandbox_id)):
            for container in self.inventory.containers(sandbox_id):
                self.remove_container(container.id)
            self._remove(sandbox_id)

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, sandbox_id: str, config: ContainerConfig) -> str:
        with self._alone(("container", sandbox_id, config.name, config.attempt)):
            sandbox = self.inventory.known_sandbox(sandbox_id)
            name = bodies.name_of(self.instance, "container", config.name, sandbox_id[:12], config.attempt)

            def body() -> dict[str, Any]:
                image = self.images.inspect(config.image)
                return bodies.container_body(config, sandbox_id, sandbox.config, image, self.instance, self.options, self._netns)

            return self._create(name, "container", config, body)[0]

    def start(self, container_id: str) -> None:
        with self._alone(container_id):
            container = self.inventory.container(container_id)
            if container is None:
                raise NotFound(f"no container {container_id}")
            if container.state == "EXITED":
                raise Conflict(f"container {container_id} has ended and does not start again", reason="ContainerExited")
            if container.state == "RUNNING":
                return
            self._follow(container_id, container.config)
            try:
                self.docker.api.start(container_id)
            except OSError as error:
                raise self._not_started(container_id, error) from error

    def _not_started(self, container_id: str, error: OSError) -> Exception:
        message = translate.message_of(error)
        if not translate.status_of(error):
            return error
        if any(words in message for words in _NOT_READY):
            return Unavailable(message, reason="SandboxNotReady")
        self.inventory.note_failure(container_id)
        found = self.inventory.container(container_id)
        if found is None:
            return NotFound(f"no container {container_id}")
        if found.state == "CREATED":  # not even begun: the same call may work later
            return Unavailable(message, reason="StartError")
        return InvalidConfig(found.message or translate.start_failure(message), reason="StartError")

    def signal(self, container_id: str) -> bool:
        """Its stop signal; False if there is nothing to be told."""
        found = self.inventory.inspect(container_id, "container")
        if found is None or not found["State"]["Running"]:
            return False
        return self._kill(container_id, found["Config"].get("StopSignal") or "SIGTERM")

    def kill(self, container_id: str) -> None:
        """SIGKILL; returns once the daemon knows that it has ended."""
        deadline = time.monotonic() + _PATIENCE
        while self._kill(container_id, "SIGKILL"):
            if time.monotonic() > deadline:
                raise Unavailable(f"container {container_id} does not end")
            time.sleep(0.01)

    def _kill(self, container_id: str, signal: str) -> bool:
        try:
            self.docker.api.kill(container_id, signal)
        except OSError as error:
            if translate.status_of(error) in (404, 409):  # unknown, not running
                return False
            if translate.status_of(error) == 500 and "not running" in translate.message_of(error):
                return False
            raise
        return True

    def remove_container(self, container_id: str) -> None:
        with self._alone(container_id):
            container = self.inventory.container(container_id)
            if container is not None:
                if container.state == "RUNNING":
                    self.kill(container_id)
                self.logs.forget(container_id)
                self._remove(container_id)

    def _remove(self, some_id: str) -> None:
        """Of a container or sandbox; returns when it is gone, also if somebody else is removing it."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.docker.api.remove_container(some_id, v=True, force=True)
            except OSError as error:
                if translate.status_of(error) == 404:
                    break
                if translate.status_of(error) != 409 or time.monotonic() > deadline:
                    raise
            else:
                break
            time.sleep(0.05)
        self.inventory.forget(some_id)

    def update(self, container_id: str, resources: Resources) -> None:
        found = self.inventory.inspect(container_id, "container")
        if found is None or not found["State"]["Running"]:
            raise NotFound(f"container {container_id} is not running")
        self.docker.api.update_container(container_id, **bodies.update(resources))

    def running(self, container_id: str) -> Container:
        """Raises NotFound unless it runs."""
        found = self.inventory.container(container_id)
        if found is None or found.state != "RUNNING":
            raise NotFound(f"container {container_id} is not running")
        return found

    def ended(self, container_id: str) -> Container | None:
        """Once it has; its output may end a little before."""
        deadline = time.monotonic() + _PATIENCE
        while (found := self.inventory.container(container_id)) is not None and found.state == "RUNNING":
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        return found

    def stats(self, container_id: str) -> Stats | None:
        try:
            found = self.docker.api.stats(container_id, stream=False, one_shot=True)
        except OSError as error:
            if translate.status_of(error) in (404, 409):
                return None
            raise
        return translate.stats_of(container_id, found)

    # ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────

    def remove_everything(self) -> None:
        for sandbox in self.inventory.sandboxes():
            self.remove_sandbox(sandbox.id)
        for entry in self.docker.api.containers(all=True, filters=self.inventory.filters()):
            self._remove(entry["Id"])

    def leftovers(self) -> dict[str, int]:
        """What exists now, counted; all zero after ``remove_everything``."""
        containers = self.docker.api.containers(all=True, filters=self.inventory.filters())
        return {"containers": len(containers), "notes": len(self.logs.noted())}

    @contextmanager
    def _alone(self, key: Hashable) -> Iterator[None]:
        with self._lock:
            if key in self._busy:
                raise InProgress(f"another call on {key} is running")
            self._busy.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(key)
