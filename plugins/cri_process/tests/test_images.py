"""Images from files: OCI layouts and docker archives are unpacked, whatever is in them, and run."""

import hashlib
import io
import json
import os
import shutil
import tarfile

import pytest

from bareboat.contracts.cri import ContainerConfig, Security
from bareboat.contracts.errors import Conflict, InvalidConfig, NotFound

pytestmark = pytest.mark.root
BUSYBOX = "/bin/busybox"


def layer(entries):
    """A tar of (name, content): bytes a file, str a link's target, None a directory."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return stream.getvalue()


def config_of(**config):
    return json.dumps({"architecture": "amd64", "os": "linux", "config": config}).encode()


def docker_archive(path, config, layers, tags):
    with tarfile.open(path, "w") as archive:

        def add(name, content):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

        add("config.json", config)
        for number, content in enumerate(layers):
            add(f"{number}.tar", content)
        manifest = {"Config": "config.json", "RepoTags": tags, "Layers": [f"{n}.tar" for n in range(len(layers))]}
        add("manifest.json", json.dumps([manifest]).encode())
    return str(path)


def oci_layout(path, config, layers, name):
    (path / "blobs/sha256").mkdir(parents=True)

    def blob(content):
        digest = hashlib.sha256(content).hexdigest()
        (path / "blobs/sha256" / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    manifest = blob(json.dumps({"config": blob(config), "layers": [blob(content) for content in layers]}).encode())
    index = {"manifests": [manifest | {"annotations": {"io.containerd.image.name": name}}]}
    (path / "index.json").write_text(json.dumps(index))
    return str(path)


@pytest.fixture
def busybox():
    if not os.path.exists(BUSYBOX):
        pytest.skip("needs a static busybox to have something that runs in an image of nothing else")
    with open(BUSYBOX, "rb") as file:
        return [("bin", None), ("bin/busybox", file.read()), *((f"bin/{n}", "busybox") for n in ("sh", "cat", "id", "ls", "sleep", "pwd"))]


class TestLoading:
    async def test_an_image_runs_as_its_configuration_says(self, pods, busybox, tmp_path):
        config = config_of(
            Entrypoint=["sh", "-c"], Cmd=["id -u; pwd; echo $COLOUR; ls /"], Env=["COLOUR=red"], User="app", WorkingDir="/srv"
        )
        files = [("etc", None), ("etc/passwd", b"app:x:7:8::/srv:/bin/sh\n"), ("secret", b"x")]
        layers = [layer([*busybox, *files]), layer([(".wh.secret", b""), ("added", b"")])]
        ids = await pods.driver.load_image(docker_archive(tmp_path / "image.tar", config, layers, ["example/app:1"]))
        assert pods.driver.engine.images.get("example/app:1").id == ids[0]
        text, code = await pods.output("", image="example/app:1", command=())
        assert code == 0
        lines = text.split("\n")
        assert lines[:3] == ["7", "/srv", "red"]
        assert {"added", "bin", "etc"} <= set(lines)
        assert "secret" not in lines
        image = next(i for i in await pods.driver.list_images() if i.id == ids[0])
        assert (image.tags, image.user) == (("example/app:1",), "app")

    async def test_an_oci_layout_is_loaded_and_arguments_are_overridden(self, pods, busybox, tmp_path):
        config = config_of(Entrypoint=["sh", "-c"], Cmd=["echo default"])
        await pods.driver.load_image(oci_layout(tmp_path / "layout", config, [layer(busybox)], "example/tool"))
        sandbox = await pods.sandbox()
        for name, fields, text in (
            ("plain", {"command": ()}, "default"),
            ("args", {"command": (), "args": ("echo args",)}, "args"),
            ("command", {"command": ("/bin/sh", "-c", "echo command")}, "command"),
        ):
            assert await pods.output("", image="example/tool:latest", sandbox=sandbox, name=name, **fields) == (text, 0)

    async def test_what_a_container_writes_stays_out_of_the_image(self, pods, busybox, tmp_path):
        await pods.driver.load_image(docker_archive(tmp_path / "i.tar", config_of(), [layer(busybox)], ["app:1"]))
        sandbox = await pods.sandbox()
        assert (await pods.output("echo x > /bin/new; ls /bin/new", image="app:1", sandbox=sandbox))[0] == "/bin/new"
        assert (await pods.output("ls /bin/new", image="app:1", sandbox=sandbox, name="b"))[1] == 1
        assert (await pods.output("echo x > /new", image="app:1", sandbox=sandbox, name="c", security=Security(readonly_rootfs=True)))[
            1
        ] == 1

    async def test_a_hostile_layer_cannot_leave_its_root(self, pods, tmp_path):
        victim = tmp_path / "victim"
        victim.mkdir()
        (victim / "kept").touch()
        hostile = [
            ("out", str(victim)),
            ("out/file", b"x"),
            ("../../up", b"x"),
            ("/abs", b"x"),
            ("out/.wh.kept", b""),
            (f"..{victim}/y", b"x"),
        ]
        try:
            await pods.driver.load_image(docker_archive(tmp_path / "i.tar", config_of(), [layer(hostile)], ["bad:1"]))
        except InvalidConfig as error:
            assert error.reason == "InvalidImage"  # noqa: PT017  refusing it is fine too
        assert os.listdir(victim) == ["kept"]

    async def test_an_archive_may_link_within_itself(self, pods, busybox, tmp_path):
        path = tmp_path / "i.tar"
        with tarfile.open(path, "w") as archive:
            manifest = json.dumps([{"Config": "./config.json", "RepoTags": ["app:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}]).encode()
            for name, content in (("a/layer.tar", layer(busybox)), ("config.json", config_of()), ("manifest.json", manifest)):
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            link = tarfile.TarInfo("b/layer.tar")
            link.type, link.linkname = tarfile.SYMTYPE, "../a/layer.tar"
            archive.addfile(link)
            archive.addfile(tarfile.TarInfo("..data"))
        await pods.driver.load_image(str(path))
        assert await pods.output("echo in", image="app:1") == ("in", 0)

    @pytest.mark.parametrize(
        "members",
        [
            [("../up", b"x")],
            [("out", "/etc"), ("out/x", b"x")],
            [("out", "/etc/passwd")],
            [("out", "out")],
            [("out", "../../../../../../etc/passwd")],
            [("file", b"x"), ("file/below", b"x")],
            [("directory", None), ("directory/x", b"x"), ("directory", b"x")],
        ],
        ids=["up", "below a link", "absolute link", "circle", "relative link", "below a file", "over a directory"],
    )
    async def test_a_hostile_archive_is_refused_and_leaves_nothing(self, pods, tmp_path, members):
        path = tmp_path / "hostile.tar"
        path.write_bytes(layer(members))
        with pytest.raises(InvalidConfig) as caught:
            await pods.driver.load_image(str(path))
        assert caught.value.reason == "InvalidImage"
        assert not list(tmp_path.rglob("up"))
        assert not list(tmp_path.rglob(".load-*"))

    async def test_a_layer_opaque_over_a_directory_replaces_it(self, pods, busybox, tmp_path):
        layers = [layer([*busybox, ("d", None), ("d/old", b"")]), layer([("d/.wh..wh..opq", b""), ("d/new", b"")])]
        await pods.driver.load_image(docker_archive(tmp_path / "i.tar", config_of(), layers, ["app:1"]))
        assert await pods.output("ls /d", image="app:1") == ("new", 0)

    async def test_a_tag_moves_and_an_image_in_use_stays(self, pods, busybox, tmp_path):
        first = await pods.driver.load_image(docker_archive(tmp_path / "1.tar", config_of(Cmd=["a"]), [layer(busybox)], ["app:1"]))
        second = await pods.driver.load_image(docker_archive(tmp_path / "2.tar", config_of(Cmd=["b"]), [layer(busybox)], ["app:1"]))
        assert pods.driver.engine.images.get("docker.io/library/app:1").id == second[0] != first[0]
        sandbox = await pods.sandbox()
        container = await pods.driver.create_container(sandbox.id, ContainerConfig(name="c", image="app:1"))
        with pytest.raises(Conflict) as caught:
            await pods.driver.remove_image("app:1")
        assert caught.value.reason == "ImageInUse"
        await pods.driver.remove_container(container)
        await pods.driver.remove_image("app:1")
        with pytest.raises(NotFound):
            pods.driver.engine.images.get("app:1")
        assert await pods.driver.image_fs_bytes() > 0
        await pods.driver.remove_image(first[0])
        assert await pods.driver.image_fs_bytes() == 0

    async def test_an_image_that_goes_while_images_are_listed_is_left_out(self, pods, busybox, tmp_path):
        for name in "ab":
            await pods.driver.load_image(docker_archive(tmp_path / name, config_of(Cmd=[name]), [layer(busybox)], [f"{name}:1"]))
        listed = iter(pods.driver.engine.images)
        first = next(listed)
        other = next(name for name in ("docker.io/library/a:1", "docker.io/library/b:1") if name not in first.tags)
        await pods.driver.remove_image(other)
        assert other not in [tag for image in listed for tag in image.tags]

    async def test_what_is_no_image_is_refused_and_leaves_nothing(self, pods, tmp_path):
        (tmp_path / "x.tar").write_bytes(b"not a tar")
        with pytest.raises(InvalidConfig, match="no OCI layout"):
            await pods.driver.load_image(str(tmp_path / "x.tar"))
        with pytest.raises(InvalidConfig, match="cannot be unpacked"):
            await pods.driver.load_image(docker_archive(tmp_path / "i.tar", config_of(), [b"garbage"], ["app:1"]))
        assert [path for path in pods.driver.engine.layout.images.rglob("*") if path.is_file()] == []
        assert os.listdir(pods.driver.engine.layout.images / "layers") == []

    async def test_layers_live_in_memory_where_the_directory_cannot_hold_them(self, pods):
        pods.driver.engine.layout.layers_on_disk = False
        assert await pods.output("echo x > /usr/x && cat /usr/x && grep -c ' /usr overlay' /proc/mounts") == ("x\n1", 0)
        shutil.rmtree(pods.directory / "logs")
