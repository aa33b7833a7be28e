"""What a node keeps: containers that have ended, images by the disk's fullness, and logs by their length."""

import asyncio
import gzip
from datetime import UTC, datetime, timedelta

import pytest

from bareboat.base.clock import SystemClock
from bareboat.contracts.cri import Container, ContainerConfig, Image, ImageRemoval, LogReopening
from bareboat.contracts.errors import Conflict, Unavailable
from bareboat.node import logs
from bareboat.node.config import POD_UID
from bareboat.node.log_rotation import LogRotation
from bareboat.node.retention import Disk, Retention

GIB = 1 << 30


class Clock(SystemClock):
    def __init__(self):
        self.seconds = 1000.0

    def monotonic(self):
        return self.seconds

    def now(self):
        return datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Runtime(ImageRemoval, LogReopening):
    def __init__(self):
        self.containers, self.images, self.removed, self.reopened, self.refuses = [], [], [], [], False

    async def list_containers(self):
        return list(self.containers)

    async def list_images(self):
        return list(self.images)

    async def remove_container(self, container_id):
        self.containers = [c for c in self.containers if c.id != container_id]

    async def remove_image(self, image):
        if image == "busy":
            raise Conflict("in use", reason="ImageInUse")
        self.removed.append(image)
        self.images = [i for i in self.images if i.id != image]

    async def reopen_container_log(self, container_id):
        if self.refuses:
            raise Unavailable("not now")
        self.reopened.append(container_id)

    def add(self, name, attempt, state="EXITED", image="a:1", log="", uid="u"):
        config = ContainerConfig(name=name, image=image, attempt=attempt, labels={POD_UID: uid}, log_path=log)
        found = Container(id=f"{uid}-{name}-{attempt}", sandbox_id="s", config=config, state=state, image_id=image, created_at=attempt)
        self.containers.append(found)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def runtime():
    return Runtime()


class TestContainers:
    async def test_the_last_two_attempts_stay(self, runtime, clock, tmp_path):
        for attempt in range(5):
            (tmp_path / f"{attempt}.log").write_text("x")
            (tmp_path / f"{attempt}.log.20260101-000000.gz").write_text("x")
            runtime.add("a", attempt, "RUNNING" if attempt == 4 else "EXITED", log=str(tmp_path / f"{attempt}.log"))
        runtime.add("b", 0)
        runtime.add("a", 0, uid="other")
        await Retention(runtime, clock, lambda: Disk(1, 1), print).look_at_containers()
        assert {c.id for c in runtime.containers} == {"u-a-3", "u-a-4", "u-b-0", "other-a-0"}
        assert sorted(p.name[0] for p in tmp_path.iterdir()) == ["3", "3", "4", "4"]


class TestImages:
    def retention(self, runtime, clock, available):
        self.told = []
        return Retention(runtime, clock, lambda: Disk(100 * GIB, available[0] * GIB), lambda *words: self.told.append(words))

    async def test_nothing_goes_while_there_is_room(self, runtime, clock):
        runtime.images = [Image(id="x", tags=("x:1",), size=GIB)]
        retention = self.retention(runtime, clock, [16])
        for _ in range(3):
            await retention.look_at_images()
            clock.seconds += 300
        assert runtime.removed == []

    async def test_what_was_not_used_for_longest_goes_first_until_there_is_room(self, runtime, clock):
        runtime.images = [Image(id=n, tags=(f"{n}:1",), size=3 * GIB) for n in ("never", "lately", "used", "host")]
        runtime.images[3] = Image(id="host", tags=("host",))
        runtime.add("c", 0, "RUNNING", image="used")
        runtime.add("d", 0, image="docker.io/library/lately:1")
        room = [90]
        retention = self.retention(runtime, clock, room)
        await retention.look_at_images()
        await runtime.remove_container("u-d-0")
        clock.seconds += 300
        room[0] = 15
        await retention.look_at_images()
        assert runtime.removed == ["never", "lately"]
        assert self.told == []

    async def test_young_images_stay_and_too_little_is_told(self, runtime, clock):
        runtime.images = [Image(id="old", size=GIB), Image(id="busy", size=GIB)]
        retention = self.retention(runtime, clock, [10])
        await retention.look_at_images()
        assert runtime.removed == []
        clock.seconds += 200
        runtime.images.append(Image(id="young", size=GIB))
        await retention.look_at_images()
        assert runtime.removed == ["old"]
        attempted, found = 10 * GIB, GIB
        text = f"Attempted to free {attempted} bytes, but only found {found} bytes eligible to free."
        assert self.told[-1] == ("FreeDiskSpaceFailed", f"Failed to garbage collect required amount of images. {text}")


class TestLogs:
    @pytest.fixture
    def path(self, runtime, tmp_path):
        runtime.add("c", 0, "RUNNING", log=str(tmp_path / "0.log"))
        return tmp_path / "0.log"

    async def test_a_long_log_is_put_aside_and_old_ones_are_compressed_and_dropped(self, runtime, clock, path):
        rotation = LogRotation(runtime, clock, max_bytes=10, max_files=4)
        for number in range(6):
            path.write_text(f"{number}" * 20)
            await rotation.look()
            clock.seconds += 10
        assert len(runtime.reopened) == 6
        found = sorted(path.parent.iterdir())
        assert [p.suffix == ".gz" for p in found] == [True, True, False]
        assert [gzip.decompress(p.read_bytes())[:1] for p in found[:2]] == [b"3", b"4"]
        assert found[2].read_text() == "5" * 20

    async def test_a_short_log_and_one_that_cannot_be_reopened_stay(self, runtime, clock, path):
        rotation = LogRotation(runtime, clock, max_bytes=10)
        path.write_text("short")
        await rotation.look()
        runtime.refuses = True
        path.write_text("long" * 10)
        await rotation.look()
        assert [p.name for p in path.parent.iterdir()] == ["0.log"]

    async def test_followers_go_on_in_the_new_file(self, path):
        def line(text):
            return f"2026-01-02T03:04:05.123456789Z stdout F {text}\n"

        path.write_text(line("one"))
        alive, seen = [True], []

        async def follow():
            async for chunk in logs.read(path, logs.LogOptions(follow=True), lambda: alive[0]):
                seen.append(chunk.decode())

        following = asyncio.ensure_future(follow())
        await asyncio.sleep(0.05)
        path.rename(path.with_name("0.log.aside"))
        with path.with_name("0.log.aside").open("a") as file:
            file.write(line("two"))
        path.write_text(line("three"))
        await asyncio.sleep(0.4)
        alive[0] = False
        await following
        assert "".join(seen).split() == ["one", "two", "three"]
