"""Pulling from a real registry: what is fetched, shared and verified, and how it runs."""

import asyncio
import os
import tarfile

import pytest

from bareboat.contracts.cri import Credentials
from bareboat.contracts.errors import DriverError, Exhausted, InvalidConfig, NotFound, Unavailable
from bareboat.testing import oci, registry

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(registry.missing()), reason=f"needs {registry.missing()}")]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with registry.Registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    with registry.Registry(tmp_path_factory.mktemp("locked"), auth=("me", "secret")) as found:
        yield found


def member(name, content=b"", **fields):
    found = tarfile.TarInfo(name)
    found.size = len(content)
    for key, value in fields.items():
        setattr(found, key, value)
    return found


def layers_of(pods):
    return pods.driver.engine.images.layers.names()


def files_of(pods):
    """What the store holds beyond empty directories."""
    return sorted(str(p.relative_to(pods.driver.engine.layout.images)) for p in pods.driver.engine.layout.images.rglob("*") if p.is_file())


class TestPulling:
    @pytest.mark.parametrize(("docker", "compression"), [(False, "gzip"), (False, "zstd"), (False, ""), (True, "gzip")])
    async def test_an_image_is_fetched_and_runs(self, pods, served, docker, compression):
        name = f"kinds/{compression or 'plain'}{docker:d}"
        image = oci.build(
            [oci.busybox(), [("etc", None), ("etc/passwd", b"app:x:7:8::/srv:/bin/sh\n")]],
            docker=docker,
            compression=compression,
            User="app",
            Env=["A=b"],
        )
        digest = await oci.push(served.url, name, "1", image)
        pulled = await pods.driver.pull_image(f"{served.host}/{name}:1")
        assert pulled == image.config_digest
        assert await pods.output("id -u; echo $A", image=pulled) == ("7\nb", 0)
        listed = next(i for i in await pods.driver.list_images() if i.id == pulled)
        assert listed.tags == (f"{served.host}/{name}:1",)
        assert listed.digests == (f"{served.host}/{name}@{digest}",)
        assert listed.user == "app"
        assert listed.size > 1_000_000

    @pytest.mark.parametrize("docker", [False, True])
    async def test_of_an_index_the_machines_own_image_is_taken(self, pods, served, docker):
        mine = oci.build([oci.busybox()], docker=docker, Cmd=["sh", "-c", "echo mine"])
        other = oci.build([[("x", b"")]], docker=docker, architecture="s390x")
        name = f"multi{docker:d}"
        digest = await oci.push(
            served.url, name, "1", oci.index({"linux/s390x": other, f"linux/{oci.MACHINE}": mine, "windows/amd64": other}, docker=docker)
        )
        assert await pods.driver.pull_image(f"{served.host}/{name}:1") == mine.config_digest
        assert (await pods.driver.list_images())[1].digests == (f"{served.host}/{name}@{digest}",)
        assert await pods.output("", image=f"{served.host}/{name}:1", command=()) == ("mine", 0)

    async def test_an_index_without_this_machine_says_what_there_is(self, pods, served):
        other = oci.build([[("x", b"")]], architecture="s390x")
        await oci.push(served.url, "foreign", "1", oci.index({"linux/s390x": other}))
        with pytest.raises(NotFound, match=f"no image for linux/{oci.MACHINE}.*only for linux/s390x") as caught:
            await pods.driver.pull_image(f"{served.host}/foreign:1")
        assert caught.value.reason == "ErrImagePull"

    async def test_an_image_is_found_by_digest_and_keeps_it(self, pods, served):
        digest = await oci.push(served.url, "pinned", "1", oci.build([oci.busybox()], Env=["PINNED=1"]))
        name = f"{served.host}/pinned@{digest}"
        pulled = await pods.driver.pull_image(name)
        listed = next(i for i in await pods.driver.list_images() if i.id == pulled)
        assert (listed.tags, listed.digests) == ((), (name,))
        assert await pods.output("echo $PINNED", image=name) == ("1", 0)
        with pytest.raises(NotFound):
            await pods.driver.pull_image(f"{served.host}/pinned@sha256:{'0' * 64}")

    async def test_layers_are_shared_between_images_and_go_with_the_last(self, pods, served):
        base = [*oci.busybox(), ("kept", b"x")]
        await oci.push(served.url, "one", "1", oci.build([base, [("one", b"1")]]))
        await oci.push(served.url, "two", "1", oci.build([base, [("two", b"2")]]))
        one = await pods.driver.pull_image(f"{served.host}/one:1")
        alone = await pods.driver.image_fs_bytes()
        two = await pods.driver.pull_image(f"{served.host}/two:1")
        assert len(layers_of(pods)) == 3
        assert await pods.driver.image_fs_bytes() == alone + 1
        await pods.driver.remove_image(one)
        assert len(layers_of(pods)) == 2
        assert await pods.output("ls / | grep -c -e one -e two -e kept", image=two) == ("2", 0)
        assert (
            len([name for name in files_of(pods) if "blobs" in name]) == 2
        )  # a manifest and a configuration; layers are kept unpacked only
        for container in await pods.driver.list_containers():
            await pods.driver.remove_container(container.id)
        await pods.driver.remove_image(two)
        assert files_of(pods) == []
        assert layers_of(pods) == []

    async def test_a_tag_that_moved_is_pulled_again(self, pods, served):
        await oci.push(served.url, "moving", "1", oci.build([oci.busybox()], Env=["N=1"]))
        first = await pods.driver.pull_image(f"{served.host}/moving:1")
        await oci.push(served.url, "moving", "1", oci.build([oci.busybox()], Env=["N=2"]))
        second = await pods.driver.pull_image(f"{served.host}/moving:1")
        assert first != second
        assert await pods.output("echo $N", image=f"{served.host}/moving:1") == ("2", 0)
        assert {i.id: i.tags for i in await pods.driver.list_images()}[first] == ()

    async def test_pulls_at_once_of_one_layer_share_it(self, pods, served):
        base = [*oci.busybox(), ("big", os.urandom(3_000_000))]
        for number in range(4):
            await oci.push(served.url, f"many{number}", "1", oci.build([base, [(f"f{number}", b"")]]))
        counted = []
        download = pods.driver._puller._download

        async def counting(source, layer, meter):
            counted.append(layer.digest)
            await download(source, layer, meter)

        pods.driver._puller._download = counting
        await asyncio.gather(*(pods.driver.pull_image(f"{served.host}/many{n}:1") for n in range(4)))
        assert len(counted) == len(set(counted)) == 5
        assert len(layers_of(pods)) == 5

    async def test_progress_is_shown_while_it_lasts(self, pods, served):
        await oci.push(served.url, "slow", "1", oci.build([[("big", os.urandom(5_000_000))]]))
        seen = []

        async def watch():
            while True:
                seen.extend(pods.driver.pull_progress().values())
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(watch())
        await pods.driver.pull_image(f"{served.host}/slow:1")
        watching.cancel()
        assert max(p.total for p in seen) > 5_000_000
        done = [p.done for p in seen]
        assert done == sorted(done)
        assert pods.driver.pull_progress() == {}


class TestLayers:
    async def test_what_a_layer_says_of_files_is_so(self, pods, served):
        special = [
            ("d", None),
            member("d/owned", mode=0o4750, uid=12, gid=34, mtime=86400),
            (oci.tarfile.TarInfo("d/link")),
            member("fifo", type=tarfile.FIFOTYPE, mode=0o600),
            member("sticky", type=tarfile.DIRTYPE, mode=0o1777, mtime=86400),
            member("sticky/in", mtime=5),
            member("capable", pax_headers={"SCHILY.xattr.user.note": "hello", "SCHILY.xattr.trusted.overlay.opaque": "y"}),
        ]
        special[2].type, special[2].linkname = tarfile.LNKTYPE, "d/owned"
        await oci.push(served.url, "special", "1", oci.build([oci.busybox(), special]))
        image = await pods.driver.pull_image(f"{served.host}/special:1")
        script = "stat -c '%a %u %g %Y %h' /d/owned; stat -c %F /fifo; stat -c '%a %Y' /sticky; stat -c %a /; stat -c '%a' /d"
        assert await pods.output(script, image=image) == ("4750 12 34 86400 2\nfifo\n1777 86400\n755\n755", 0)
        top = pods.driver.engine.images.roots(pods.driver.engine.images.get(image))[0]
        assert os.getxattr(top / "capable", "user.note") == b"hello"
        assert "trusted.overlay.opaque" not in os.listxattr(top / "capable")

    async def test_removals_hide_what_is_below_and_nothing_else(self, pods, served):
        below = [*oci.busybox(), ("d", None), ("d/old", b""), ("d/sub", None), ("d/sub/old", b""), ("gone", b""), ("e", None), ("e/x", b"")]
        # what the layer itself brings stays, even if it comes before the marker that empties its directory
        above = [("d/sub", None), ("d/sub/new", b""), ("d/.wh..wh..opq", b""), ("d/new", b""), (".wh.gone", b""), (".wh.e", b"")]
        await oci.push(served.url, "removals", "1", oci.build([below, above]))
        image = await pods.driver.pull_image(f"{served.host}/removals:1")
        assert await pods.output("ls / /d /d/sub | grep -v -e bin -e proc -e sys -e dev", image=image) == (
            "/:\nd\n\n/d:\nnew\nsub\n\n/d/sub:\nnew",
            0,
        )

    async def test_directories_that_a_layer_only_passes_through_stay_as_they_are(self, pods, served):
        below = [*oci.busybox(), member("private", type=tarfile.DIRTYPE, mode=0o700, uid=5), ("real", None), ("alias", "real")]
        await oci.push(served.url, "passing", "1", oci.build([below, [("private/file", b""), ("alias/file", b""), ("new/file", b"")]]))
        image = await pods.driver.pull_image(f"{served.host}/passing:1")
        assert await pods.output("stat -c '%a %u' /private /new; ls /real; stat -c %F /alias", image=image) == (
            "700 5\n755 0\nfile\nsymbolic link",
            0,
        )

    async def test_a_hard_link_reaches_into_the_layer_below(self, pods, served):
        link = tarfile.TarInfo("linked")
        link.type, link.linkname = tarfile.LNKTYPE, "original"
        await oci.push(served.url, "hard", "1", oci.build([[*oci.busybox(), ("original", b"content")], [link]]))
        image = await pods.driver.pull_image(f"{served.host}/hard:1")
        assert await pods.output("cat /linked", image=image) == ("content", 0)

    async def test_a_user_is_looked_up_through_all_layers(self, pods, served):
        base = [*oci.busybox(), ("etc", None), ("etc/passwd", b"app:x:7:8::/srv:/bin/sh\n"), ("etc/group", b"more:x:99:app\n")]
        await oci.push(served.url, "users", "1", oci.build([base, [("other", b"")], [("etc/.wh.group", b"")]], User="app"))
        image = await pods.driver.pull_image(f"{served.host}/users:1")
        assert await pods.output("id -u; id -G", image=image) == ("7\n8", 0)

    async def test_an_image_of_many_layers_fits(self, pods, served):
        layers = [oci.busybox(), *([(f"f{n}", b"")] for n in range(99))]
        await oci.push(served.url, "many-layers", "1", oci.build(layers))
        image = await pods.driver.pull_image(f"{served.host}/many-layers:1")
        assert await pods.output("ls / | grep -c 'f[0-9]'", image=image) == ("99", 0)

    async def test_without_an_overlay_an_image_is_one_directory(self, pods, served):
        pods.driver.engine.layout.layers_on_disk = pods.driver.engine.images.layers.overlay = False
        layers = [[*oci.busybox(), ("d", None), ("d/old", b"")], [("d/.wh.old", b""), ("d/new", b"")]]
        await oci.push(served.url, "flat", "1", oci.build(layers))
        image = await pods.driver.pull_image(f"{served.host}/flat:1")
        assert len(layers_of(pods)) == 1
        assert await pods.output("ls /d", image=image) == ("new", 0)


class TestFailures:
    async def refused(self, pods, image, kind=DriverError, credentials=None):
        with pytest.raises(kind) as caught:
            await pods.driver.pull_image(image, credentials)
        assert [name for name in files_of(pods) if "partial" not in name] == []
        assert layers_of(pods) == []
        return caught.value

    async def test_an_image_that_does_not_exist(self, pods, served):
        error = await self.refused(pods, f"{served.host}/no/such:1", NotFound)
        assert error.reason == "ErrImagePull"
        assert error.message.endswith(f"{served.host}/no/such:1: not found")

    async def test_a_registry_that_is_not_there(self, pods):
        pods.driver._puller._options = type(pods.driver.options)(pull_attempts=1)
        error = await self.refused(pods, "127.0.0.1:1/a:1", Unavailable)
        assert error.reason == "ErrImagePull"
        assert "127.0.0.1:1" in error.message

    async def test_credentials_decide(self, pods, locked):
        await oci.push(locked.url, "private", "1", oci.build([oci.busybox()]), auth=("me", "secret"))
        image = f"{locked.host}/private:1"
        for wrong in (None, Credentials(username="me", password="wrong")):
            error = await self.refused(pods, image, InvalidConfig, wrong)
            assert error.reason == "Unauthorized"
            assert "pull access denied" in error.message
            assert "wrong" not in error.message
        assert await pods.driver.pull_image(image, Credentials(username="me", password="secret"))

    async def test_a_damaged_layer_is_refused_and_not_kept(self, pods, served):
        image = oci.build([oci.busybox(), [("unlike", b"others")]])
        await oci.push(served.url, "damaged", "1", image)
        path = served.blob_path(image.blobs[2].digest)
        content = bytearray(path.read_bytes())
        content[20] ^= 0xFF
        path.write_bytes(content)
        error = await self.refused(pods, f"{served.host}/damaged:1")
        assert error.reason == "ErrImagePull"
        assert "unexpected content" in error.message

    async def test_a_layer_that_is_not_what_the_configuration_says(self, pods, served):
        await oci.push(served.url, "lying", "1", oci.build([oci.busybox()], diff_ids=["sha256:" + "1" * 64]))
        error = await self.refused(pods, f"{served.host}/lying:1", InvalidConfig)
        assert "the image's configuration says" in error.message

    @pytest.mark.parametrize("content", [b"no tar at all", oci.tar([("a", b"x" * 5000)])[:3000]])
    async def test_a_layer_that_is_no_tar(self, pods, served, content):
        await oci.push(served.url, "broken", "1", oci.build([content]))
        error = await self.refused(pods, f"{served.host}/broken:1", InvalidConfig)
        assert "cannot be unpacked" in error.message

    async def test_a_hostile_layer_stays_inside(self, pods, served, tmp_path):
        victim = tmp_path / "victim"
        victim.mkdir()
        (victim / "kept").touch()
        link = tarfile.TarInfo("stolen")
        link.type, link.linkname = tarfile.LNKTYPE, "../../../../../../etc/shadow"
        for number, hostile in enumerate(
            ([("out", str(victim)), ("out/file", b"x")], [("../../up", b"x")], [("out", str(victim)), ("out/.wh.kept", b"")], [link])
        ):
            await oci.push(served.url, f"hostile{number}", "1", oci.build([oci.busybox(), hostile]))
            try:
                await pods.driver.pull_image(f"{served.host}/hostile{number}:1")
            except InvalidConfig as error:
                assert error.reason == "InvalidImage"  # noqa: PT017  refusing it is fine too
        assert os.listdir(victim) == ["kept"]
        assert not (tmp_path / "up").exists()

    async def test_a_disk_that_is_full(self, pods, served):
        await oci.push(served.url, "large", "1", oci.build([[("big", os.urandom(3_000_000))]]))
        blobs = pods.driver.engine.layout.images / "blobs"
        os.system(f"mount -t tmpfs -o size=1m none {blobs} && mkdir {blobs}/partial {blobs}/sha256")
        try:
            error = await self.refused(pods, f"{served.host}/large:1", Exhausted)
            assert "No space left" in error.message
            assert os.listdir(blobs / "partial") == []
        finally:
            os.system(f"umount {blobs}")

    async def test_a_disk_that_is_full_while_unpacking(self, pods, served):
        await oci.push(served.url, "sparse", "1", oci.build([[("big", bytes(8_000_000))]]))
        layers = pods.driver.engine.layout.images / "layers"
        os.system(f"mount -t tmpfs -o size=1m none {layers}")
        try:
            error = await self.refused(pods, f"{served.host}/sparse:1", Exhausted)
            assert "No space left" in error.message
            assert os.listdir(layers) == []
        finally:
            os.system(f"umount {layers}")


async def test_images_come_and_go_at_once(pods, served):
    """Pulls, loads and removals of images that share layers, side by side, end with whole images and nothing else."""
    base = [*oci.busybox("sh", "cat"), ("shared", b"x")]
    for number in range(6):
        await oci.push(served.url, f"churn{number}", "1", oci.build([base, [(f"own{number}", str(number).encode())]]))
    names = [f"{served.host}/churn{n}:1" for n in range(6)]

    async def churn(name, last):
        for _ in range(3):
            await pods.driver.pull_image(name)
            await pods.driver.remove_image(name)
        if last:
            await pods.driver.pull_image(name)

    await asyncio.gather(*(churn(name, number % 2 == 0) for number, name in enumerate(names)))
    listed = [tag for image in await pods.driver.list_images() for tag in image.tags if "churn" in tag]
    assert sorted(listed) == names[::2]
    assert len(layers_of(pods)) == 4
    sandbox = await pods.sandbox()
    for number in (0, 2, 4):
        assert await pods.output(f"cat /own{number}", image=names[number], sandbox=sandbox, name=f"c{number}") == (str(number), 0)
