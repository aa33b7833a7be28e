"""What goes wrong around the driver: registries that refuse, a daemon that is killed, restarted or not there at all."""

import asyncio
import os
import socket

import pytest

from bareboat.contracts.cri import Credentials
from bareboat.contracts.errors import NotFound, Unavailable
from bareboat.testing.host import FakeHost
from bareboat_cri_docker import testing
from bareboat_cri_docker.options import DockerOptions
from bareboat_cri_docker.plugin import DockerRuntime

from .conftest import Pods, need_docker

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]


@pytest.fixture
def own_dockerd(tmp_path, request):
    """One that may be killed."""
    need_docker()
    directory = tmp_path / "daemon"
    directory.mkdir()
    dockerd = testing.Dockerd(directory, live_restore=getattr(request, "param", True))
    dockerd.start()
    try:
        dockerd.build(Pods.image)
        yield dockerd
    finally:
        dockerd.remove()


@pytest.fixture
async def own_pods(tmp_path, own_dockerd):
    pods = Pods(tmp_path, own_dockerd)
    await pods.driver.open()
    yield pods
    await pods.driver.cleanup_all()
    assert set((await pods.driver.leftovers()).values()) == {0}
    await pods.driver.close()


async def healthy(driver, seconds=20):
    async with asyncio.timeout(seconds):
        while not (await driver.status()).ready:
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def guarded(dockerd, tmp_path_factory):
    registry = testing.Registry(tmp_path_factory.mktemp("guarded"), password=True)
    dockerd.build("tests/guarded:1", {"guarded": b""})
    try:
        registry.push(dockerd, "tests/guarded:1", {"username": "user", "password": "secret"})
        yield registry
    finally:
        registry.stop()


class TestRegistries:
    async def test_the_password_is_needed_and_used(self, pods, guarded):
        image = f"{guarded.address}/tests/guarded:1"
        for credentials in (None, Credentials(username="user", password="wrong")):
            with pytest.raises(NotFound) as caught:
                await pods.driver.pull_image(image, credentials)
            assert caught.value.reason == "ErrImagePull"
            assert image in caught.value.message
            assert "secret" not in caught.value.message
        reference = await pods.driver.pull_image(image, Credentials(username="user", password="secret"))
        found = next(i for i in await pods.driver.list_images() if i.id == reference)
        assert image in found.tags
        assert found.digests[0].startswith(f"{guarded.address}/tests/guarded@sha256:")
        await pods.driver.remove_image(image)

    async def test_a_registry_that_is_not_there_is_a_failed_pull(self, pods):
        for image in ("127.0.0.1:1/no/such:image", "registry.invalid/no/such:image"):
            with pytest.raises(NotFound) as caught:
                await pods.driver.pull_image(image)
            assert caught.value.reason == "ErrImagePull"
            assert image in caught.value.message

    async def test_a_registry_that_never_answers_is_given_up(self, tmp_path, dockerd):
        pods = Pods(tmp_path, dockerd, pull_patience=0.5)
        await pods.driver.open()

        with socket.create_server(("127.0.0.1", 0)) as silent:
            with pytest.raises(NotFound, match="no progress"):
                await pods.driver.pull_image(f"127.0.0.1:{silent.getsockname()[1]}/no/such:image")
        await pods.driver.close()

    async def test_two_pulls_of_one_image_are_one(self, pods, registry):
        image = f"{registry.address}/tests/other:1"
        found = await asyncio.gather(*(pods.driver.pull_image(image) for _ in range(5)))
        assert len(set(found)) == 1

    async def test_a_digest_pins_an_image(self, pods, registry):
        image = f"{registry.address}/tests/other:1"
        reference = await pods.driver.pull_image(image)
        digest = next(i for i in await pods.driver.list_images() if i.id == reference).digests[0]
        await pods.driver.remove_image(reference)
        assert reference not in {i.id for i in await pods.driver.list_images()}
        assert await pods.driver.pull_image(digest) == reference
        container = await pods.ended(await pods.run("cat /other", image=digest))
        assert (container.exit_code, container.image_id) == (0, reference)


class TestDaemonKilled:
    @pytest.mark.parametrize("way", ["kill", "stop"])
    async def test_containers_go_on_and_the_driver_heals(self, own_pods, own_dockerd, way):
        pods = own_pods
        container = await pods.run("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done")
        sandbox = (await pods.driver.list_pod_sandbox())[0]
        before = await pods.container(container)
        await asyncio.to_thread(getattr(own_dockerd, way))
        health = await pods.driver.status()
        assert (health.ready, health.reason) == (False, "DockerUnavailable")
        for call in (pods.driver.list_containers(), pods.sandbox("other"), pods.driver.stop_container(container, 1)):
            with pytest.raises(Unavailable):
                await call
        os.kill(before.pid, 0)
        await asyncio.to_thread(own_dockerd.start)
        await healthy(pods.driver)
        assert await pods.driver.list_pod_sandbox() == [sandbox]
        assert await pods.container(container) == before
        told = asyncio.ensure_future(anext(aiter(pods.driver.events())))
        await asyncio.sleep(1.5)
        await pods.driver.stop_container(container, 0)
        assert await asyncio.wait_for(told, 10) == container
        numbers = [int(text.split()[1]) for _, _, text in pods.entries()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 20

    @pytest.mark.parametrize("own_dockerd", [False], indirect=True)
    async def test_without_live_restore_they_have_ended(self, own_pods, own_dockerd):
        pods = own_pods
        container = await pods.run("sleep 1000")
        await asyncio.to_thread(own_dockerd.kill)
        await asyncio.to_thread(own_dockerd.start)
        await healthy(pods.driver)
        ended = await pods.ended(container)
        assert ended.reason == "Error"
        assert ended.exit_code
        async with asyncio.timeout(10):
            while [s.state for s in await pods.driver.list_pod_sandbox()] != ["NOTREADY"]:
                await asyncio.sleep(0.05)

    async def test_without_a_daemon_the_driver_does_not_open(self, tmp_path):
        need_docker()
        driver = DockerRuntime(DockerOptions(socket=str(tmp_path / "no.sock")), FakeHost(tmp_path))
        with pytest.raises(Unavailable, match=r"no\.sock"):
            await driver.open()
        await driver.close()
