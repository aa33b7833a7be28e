"""Conformance rules of the runtime's optional verbs, one mixin per capability: put those that the driver has before RuntimeSuite.

What comes in: a subclass that names commands of its kind of container (``echoes`` …; the defaults are POSIX shell). What goes out:
one test per rule. A driver without a capability leaves its mixin out (``AllFeatures`` are all); the node then answers Unsupported for it.
"""

from __future__ import annotations

import asyncio
import re
import stat
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bareboat.contracts.cri import (
    Attach,
    Events,
    Exec,
    ImageRemoval,
    ImageVolumes,
    PortForward,
    Resources,
    Size,
    StatsMixin,
    Streams,
    Update,
)
from bareboat.contracts.errors import Conflict, NotFound, Unavailable
from bareboat.testing.cri_suite_subject import Runtime, Subject, round_trips

CRI_LINE = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP]) (.*)$")


async def everything(streams: Streams) -> dict[str, bytes]:
    """Both outputs until their end."""
    seen = {"stdout": b"", "stderr": b""}
    async for stream, data in streams.output():
        seen[stream] += data
    return seen


async def until_output(streams: Streams, wanted: bytes) -> bytes:
    """Output until it holds ``wanted``."""
    seen = b""
    async for _, data in streams.output():
        seen += data
        if wanted in seen:
            return seen
    raise AssertionError(f"the output ended without {wanted!r}: {seen!r}")


async def _asks(streams: Streams) -> None:
    """A line again and again."""
    while True:
        await streams.write_stdin(b"go\n")
        await asyncio.sleep(0.1)


def log_entries(log: Path) -> list[tuple[bytes, bytes, bytes]]:
    """(stream, F or P, text) of every line of a log that must be in CRI format, mode 0640."""
    assert stat.S_IMODE(log.stat().st_mode) == 0o640
    matches = [(line, CRI_LINE.match(line)) for line in log.read_bytes().split(b"\n")[:-1]]
    assert [line for line, m in matches if m is None] == []
    return [(m[2], m[3], m[4]) for _, m in matches if m]


class LogRules(Subject):
    """Output goes to log_path in CRI format."""

    def writes(self, out: str, err: str) -> dict[str, Any]:
        return {"command": ("sh", "-c", f"echo {out}; echo {err} >&2; printf tail")}

    async def test_output_is_logged_line_by_line(self, runtime: Runtime) -> None:
        ended = await runtime.ended(self.writes("one", "two"))
        found = log_entries(Path(ended.config.log_path))
        assert {(b"stdout", b"F", b"one"), (b"stderr", b"F", b"two")} <= set(found)
        assert (b"stdout", b"P", b"tail") in found, "what has no newline to the end is a part"


class ExecRules(Subject):
    """A further command in a running container."""

    def echoes(self, out: str, err: str, code: int) -> tuple[str, ...]:
        return ("sh", "-c", f"echo {out}; echo {err} >&2; exit {code}")

    def copies_input(self) -> tuple[str, ...]:
        return ("cat",)

    def hangs(self) -> tuple[str, ...]:
        return ("sleep", "3600")

    async def test_exec_sync_gives_code_and_both_outputs(self, runtime: Runtime) -> None:
        container = await runtime.running()
        assert isinstance(runtime.driver, Exec)
        result = await runtime.driver.exec_sync(container, self.echoes("out", "err", 4), 5.0)
        assert result == (4, b"out\n", b"err\n")

    async def test_exec_sync_that_takes_too_long_is_killed(self, runtime: Runtime) -> None:
        container = await runtime.running()
        assert isinstance(runtime.driver, Exec)
        with pytest.raises(TimeoutError):
            await runtime.driver.exec_sync(container, self.hangs(), 0.2)

    async def test_exec_needs_a_running_container(self, runtime: Runtime) -> None:
        assert isinstance(runtime.driver, Exec)
        ended = await runtime.ended(self.exits_with(0))
        for container in (ended.id, "no-such-container"):
            with pytest.raises(NotFound):
                await runtime.driver.exec_sync(container, self.echoes("a", "b", 0), 5.0)
            with pytest.raises(NotFound):
                await runtime.driver.exec(container, self.echoes("a", "b", 0))

    async def test_exec_streams_output_until_the_command_ends(self, runtime: Runtime) -> None:
        container = await runtime.running()
        assert isinstance(runtime.driver, Exec)
        streams = await runtime.driver.exec(container, self.echoes("out", "err", 9))
        async with asyncio.timeout(self.patience):
            assert await everything(streams) == {"stdout": b"out\n", "stderr": b"err\n"}
            assert await streams.wait() == 9
        await streams.close()
        await streams.close()

    async def test_exec_reads_what_is_typed(self, runtime: Runtime) -> None:
        container = await runtime.running()
        assert isinstance(runtime.driver, Exec)
        streams = await runtime.driver.exec(container, self.copies_input(), stdin=True)
        async with asyncio.timeout(self.patience):
            await streams.write_stdin(b"hello ")
            await streams.write_stdin(b"there")
            await streams.close_stdin()
            assert (await everything(streams))["stdout"] == b"hello there"
            assert await streams.wait() == 0
        await streams.close()

    async def test_closing_the_streams_ends_the_command(self, runtime: Runtime) -> None:
        container = await runtime.running()
        assert isinstance(runtime.driver, Exec)
        streams = await runtime.driver.exec(container, self.hangs())
        await streams.close()
        async with asyncio.timeout(self.patience):
            assert await streams.wait() != 0


class TtyRules(ExecRules):
    """A terminal for the command."""

    def shows_size(self) -> tuple[str, ...]:
        """For each line that it reads it prints the size: nobody says what comes first, that or the line."""
        return ("sh", "-c", "while read line; do stty size; done")

    async def test_a_terminal_has_the_size_it_was_given(self, runtime: Runtime) -> None:
        container = await runtime.running()
        assert isinstance(runtime.driver, Exec)
        streams = await runtime.driver.exec(container, self.shows_size(), tty=True, stdin=True)
        async with asyncio.timeout(self.patience):
            await streams.resize(Size(width=123, height=45))
            asking = asyncio.ensure_future(_asks(streams))
            try:
                assert b"45 123" in await until_output(streams, b"45 123")
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        await streams.close()


class AttachRules(Subject):
    """The streams of the main process."""

    def echoes_lines(self) -> dict[str, Any]:
        return {"command": ("sh", "-c", "while read line; do echo got $line; done"), "stdin": True}

    async def test_attach_carries_input_and_output(self, runtime: Runtime) -> None:
        container = await runtime.running(self.echoes_lines())
        assert isinstance(runtime.driver, Attach)
        streams = await runtime.driver.attach(container)
        async with asyncio.timeout(self.patience):
            await streams.write_stdin(b"one\n")
            await until_output(streams, b"got one\n")
        await streams.close()
        assert (await runtime.container(container)).state == "RUNNING"

    async def test_attach_needs_a_running_container(self, runtime: Runtime) -> None:
        assert isinstance(runtime.driver, Attach)
        with pytest.raises(NotFound):
            await runtime.driver.attach("no-such-container")


class PortForwardRules(Subject):
    """A byte stream into the sandbox."""

    port: ClassVar[int] = 8080

    def answers_on_port(self) -> dict[str, Any]:
        """Greets every connection with ``hello``."""
        program = f"import socket\ns=socket.create_server(('',{self.port}))\nwhile 1:\n c,_=s.accept(); c.sendall(b'hello'); c.close()"
        return {"command": ("python3", "-c", program)}

    async def test_a_port_of_the_sandbox_answers(self, runtime: Runtime) -> None:
        container = await runtime.running(self.answers_on_port())
        sandbox = (await runtime.container(container)).sandbox_id
        assert isinstance(runtime.driver, PortForward)
        async with asyncio.timeout(self.patience):
            while True:
                try:
                    streams = await runtime.driver.port_forward(sandbox, self.port)
                    break
                except Unavailable:
                    await asyncio.sleep(0.02)
            assert (await everything(streams))["stdout"] == b"hello"
        await streams.close()

    async def test_a_closed_port_is_unavailable_and_an_unknown_sandbox_not_found(self, runtime: Runtime) -> None:
        assert isinstance(runtime.driver, PortForward)
        sandbox = await runtime.sandbox()
        with pytest.raises(Unavailable):
            await runtime.driver.port_forward(sandbox.id, self.port + 1)
        with pytest.raises(NotFound):
            await runtime.driver.port_forward("no-such-sandbox", self.port)


class StatsRules(Subject):
    """Resource use of running containers."""

    async def test_running_containers_have_stats_and_cpu_only_grows(self, runtime: Runtime) -> None:
        container = await runtime.running()
        assert isinstance(runtime.driver, StatsMixin)
        first, second = await runtime.driver.container_stats(), await runtime.driver.container_stats()
        assert [s.id for s in first] == [container]
        assert second[0].cpu_nanos >= first[0].cpu_nanos >= 0
        assert second[0].timestamp >= first[0].timestamp > 0
        assert round_trips(first[0])


class EventRules(Subject):
    """State changes are told at once."""

    async def test_starting_and_ending_are_told(self, runtime: Runtime) -> None:
        assert isinstance(runtime.driver, Events)
        container = await runtime.create((await runtime.sandbox()).id, self.exits_with(0))
        events = runtime.driver.events()
        told = asyncio.ensure_future(anext(aiter(events)))
        await asyncio.sleep(0.05)
        await runtime.driver.start_container(container)
        async with asyncio.timeout(self.patience):
            assert await told == container
            while (await runtime.container(container)).state != "EXITED":
                assert await anext(aiter(events)) == container

    async def test_an_exit_of_something_older_is_told_after_a_restart(self, runtime: Runtime) -> None:
        container = await runtime.running()
        await runtime.until(container, "RUNNING")
        await runtime.restart()
        assert isinstance(runtime.driver, Events)
        told = asyncio.ensure_future(anext(aiter(runtime.driver.events())))
        await asyncio.sleep(0.05)
        await runtime.driver.stop_container(container, 0)
        async with asyncio.timeout(self.patience):
            assert await told == container


class ImageRemovalRules(Subject):
    """Images go away when nothing uses them."""

    async def test_removing_images_may_be_repeated_and_unknown_ones_succeed(self, runtime: Runtime) -> None:
        assert isinstance(runtime.driver, ImageRemoval)
        image = await runtime.driver.pull_image(self.other_image)
        for name in (image, image, self.missing_image):
            await runtime.driver.remove_image(name)
        assert await runtime.driver.image_fs_bytes() >= 0
        assert await runtime.driver.pull_image(self.other_image)


class ImageVolumeRules(Subject):
    """The files of ``volume_image`` as a volume; ``volume_file`` is one of them, and what is in it. Needs root."""

    volume_image: ClassVar[str]
    volume_file: ClassVar[tuple[str, bytes]]

    async def _mounted(self, runtime: Runtime, path: Path) -> str:
        assert isinstance(runtime.driver, ImageVolumes)
        path.mkdir()
        image = await runtime.driver.pull_image(self.volume_image)
        for _ in range(2):
            await runtime.driver.mount_image(image, str(path))
        return image

    def _unmount(self, path: Path) -> None:
        subprocess.run(["umount", str(path)], check=True)  # noqa: S603, S607

    async def test_files_of_an_image_are_shown_and_cannot_be_changed(self, runtime: Runtime, tmp_path: Path) -> None:
        path = tmp_path / "shown"
        await self._mounted(runtime, path)
        name, content = self.volume_file
        try:
            assert (path / name).read_bytes() == content
            with pytest.raises(OSError, match="Read-only"):
                (path / "new").touch()
        finally:
            self._unmount(path)
        assert list(path.iterdir()) == []

    async def test_an_image_stays_while_it_is_a_volume(self, runtime: Runtime, tmp_path: Path) -> None:
        assert isinstance(runtime.driver, ImageRemoval)
        path = tmp_path / "held"
        image = await self._mounted(runtime, path)
        name, content = self.volume_file
        try:
            with pytest.raises(Conflict):
                await runtime.driver.remove_image(image)
            assert (path / name).read_bytes() == content
        finally:
            self._unmount(path)
        await runtime.driver.remove_image(image)

    async def test_an_image_that_is_not_here_is_no_volume(self, runtime: Runtime, tmp_path: Path) -> None:
        assert isinstance(runtime.driver, ImageVolumes)
        with pytest.raises(NotFound):
            await runtime.driver.mount_image("sha256:" + "0" * 64, str(tmp_path))


class UpdateRules(Subject):
    """Resources change in place."""

    async def test_resources_of_a_running_container_change(self, runtime: Runtime) -> None:
        container = await runtime.running()
        assert isinstance(runtime.driver, Update)
        wanted = Resources(cpu_shares=512, cpu_quota=20_000, memory_limit=256 << 20)
        for _ in range(2):
            await runtime.driver.update_container_resources(container, wanted)
        assert (await runtime.container(container)).state == "RUNNING"

    async def test_a_container_without_limits_stays_without_and_gets_some(self, runtime: Runtime) -> None:
        container = await runtime.running()
        assert isinstance(runtime.driver, Update)
        await runtime.driver.update_container_resources(container, Resources(cpu_shares=512))
        await runtime.driver.update_container_resources(container, Resources(cpu_shares=512, memory_limit=256 << 20))
        assert (await runtime.container(container)).state == "RUNNING"

    async def test_updating_an_unknown_container_is_not_found(self, runtime: Runtime) -> None:
        assert isinstance(runtime.driver, Update)
        with pytest.raises(NotFound):
            await runtime.driver.update_container_resources("no-such-container", Resources())


class AllFeatures(LogRules, TtyRules, AttachRules, PortForwardRules, StatsRules, EventRules, ImageRemovalRules, UpdateRules):
    """All that the Kubernetes CRI has words for; a driver that shows images as volumes adds ImageVolumeRules."""


__all__ = [
    "AllFeatures",
    "AttachRules",
    "EventRules",
    "ExecRules",
    "ImageRemovalRules",
    "ImageVolumeRules",
    "LogRules",
    "PortForwardRules",
    "StatsRules",
    "TtyRules",
    "UpdateRules",
    "everything",
    "log_entries",
    "until_output",
]
