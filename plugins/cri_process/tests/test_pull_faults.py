"""Pulling from registries that misbehave, want tokens, or are reached in other ways; and a puller that is killed."""

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from bareboat.contracts.cri import Credentials
from bareboat.contracts.errors import DriverError, InvalidConfig, Unavailable
from bareboat.testing import oci
from bareboat_cri_process.options import RegistryOptions

pytestmark = pytest.mark.root


class Scripted:
    """A registry of one image, in memory; ``script`` sees each request first and may answer in its place."""

    def __init__(self, image):
        self.contents = {blob.digest: blob for blob in (image.manifest, *image.blobs)}
        self.contents["1"] = image.manifest
        self.image = image
        self.asked = []
        self.ranges = True

    async def script(self, request, content):
        """None for the ordinary answer."""

    async def answer(self, request):
        what = request.path.rpartition("/")[2]
        self.asked.append((what, request.headers.get("Range", ""), request.headers.get("Authorization", "")))
        blob = self.contents.get(what)
        if blob is None:
            return web.Response(status=404)
        scripted = await self.script(request, blob.content)
        if scripted is not None:
            return scripted
        headers, start = {"Content-Type": blob.media_type}, 0
        if self.ranges and "Range" in request.headers:
            start = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(blob.content) - 1}/{len(blob.content)}"
        return web.Response(status=206 if start else 200, body=blob.content[start:], headers=headers)

    async def start(self, context=None):
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        return self

    def layers_asked(self):
        return [entry for entry in self.asked if entry[0] == self.image.blobs[1].digest]


@pytest.fixture
async def scripted():
    started = []

    async def start(image=None, context=None):
        registry = await Scripted(image or oci.build([[*oci.busybox(), ("random", os.urandom(2_000_000))]])).start(context)
        started.append(registry)
        return registry

    yield start
    for registry in started:
        await registry.runner.cleanup()


def options(pods, **fields):
    """Options of a driver that is open already."""
    puller = pods.driver._puller
    puller._options = msgspec.structs.replace(puller._options, **fields)
    puller._registries._options = puller._options.registries


async def cut(request, content, at):
    """Promise all of it, send a part, and drop the connection."""
    response = web.StreamResponse(headers={"Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[:at])
    await asyncio.sleep(0.05)
    request.transport.close()
    return response


class TestBrokenConnections:
    @pytest.mark.parametrize("ranges", [True, False])
    async def test_a_layer_that_was_cut_off_is_continued(self, pods, scripted, ranges):
        registry = await scripted()
        registry.ranges = ranges

        async def script(request, content):
            if len(content) > 1_000_000 and len(registry.layers_asked()) == 1:
                return await cut(request, content, 1_000_000)
            return None

        registry.script = script
        assert await pods.driver.pull_image(f"{registry.host}/a:1") == registry.image.config_digest
        first, second = registry.layers_asked()
        assert (first[1], second[1]) == ("", "bytes=1000000-")
        assert await pods.output("echo ran", image=f"{registry.host}/a:1") == ("ran", 0)

    async def test_a_beginning_that_was_damaged_is_thrown_away(self, pods, scripted):
        registry = await scripted()
        digest = registry.image.blobs[1].digest.removeprefix("sha256:")
        (pods.driver.engine.layout.images / "blobs/partial" / digest).write_bytes(b"damaged" * 100)
        assert await pods.driver.pull_image(f"{registry.host}/a:1")
        assert [asked[1] for asked in registry.layers_asked()] == ["bytes=700-", ""]

    async def test_answers_that_may_pass_are_asked_for_again(self, pods, scripted):
        registry = await scripted()
        answers = [web.Response(status=503), web.Response(status=429, headers={"Retry-After": "0"})]

        async def script(request, content):
            return answers.pop() if answers else None

        registry.script = script
        assert await pods.driver.pull_image(f"{registry.host}/a:1")

    async def test_a_registry_that_stays_broken_is_given_up(self, pods, scripted):
        registry = await scripted()

        async def script(request, content):
            return web.Response(status=500)

        registry.script = script
        options(pods, pull_attempts=2)
        with pytest.raises(Unavailable, match="500 Internal Server Error") as caught:
            await pods.driver.pull_image(f"{registry.host}/a:1")
        assert caught.value.reason == "ErrImagePull"
        assert len(registry.asked) == 2

    async def test_a_registry_that_sends_too_much_is_stopped(self, pods, scripted):
        registry = await scripted()

        async def script(request, content):
            return web.Response(body=content + b"more" * 1000) if len(content) > 1_000_000 else None

        registry.script = script
        with pytest.raises(DriverError, match="sends more than"):
            await pods.driver.pull_image(f"{registry.host}/a:1")

    async def test_a_pull_that_is_cancelled_is_continued_by_the_next(self, pods, scripted):
        registry = await scripted()
        halfway = asyncio.Event()

        async def script(request, content):
            if len(content) > 1_000_000 and not halfway.is_set():
                response = web.StreamResponse(headers={"Content-Length": str(len(content))})
                await response.prepare(request)
                await response.write(content[:500_000])
                await asyncio.sleep(0.1)
                halfway.set()
                await asyncio.sleep(5)

        registry.script = script
        pulling = asyncio.ensure_future(pods.driver.pull_image(f"{registry.host}/a:1"))
        await halfway.wait()
        pulling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pulling
        assert await pods.driver.pull_image(f"{registry.host}/a:1")
        assert registry.layers_asked()[-1][1] == "bytes=500000-"


class TestAccess:
    async def test_a_token_is_fetched_with_the_password_and_used_for_everything(self, pods, scripted):
        registry = await scripted()
        tokens = await scripted()

        async def give(request):
            assert request.query["scope"] == "repository:a/b:pull"
            assert request.query["service"] == "the, service"
            if request.headers.get("Authorization") != "Basic bWU6c2VjcmV0":
                return web.Response(status=401)
            return web.json_response({"access_token": "abc"})

        tokens.answer = give
        await tokens.runner.cleanup()
        await tokens.start()

        async def script(request, content):
            if request.headers.get("Authorization") == "Bearer abc":
                return None
            challenge = f'Bearer realm="http://{tokens.host}/token",service="the, service",scope="repository:a/b:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})

        registry.script = script
        with pytest.raises(InvalidConfig, match="failed to fetch anonymous token") as caught:
            await pods.driver.pull_image(f"{registry.host}/a/b:1")
        assert caught.value.reason == "Unauthorized"
        registry.asked.clear()
        assert await pods.driver.pull_image(f"{registry.host}/a/b:1", Credentials(username="me", password="secret"))
        assert [asked[2] for asked in registry.asked] == ["", "Bearer abc", "Bearer abc", "Bearer abc"]

    async def test_mirrors_come_first_and_see_no_credentials(self, pods, scripted):
        registry, mirror, empty = await scripted(), await scripted(), await scripted()
        mirror.contents = registry.contents
        empty.contents = {}
        urls = (f"http://{empty.host}", f"http://{mirror.host}")
        options(pods, registries={registry.host: RegistryOptions(mirrors=urls, username="me", password="secret")})
        assert await pods.driver.pull_image(f"{registry.host}/a:1")
        assert not registry.asked
        assert {asked[2] for asked in mirror.asked} == {""}
        await mirror.runner.cleanup()
        await pods.driver.remove_image(f"{registry.host}/a:1")
        assert await pods.driver.pull_image(f"{registry.host}/a:1")
        assert registry.asked

    async def test_loopback_may_speak_tls_that_nobody_vouches_for(self, pods, scripted, certificate):
        registry = await scripted(context=certificate[1])
        assert await pods.driver.pull_image(f"{registry.host}/a:1")

    async def test_a_bundle_of_authorities_vouches(self, pods, scripted, certificate):
        registry = await scripted(context=certificate[1])
        name = f"registry.test:{registry.port}"
        puller = pods.driver._puller
        puller._registries._http()._connector._resolve_host = resolve_to(registry.port)
        options(pods, pull_attempts=2)
        with pytest.raises(Unavailable, match="certificate"):
            await pods.driver.pull_image(f"{name}/a:1")
        options(pods, registries={name: RegistryOptions(ca=certificate[0])})
        assert await pods.driver.pull_image(f"{name}/a:1")


def resolve_to(port):
    async def resolve(host, wanted, traces=None):
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    return resolve


@pytest.fixture
def certificate(tmp_path):
    """A file with a certificate for registry.test that vouches for itself, and a server's context with it."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry.test -addext subjectAltName=DNS:registry.test"
    both = tmp_path / "both.pem"
    made = subprocess.run([*command.split(), "-keyout", "/dev/stdout", "-out", "/dev/stdout"], capture_output=True, check=True)
    both.write_bytes(made.stdout)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return str(both), context


class TestKilled:
    async def test_a_puller_that_is_killed_leaves_nothing_half_made(self, pods, scripted, tmp_path):
        """Killed at many moments: what another process then finds is either no image or all of it."""
        layers = [[*oci.busybox(), ("big", os.urandom(1_500_000))], *([(f"f{n}", b"x" * 1000)] for n in range(3))]
        registry = await scripted(oci.build(layers, Cmd=["sh"]))
        image = f"{registry.host}/a:1"
        directory = tmp_path / "victim"
        whole = 0
        for delay in (0.02, 0.08, 0.15, 0.25, 0.35, 0.45, 0.6):
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(Path(__file__).parent / "puller.py"), str(directory), image, stdout=subprocess.PIPE
            )
            await process.stdout.readline()
            await asyncio.sleep(delay)
            try:
                process.send_signal(signal.SIGKILL)
            except ProcessLookupError:
                pass
            await process.wait()
            process._transport.close()
            images = directory / "state/images"
            for record in (images / "records").glob("*.json"):
                content = msgspec.json.decode(record.read_bytes())
                whole += 1
                assert all((images / "layers" / name).is_dir() for name in content["layers"])
                assert all((images / "blobs/sha256" / d.removeprefix("sha256:")).is_file() for d in content["blobs"])
        again = type(pods)(directory)
        await again.driver.open()
        assert await again.driver.pull_image(image) == registry.image.config_digest
        assert await again.output("cat /f2 | wc -c", image=image) == ("1000", 0)
        assert [name for name in os.listdir(images / "layers") if name.startswith(".")] == []
        assert len(os.listdir(images / "blobs/sha256")) == 2
        await again.driver.cleanup_all()
        await again.driver.close()
