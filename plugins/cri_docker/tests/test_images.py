"""Images from files, and how they are listed and removed."""

import subprocess
import tarfile

import pytest

from bareboat.contracts.errors import Conflict, InvalidConfig, NotFound
from bareboat.testing import oci

pytestmark = pytest.mark.root


def built(text):
    return oci.build([oci.busybox(), [("text", text.encode())]], Cmd=["cat", "/text"], User="1000")


async def said(pods, image):
    container = await pods.ended(await pods.run("", image=image, command=(), name="said"))
    return pods.text("said"), container.exit_code


class TestFiles:
    @pytest.mark.parametrize("packed", [False, True])
    async def test_an_oci_layout_is_loaded_with_its_names(self, pods, tmp_path, packed):
        image = oci.index({"linux/amd64": built("amd"), "linux/arm64": built("arm")})
        layout = oci.write_layout(tmp_path / "layout", {"docker.io/loaded/multi:1": image})
        path = tmp_path / "layout.tar" if packed else layout
        if packed:
            with tarfile.open(path, "w") as tar:
                tar.add(layout, arcname=".")
        ids = await pods.driver.load_image(str(path))
        found = next(i for i in await pods.driver.list_images() if i.id == ids[0])
        assert {"loaded/multi:1", "docker.io/loaded/multi:1"} <= set(found.tags)
        assert found.user == "1000"
        assert await said(pods, "loaded/multi:1") == ("amd" if oci.MACHINE == "amd64" else "arm", 0)
        with pytest.raises(Conflict) as caught:
            await pods.driver.remove_image(ids[0])
        assert caught.value.reason == "ImageInUse"
        await pods.driver.cleanup_all()
        await pods.driver.remove_image(ids[0])
        assert ids[0] not in {i.id for i in await pods.driver.list_images()}

    async def test_what_docker_save_writes_is_loaded_and_named(self, pods, tmp_path):
        path = oci.write_docker_archive(tmp_path / "saved.tar", built("saved"), [])
        ids = await pods.driver.load_image(str(path), "loaded/saved:2")
        assert await said(pods, "loaded/saved:2") == ("saved", 0)
        await pods.driver.cleanup_all()
        await pods.driver.remove_image(ids[0])

    async def test_what_is_no_image_is_refused(self, pods, tmp_path):
        (tmp_path / "text").write_text("no tar")
        with tarfile.open(tmp_path / "empty.tar", "w"):
            pass
        other = oci.build([oci.busybox()], architecture="s390x")
        foreign = oci.write_layout(tmp_path / "foreign", {"x/y:1": oci.index({"linux/s390x": other})})
        damaged = oci.write_layout(tmp_path / "damaged", {"x/y:1": built("x")})
        next((damaged / "blobs/sha256").iterdir()).unlink()
        for path in (tmp_path / "text", tmp_path / "empty.tar", tmp_path / "nowhere", foreign, damaged):
            with pytest.raises(InvalidConfig):
                await pods.driver.load_image(str(path))


class TestVolumes:
    async def test_an_image_of_very_many_layers_is_a_volume(self, pods, tmp_path):
        """The kernel takes 4096 bytes of paths."""
        layers = [[(f"f{number}", str(number).encode()), ("last", str(number).encode())] for number in range(60)]
        image = oci.write_docker_archive(tmp_path / "layers.tar", oci.build(layers), ["layers:1"])
        (found,) = await pods.driver.load_image(str(image))
        path = tmp_path / "volume"
        path.mkdir()
        await pods.driver.mount_image(found, str(path))
        try:
            assert {p.name for p in path.iterdir()} == {*(f"f{number}" for number in range(60)), "last"}
            assert (path / "last").read_text() == "59"
        finally:
            subprocess.run(["umount", str(path)], check=True)
        await pods.driver.remove_image(found)


class TestNames:
    async def test_names_are_listed_as_they_may_be_written(self, pods, dockerd):
        dockerd.build("spelled:latest", {"spelled": b""})
        tags = next(set(i.tags) for i in await pods.driver.list_images() if "spelled:latest" in i.tags)
        assert tags == {"spelled", "spelled:latest", "docker.io/library/spelled", "docker.io/library/spelled:latest"}
        await pods.driver.remove_image("spelled")
        assert not any("spelled" in i.tags for i in await pods.driver.list_images())

    async def test_the_pause_image_is_not_listed_and_comes_back(self, pods, dockerd):
        sandbox = await pods.sandbox()
        assert not any("pause" in tag for i in await pods.driver.list_images() for tag in i.tags)
        await pods.driver.remove_pod_sandbox(sandbox.id)
        for image in dockerd.docker.api.images():
            if any(tag.startswith("bareboat-pause") for tag in image["RepoTags"] or ()):
                dockerd.docker.api.remove_image(image["Id"])
        assert (await pods.sandbox()).state == "READY"

    async def test_a_container_of_an_unknown_image_is_not_found(self, pods):
        with pytest.raises(NotFound, match="not on this machine"):
            await pods.create("true", image="no/such:image")
