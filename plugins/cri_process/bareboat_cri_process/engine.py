"""Sandboxes and containers as they are: records, monitors, cgroups and programs put together. Synchronous; runs on the host's pool.

What comes in: contract values and ids. What goes out: contract values, or the contract's errors. Each verb makes what can be seen last
and removes it last, so a process killed in the middle leaves something that is listed and can be removed. Two calls on one key:
the second raises InProgress.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import msgspec

from bareboat.contracts.cri import Container, ContainerConfig, Resources, Sandbox, SandboxConfig
from bareboat.contracts.errors import Conflict, InProgress, InvalidConfig, NotFound, SkipPlugin, Unavailable
from bareboat_cri_process import cgroups, crun, monitors, translate
from bareboat_cri_process.container import Node, Place, container_program, pause_program
from bareboat_cri_process.crun import Crun
from bareboat_cri_process.images import ImageStore
from bareboat_cri_process.layout import Layout
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.privileges import held_capabilities, identity
from bareboat_cri_process.records import ContainerRecord, SandboxRecord, Shelf
from bareboat_cri_process.rootfs import Root

_EAGAIN = 11


class Engine:
    """All that exists of one driver instance."""

    def __init__(self, options: ProcessOptions, instance: str, layout: Layout, log: logging.Logger) -> None:
        self.options, self.layout, self.log = options, layout, log
        self.sandboxes = Shelf(layout.sandboxes, SandboxRecord)
        self.records = Shelf(layout.containers, ContainerRecord)
        self.images = ImageStore(layout.images, options.host_images)
        self.cgroups = cgroups.detect(instance)
        self.node = Node(
            held=held_capabilities(),
            unified=self.cgroups.unified,
            hierarchies=self.cgroups.hierarchies(),
            seccomp_default=options.seccomp_default,
        )
        self.executable = layout.monitor()
        self.images.layers.overlay = layout.layers_on_disk
        self.crun = Crun(crun.executable(), layout.directory / "crun")
        if options.runtime == "crun" and not self.crun.path:
            raise SkipPlugin("the process runtime was told to use crun, which is not installed")
        self._ended: dict[str, Container] = {}
        self._busy: set[Hashable] = set()
        self._lock = threading.Lock()
        self.sweep()

    def close(self) -> None:
        """Let go of the monitor's executable, and of the instance's own places if nothing is in them; what runs goes on."""
        self.cgroups.remove_base()
        self.layout.remove_instance()
        with suppress(OSError):
            os.close(int(self.executable.name))

    def sweep(self) -> None:
        """Clear away what an earlier process was in the middle of making or removing."""
        self.sandboxes.sweep()
        self.records.sweep()
        known = {s.id for s in self.sandboxes}
        for record in list(self.records):
            if record.sandbox_id not in known:
                self.remove_container(record.id)
            elif record.engine == "crun":  # of a process that was killed between crun's start and the container's
                self.crun.adopt(self.records.path(record.id))
        for group in self.cgroups.groups() - known:
            self.cgroups.remove(group)
        self.layout.forget_shared_memory(except_for=known)

    # ── sandboxes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        with self._alone(("sandbox", config.uid, config.attempt)):
            record = next((r for r in self.sandboxes if r.key == (config.uid, config.attempt)), None)
            if record is None:
                record = SandboxRecord(id=token_hex(16), config=config, created_at=time.time_ns())
                self.sandboxes.add(record)
            elif record.config != config:
                raise Conflict(f"sandbox {config.uid} attempt {config.attempt} exists with another configuration")
            directory = self.sandboxes.path(record.id)
            if not (directory / "ready").exists():
                self._start_pause(record, directory)
            return self._sandbox(record)

    def _start_pause(self, record: SandboxRecord, directory: Path) -> None:
        """Also finishes what a killed process had begun: a pause process that runs already holds the lock."""
        self.layout.make_shared_memory(record.id)
        if not monitors.holder(directory):
            start = monitors.launch(self.executable, pause_program(record, directory))
            if start.error:
                self.remove_sandbox(record.id)
                message = translate.start_failure(start.label, start.error)
                raise InvalidConfig(message, reason="FailedCreatePodSandBox") if start.label.startswith("sysctl") else Unavailable(message)
        (directory / "ready").touch()

    def stop_sandbox(self, sandbox_id: str) -> None:
        if self.sandboxes.get(sandbox_id) is None:
            return
        with self._alone(("end", sandbox_id)):
            for record in self._containers_of(sandbox_id):
                self.kill(record)
            monitors.kill_monitor(self.sandboxes.path(sandbox_id))

    def remove_sandbox(self, sandbox_id: str) -> None:
        if self.sandboxes.get(sandbox_id) is None:
            return
        self.stop_sandbox(sandbox_id)
        for record in self._containers_of(sandbox_id):
            self.remove_container(record.id)
        self.cgroups.remove(sandbox_id)
        self.layout.remove_shared_memory(sandbox_id)
        self.sandboxes.remove(sandbox_id)
        for record in self._containers_of(sandbox_id):  # created while we were at it
            self.remove_container(record.id)

    def list_sandboxes(self) -> list[Sandbox]:
        return [self._sandbox(record) for record in self.sandboxes]

    def _sandbox(self, record: SandboxRecord) -> Sandbox:
        return translate.sandbox_of(record, monitors.holder(self.sandboxes.path(record.id)))

    def sandbox_record(self, sandbox_id: str) -> SandboxRecord:
        record = self.sandboxes.get(sandbox_id)
        if record is None:
            raise NotFound(f"no sandbox {sandbox_id}")
        return record

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, sandbox_id: str, config: ContainerConfig) -> str:
        sandbox = self.sandbox_record(sandbox_id)
        key = (sandbox_id, config.name, config.attempt)
        with self._alone(("container", *key)):
            found = next((r for r in self.records if r.key == key), None)
            if found is not None and found.config != config:
                raise Conflict(f"container {config.name} attempt {config.attempt} exists with another configuration")
            if found is not None:
                return found.id
            record = self._resolved(sandbox, config)
            if config.log_path:
                Path(config.log_path).parent.mkdir(parents=True, exist_ok=True)
            self.records.add(record, ("fs", "layers"))
            if self.sandboxes.get(sandbox_id) is None:
                self.records.remove(record.id)
                raise NotFound(f"no sandbox {sandbox_id}")
            return record.id

    def _resolved(self, sandbox: SandboxRecord, config: ContainerConfig) -> ContainerRecord:
        """The config against the image: whatever cannot work is found here, before anything runs."""
        image = self.images.get(config.image)
        roots = self.images.roots(image)
        for mount in config.mounts:
            if not os.path.exists(mount.host_path):
                raise InvalidConfig(
                    f"the source of the mount at {mount.container_path} does not exist: {mount.host_path}", reason="CreateContainerError"
                )
        who = identity(config.security, image.user, roots)
        hostname = sandbox.config.hostname or os.uname().nodename
        return ContainerRecord(
            id=token_hex(16),
            sandbox_id=sandbox.id,
            config=config,
            image_id=image.id,
            created_at=time.time_ns(),
            argv=translate.argv_of(config, image.entrypoint, image.cmd),
            env=translate.environment(image.env, config, hostname, who.home),
            cwd=config.working_dir or image.working_dir or "/",
            who=who,
            roots=tuple(str(root) for root in roots),
            engine="crun" if self.options.runtime != "own" and self.crun.path and not config.tty and not config.target_id else "own",
            stop_signal=translate.signal_number(config.stop_signal or image.stop_signal),
        )

    def start(self, container_id: str) -> bool:
        """Returns whether it was this call that started it."""
        with self._alone(container_id):
            record = self.container_record(container_id)
            directory = self.records.path(container_id)
            state = monitors.life(directory)
            if state.exit or (state.pid and not state.monitor):
                raise Conflict(f"container {container_id} has ended and does not start again", reason="ContainerExited")
            if state.monitor:
                return False
            sandbox = self.sandbox_record(record.sandbox_id)
            pause = monitors.monitor_fd(self.sandboxes.path(sandbox.id))
            if pause < 0:
                raise Unavailable(f"sandbox {sandbox.id} is not ready", reason="SandboxNotReady")
            target = -1
            try:
                target = self._target(record)
                self._start(record, sandbox, directory, pause, target)
            finally:
                for fd in (pause, target):
                    if fd >= 0:
                        os.close(fd)
            return True

    def _target(self, record: ContainerRecord) -> int:
        """A pidfd of the container whose processes it is to see, -1 for none."""
        if not record.config.target_id:
            return -1
        fd = monitors.main_fd(self.records.path(record.config.target_id))
        if fd < 0:
            raise NotFound(f"container {record.config.target_id}, whose processes are to be shared, is not running")
        return fd

    def _start(self, record: ContainerRecord, sandbox: SandboxRecord, directory: Path, pause: int, target: int) -> None:
        self.cgroups.create(record.group, self.limits(record, record.config.resources))
        root = Root(tuple(Path(r) for r in record.roots), self.options.host_paths, self.layout.hidden(self.options), self._layers_on_disk())
        place = Place(directory, self.cgroups.procs(record.group), pause, self.layout.shared_memory(sandbox.id), target)
        if record.engine == "crun":
            program = self.crun.program(record, sandbox.config, place, root, self.node, monitors.holder(self.sandboxes.path(sandbox.id)))
        else:
            program = container_program(record, sandbox.config, place, root, self.node)
        start = monitors.launch(self.executable, program, fds=[fd for fd in (pause, target) if fd >= 0])
        if start.error == _EAGAIN and start.label == "prepare":
            raise InProgress(f"container {record.id} is being started")
        if start.error and not (directory / "exit").exists():  # not even begun: the same call may work later
            raise Unavailable(translate.start_failure(start.label, start.error), reason="StartError")
        if start.error:
            raise InvalidConfig(translate.start_failure(start.label, start.error), reason="StartError")
        if record.engine == "crun":
            self.crun.await_start(record, directory)

    def _layers_on_disk(self) -> bool:
        """An upper layer cannot be inside of what it covers: then it is in memory."""
        inside = any(self.layout.directory.is_relative_to(path) for path in self.options.host_paths)
        return self.layout.layers_on_disk and not inside

    def limits(self, record: ContainerRecord, resources: Resources) -> Resources:
        """crun itself is one process more in the group."""
        count = resources.pids_limit or self.options.pids_limit
        return msgspec.structs.replace(resources, pids_limit=count + 1 if count and record.engine == "crun" else count)

    def kill(self, record: ContainerRecord, patience: float = 10.0) -> None:
        """SIGKILL to everything in it; returns once its end is recorded."""
        directory = self.records.path(record.id)
        deadline = time.monotonic() + patience
        fd = monitors.monitor_fd(directory)
        while fd >= 0 and time.monotonic() < deadline:
            monitors.signal_main(directory, signal.SIGKILL)
            self.cgroups.kill(record.group)
            if select.select([fd], [], [], 0.05)[0]:
                break
        if fd >= 0:
            os.close(fd)
        while not self.cgroups.kill(record.group) and time.monotonic() < deadline:
            time.sleep(0.002)

    def remove_container(self, container_id: str) -> None:
        with self._alone(container_id):
            record = self.records.get(container_id)
            if record is None:
                return
            self.kill(record)
            self.cgroups.remove(record.group)
            self.crun.forget(record)
            self.records.remove(container_id)
            self._ended.pop(container_id, None)

    def update(self, container_id: str, resources: Resources) -> None:
        record = self.container_record(container_id)
        if not self.cgroups.pids(record.group):
            raise NotFound(f"container {container_id} is not running")
        self.cgroups.limit(record.group, self.limits(record, resources))

    def list_containers(self) -> list[Container]:
        found = [self.container(record) for record in self.records]
        return [c for c in found if self.records.get(c.id)]  # one that was removed meanwhile looks like one that never ran

    def container(self, record: ContainerRecord) -> Container:
        known = self._ended.get(record.id)
        if known is not None:
            return known
        state = monitors.life(self.records.path(record.id))
        if state.pid and not state.monitor and not state.exit:
            state = monitors.life(self.records.path(record.id))  # it may have ended between the two looks
        if state.pid and not state.monitor and record.engine == "crun":
            self.cgroups.kill(record.group)  # what the kernel does for containers of our own
        found = translate.container_of(record, state, oom=bool(state.exit and self.cgroups.oom_kills(record.group)))
        if state.exit:
            self._ended[record.id] = found
        return found

    def container_record(self, container_id: str) -> ContainerRecord:
        record = self.records.get(container_id)
        if record is None:
            raise NotFound(f"no container {container_id}")
        return record

    def _containers_of(self, sandbox_id: str) -> list[ContainerRecord]:
        return [record for record in self.records if record.sandbox_id == sandbox_id]

    # ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────

    def remove_everything(self) -> None:
        for sandbox in list(self.sandboxes):
            self.remove_sandbox(sandbox.id)
        self.sweep()
        self.cgroups.remove_base()
        self.layout.remove_instance()

    def leftovers(self) -> dict[str, int]:
        """What exists now, counted; all zero after ``remove_everything``."""
        directories = [d for root in self.cgroups.roots() for d, _, _ in os.walk(root)]
        processes: set[str] = set()
        for directory in directories:
            with suppress(OSError):
                processes |= set((Path(directory) / "cgroup.procs").read_text().split())
        pauses = [s for s in self.sandboxes if monitors.holder(self.sandboxes.path(s.id))]
        held = [c for c in self.records if monitors.holder(self.records.path(c.id))]
        mounts = Path("/proc/self/mountinfo").read_text().count(str(self.layout.directory))
        files = sum(len(os.listdir(d)) for d in (self.layout.sandboxes, self.layout.containers))
        return {
            "processes": len(processes) + len(pauses) + len(held),
            "cgroups": len(directories),
            "mounts": mounts,
            "files": files,
            "shared_memory": int(self.layout.shared.exists()),
        }

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
