"""Plugins that are off unless they are enabled."""

import asyncio
import json

import pytest

from bareboat.models import core_v1
from bareboat.models.codec import from_tree

pytestmark = pytest.mark.virtual_time
DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
ALLOWED = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"


async def namespace(world, **annotations):
    found = await world.client.get(core_v1.Namespace, "default")
    found.metadata.annotations = {name: json.dumps(value) for name, value in annotations.items()}
    await world.client.update(found)


def keys(pod):
    return [t.key for t in pod.spec.tolerations]


async def test_a_namespace_gives_its_pods_tolerations(make_world):
    world = await make_world(
        {"enable": ["PodTolerationRestriction"], "podTolerations": {"default": [{"key": "all", "operator": "Exists"}]}}
    )
    assert keys(await world.pod("a")) == ["all"]
    await namespace(world, **{DEFAULTS: [{"key": "own", "operator": "Exists"}]})
    assert keys(await world.pod("b", tolerations=[{"key": "mine", "operator": "Exists"}])) == ["mine", "own"]
    assert keys(await world.pod("c", resources={"requests": {"cpu": "1"}})) == ["own", "node.kubernetes.io/memory-pressure"]


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "operator": "Equal", "value": "x"}, True),
        ({"key": "b", "operator": "Equal", "value": "x"}, True),
        ({"key": "b", "operator": "Exists"}, False),
        ({"key": "c", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}, True),
        ({"key": "c", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "z", "operator": "Exists"}, False),
        ({"operator": "Exists"}, False),
    ],
)
async def test_a_namespace_says_what_its_pods_may_tolerate(make_world, wanted, allowed):
    world = await make_world({"enable": ["PodTolerationRestriction"]})
    c = {"key": "c", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}
    await namespace(world, **{ALLOWED: [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Equal", "value": "x"}, c]})
    if allowed:
        await world.pod(tolerations=[wanted])
    else:
        assert "conflict with its namespace whitelist" in (await world.refused(world.pod(tolerations=[wanted]))).message


async def test_an_annotation_that_is_no_list_refuses(make_world):
    world = await make_world({"enable": ["PodTolerationRestriction"]})
    await namespace(world, **{DEFAULTS: {"key": "x"}})
    assert (await world.refused(world.pod())).code == 500


async def test_anti_affinity_reaches_no_further_than_a_host(make_world):
    world = await make_world({"enable": ["LimitPodHardAntiAffinityTopology"]})

    def affinity(key):
        term = {"topologyKey": key, "labelSelector": {"matchLabels": {"a": "b"}}}
        return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}

    await world.pod("a", affinity=affinity("kubernetes.io/hostname"))
    error = await world.refused(world.pod("b", affinity=affinity("topology.kubernetes.io/zone")))
    assert error.message.endswith("has TopologyKey topology.kubernetes.io/zone but only key kubernetes.io/hostname is allowed")


def event(number, about="p", place="default"):
    tree = {"metadata": {"name": f"e{number}", "namespace": place}, "involvedObject": {"kind": "Pod", "name": about, "namespace": place}}
    return from_tree(core_v1.Event, tree)


async def test_events_are_limited_by_what_they_are_about(make_world):
    limits = [{"type": "SourceAndObject", "qps": 1, "burst": 3}]
    world = await make_world({"enable": ["EventRateLimit"], "eventRateLimits": limits})
    for number in range(3):
        await world.client.create(event(number))
    error = await world.refused(world.client.create(event(4)))
    assert (error.code, error.reason) == (429, "TooManyRequests")
    assert error.message.startswith("limit reached on type SourceAndObject for key __Pod_default_p")
    await world.client.create(event(5, about="other"))
    await asyncio.sleep(1.1)
    await world.client.create(event(6))


async def test_a_namespace_comes_with_what_is_created_in_it(make_world):
    world = await make_world({"enable": ["NamespaceAutoProvision"]}, kernel_plugins=True)
    await world.create(core_v1.ConfigMap, {"metadata": {"name": "m", "namespace": "fresh"}})
    assert (await world.client.get(core_v1.Namespace, "fresh")).metadata.name == "fresh"


async def test_images_are_asked_about_once_in_a_while(make_world):
    world = await make_world({"enable": ["ImagePolicyWebhook"], "imagePolicy": {"client": {"url": "https://images"}, "denyTTL": 5}})
    asked = []

    async def call(client, review, timeout):
        asked.append((client["url"], json.loads(review)["spec"]))
        return json.dumps({"status": {"allowed": len(asked) > 1, "reason": "unsigned", "auditAnnotations": {"seen": "yes"}}}).encode()

    world.host.call = call
    for name in ("a", "b"):
        error = await world.refused(world.pod(name, annotations={"x.image-policy.k8s.io/y": "1", "other": "2"}))
        assert error.message.endswith("image policy webhook backend denied one or more images: unsigned")
    spec = {"containers": [{"image": "x"}], "annotations": {"x.image-policy.k8s.io/y": "1"}, "namespace": "default"}
    assert asked == [("https://images", spec)]
    await asyncio.sleep(6)
    await world.pod("a", annotations={"x.image-policy.k8s.io/y": "1"})


@pytest.mark.parametrize("open_", [True, False])
@pytest.mark.parametrize("answer", [b"{}", b"no", ValueError("gone")])
async def test_a_server_that_cannot_say_fails_as_configured(make_world, open_, answer):
    world = await make_world({"enable": ["ImagePolicyWebhook"], "imagePolicy": {"defaultAllow": open_}})

    async def call(client, review, timeout):
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.host.call = call
    if open_:
        await world.pod()
    else:
        assert "cannot be asked" in (await world.refused(world.pod())).message


@pytest.mark.parametrize(
    "options",
    [
        {"eventRateLimits": [{"type": "Galaxy", "qps": 1, "burst": 1}]},
        {"eventRateLimits": [{"type": "User", "qps": 0, "burst": 1}]},
        {"enable": ["PodTolerationRestriction"], "podTolerations": {"default": [7]}},
        {"imagePolicy": {"clients": {}}},
    ],
)
async def test_options_that_are_none_are_refused_at_the_start(make_world, options):
    with pytest.raises(ValueError, match=r"tolerations|admission-builtin: options: "):
        await make_world(options)
