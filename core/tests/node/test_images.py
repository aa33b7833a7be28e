"""Images of a node: pull policies, back-off, events, and which pull secrets fit which image."""

import base64
import json

import pytest

from bareboat.base.clock import SystemClock
from bareboat.contracts.cri import Credentials, Image
from bareboat.contracts.errors import InvalidConfig, NotFound
from bareboat.models import core_v1, meta_v1
from bareboat.node import image_names
from bareboat.node.config import NodeConfig
from bareboat.node.images import ImageFailure, Images, go_duration
from bareboat.node.pull_secrets import Keyring
from bareboat.node.registration import Registration


class Clock(SystemClock):
    now_seconds = 1000.0

    def monotonic(self):
        return self.now_seconds


class Runtime:
    """Has images, and pulls those that are ``there``, for those who are allowed."""

    def __init__(self, clock):
        self.images, self.there, self.pulled, self.password, self.clock = [], set(), [], "", clock

    async def list_images(self):
        return self.images

    async def pull_image(self, image, credentials=None):
        self.pulled.append((image, credentials))
        self.clock.now_seconds += 1.5
        if self.password and (credentials is None or credentials.password != self.password):
            raise InvalidConfig(f"pull access denied for {credentials and credentials.username}", reason="Unauthorized")
        if image not in self.there:
            raise NotFound(f"{image}: not found", reason="ErrImagePull")
        self.images.append(Image(id="sha256:1", tags=(image,), size=42))
        return "sha256:1"


class Node:
    def __init__(self):
        self.clock = Clock()
        self.runtime = Runtime(self.clock)
        self.objects, self.events = {}, []
        self.images = Images(self.runtime, self.clock, self.find)

    async def find(self, cls, name, namespace):
        return self.objects.get((cls, namespace, name))

    async def ensure(self, image, policy="IfNotPresent", secrets=(), uid="u1"):
        references = [core_v1.LocalObjectReference(name=name) for name in secrets]
        container = core_v1.Container(name="c", image=image, imagePullPolicy=policy)
        pod = core_v1.Pod(
            metadata=meta_v1.ObjectMeta(name="p", namespace="ns", uid=uid),
            spec=core_v1.PodSpec(containers=[container], imagePullSecrets=references),
        )
        return await self.images.ensure(pod, container, lambda _, kind, reason, message: self.events.append((kind, reason, message)))

    async def refused(self, *arguments, **fields):
        with pytest.raises(ImageFailure) as caught:
            await self.ensure(*arguments, **fields)
        return caught.value.reason, caught.value.message

    def secret(self, name, auths):
        self.objects[core_v1.Secret, "ns", name] = secret(auths)


@pytest.fixture
def node():
    return Node()


def secret(auths, kind="kubernetes.io/dockerconfigjson"):
    content, field = ({"auths": auths}, ".dockerconfigjson") if "json" in kind else (auths, ".dockercfg")
    return core_v1.Secret(type=kind, data={field: base64.b64encode(json.dumps(content).encode()).decode()})


def entry(name, password="pw"):
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


class TestPolicies:
    @pytest.mark.parametrize(
        "written", ["busybox", "busybox:latest", "docker.io/library/busybox", "index.docker.io/library/busybox:latest"]
    )
    async def test_what_is_there_is_not_pulled_however_it_is_spelled(self, node, written):
        node.runtime.images = [Image(id="sha256:1", tags=("busybox:latest",))]
        assert await node.ensure(written) == written
        message = f'Container image "{written}" already present on machine and can be accessed by the pod'
        assert node.events == [("Normal", "Pulled", message)]
        assert node.runtime.pulled == []

    async def test_an_image_is_there_by_digest_and_by_id(self, node):
        digest = "r.example/a@sha256:" + "1" * 64
        node.runtime.images = [Image(id="sha256:1", digests=(digest,))]
        assert await node.ensure(digest)
        assert await node.ensure("r.example/a:tag@sha256:" + "1" * 64)
        assert node.runtime.pulled == []

    async def test_always_pulls_and_says_how_long_it_took(self, node):
        node.runtime.there = {"a:1"}
        node.runtime.images = [Image(id="sha256:1", tags=("a:1",))]
        assert await node.ensure("a:1", "Always") == "sha256:1"
        text = 'Successfully pulled image "a:1" in 1.5s (1.5s including waiting). Image size: '
        assert [event[:2] for event in node.events] == [("Normal", "Pulling"), ("Normal", "Pulled")]
        assert node.events[0][2] == 'Pulling image "a:1"'
        assert node.events[1][2].startswith(text)

    async def test_never_does_not_pull(self, node):
        message = 'Container image "a:1" is not present with pull policy of Never'
        assert await node.refused("a:1", "Never") == ("ErrImageNeverPull", message)
        assert node.events == [("Warning", "ErrImageNeverPull", message)]

    async def test_a_name_that_is_none_is_said_to_be_so(self, node):
        reason, message = await node.refused("Not//An:Image:")
        assert reason == "InvalidImageName"
        assert message.endswith("invalid reference format")
        assert node.events == [("Warning", "InspectFailed", message)]


class TestFailures:
    async def test_failures_back_off_and_then_pull_again(self, node):
        assert await node.refused("a:1") == ("ErrImagePull", "a:1: not found")
        assert node.events == [
            ("Normal", "Pulling", 'Pulling image "a:1"'),
            ("Warning", "Failed", 'Failed to pull image "a:1": a:1: not found'),
        ]
        node.clock.now_seconds += 1
        assert await node.refused("a:1") == ("ImagePullBackOff", 'Back-off pulling image "a:1": ErrImagePull: a:1: not found')
        assert node.events[-1] == ("Normal", "BackOff", 'Back-off pulling image "a:1"')
        waits = []
        for _ in range(7):
            with pytest.raises(ImageFailure) as caught:
                await node.ensure("a:1")
            waits.append(round(caught.value.wait + (1 if not waits else 0)))
            node.clock.now_seconds += caught.value.wait
            await node.refused("a:1")
        assert waits == [10, 20, 40, 80, 160, 300, 300]
        node.clock.now_seconds += 300
        node.runtime.there = {"a:1"}
        assert await node.ensure("a:1") == "sha256:1"

    async def test_one_pods_failure_does_not_hold_up_another(self, node):
        await node.refused("a:1", uid="u1")
        node.runtime.there = {"a:1"}
        assert await node.ensure("a:1", uid="u2") == "sha256:1"


class TestSecrets:
    async def test_a_pods_secret_opens_the_registry(self, node):
        node.runtime.there, node.runtime.password = {"r.example/a:1"}, "right"
        node.secret("mine", {"r.example": entry("me", "right")})
        assert await node.ensure("r.example/a:1", secrets=("mine",))
        assert node.runtime.pulled == [("r.example/a:1", Credentials(username="me", password="right"))]

    async def test_without_one_it_is_pulled_by_nobody_and_refused(self, node):
        node.runtime.password = "right"
        assert await node.refused("r.example/a:1", secrets=("gone",)) == ("ErrImagePull", "pull access denied for None")
        missing = "Unable to retrieve some image pull secrets (gone); attempting to pull the image may not succeed."
        assert ("Warning", "FailedToRetrieveImagePullSecret", missing) in node.events
        assert node.runtime.pulled == [("r.example/a:1", None)]

    async def test_all_that_fit_are_tried(self, node):
        node.runtime.there, node.runtime.password = {"r.example/team/a:1"}, "right"
        node.secret("one", {"r.example/team": entry("first", "wrong")})
        node.secret("two", {"r.example": entry("second", "right"), "other.example": entry("third", "right")})
        assert await node.ensure("r.example/team/a:1", secrets=("one", "two"))
        assert [c.username for _, c in node.runtime.pulled] == ["first", "second"]

    @pytest.mark.parametrize(
        ("key", "image", "fits"),
        [
            ("https://index.docker.io/v1/", "busybox", True),
            ("docker.io", "busybox:1", True),
            ("index.docker.io", "me/app", True),
            ("https://index.docker.io/v1/", "r.example/app", False),
            ("r.example", "r.example/app", True),
            ("https://r.example/v2/", "r.example/app", True),
            ("r.example/team", "r.example/team/app", True),
            ("r.example/team", "r.example/other/app", False),
            ("r.example:5000", "r.example:5000/app", True),
            ("r.example", "r.example:5000/app", False),
            ("*.example", "r.example/app", True),
            ("*.example", "a.r.example/app", False),
            ("prefix*.example", "prefix-1.example/app", True),
            ("http://127.0.0.1:5000", "127.0.0.1:5000/app", True),
            ("[::1", "r.example/app", False),
        ],
    )
    def test_keys_match_as_upstreams_do(self, key, image, fits):
        assert bool(Keyring([secret({key: entry("me")})]).lookup(image)) is fits

    def test_both_kinds_of_secret_and_both_ways_to_write_a_password(self):
        plain = {"r.example": {"username": "me", "password": "pw"}}
        for kind in ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"):
            assert Keyring([secret(plain, kind)]).lookup("r.example/a") == [Credentials(username="me", password="pw")]
        assert Keyring([secret({"r.example": entry("me", "p:w")})]).lookup("r.example/a") == [Credentials(username="me", password="p:w")]

    @pytest.mark.parametrize(
        "content", [b"no json", b"[]", b'{"auths": 3}', b'{"auths": {"r.example": 3}}', b'{"auths": {"r.example": {"auth": "!"}}}']
    )
    def test_what_makes_no_sense_opens_nothing(self, content):
        broken = core_v1.Secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": base64.b64encode(content).decode()})
        assert Keyring([broken]).lookup("r.example/a") == []


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("a", "docker.io/library/a:latest"),
        ("a/b:1", "docker.io/a/b:1"),
        ("localhost/a", "localhost/a:latest"),
        ("r.example:5000/a", "r.example:5000/a:latest"),
        ("sha256:" + "0" * 64, "sha256:" + "0" * 64),
        ("a:1@sha256:" + "0" * 64, "docker.io/library/a@sha256:" + "0" * 64),
    ],
)
def test_names_are_filled_in(written, full):
    assert image_names.full(written) == full


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (0.2345, "234ms"), (1.5, "1.5s"), (62.034, "1m2.034s"), (3603, "1h0m3s")])
def test_durations_read_as_gos(seconds, text):
    assert go_duration(seconds) == text


async def test_a_node_tells_of_its_largest_images(node):
    node.runtime.images = [Image(id=f"{n}", tags=(f"a{n}:1",), digests=(f"a{n}@sha256:{n}",), size=n) for n in range(60)]
    node.runtime.images.append(Image(id="unnamed", size=1000))
    registration = Registration(
        NodeConfig(name="n", internal_ip="", cluster_cidr="", service_cidr=""), None, node.runtime, None, node.clock, ""
    )
    images = await registration._images([])
    assert len(images) == 49
    assert (images[0].names, images[0].sizeBytes) == (["a59@sha256:59", "a59:1"], 59)
