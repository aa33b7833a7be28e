"""Specs are remembered only where that changes no answer."""

from __future__ import annotations

import msgspec

from bareboat.api.kinds.core.verdicts import known_as
from bareboat.models import core_v1
from bareboat.models.codec import from_tree

TOKEN = "kube-api-access-"


def spec(*volumes: str, **more):
    containers = [{"name": "c", "image": "i", "volumeMounts": [{"name": v, "mountPath": f"/{n}"} for n, v in enumerate(volumes)]}]
    return {"containers": containers, "volumes": [{"name": v, "emptyDir": {}} for v in volumes], **more}


def name_of(tree) -> bytes:
    return known_as(from_tree(core_v1.PodSpec, tree))


async def codes(kernel, *specs) -> list[int]:
    found = []
    for number, tree in enumerate(specs):
        body = {"metadata": {"name": f"p{number}"}, "spec": tree}

        answer = await kernel.client.transport.request("POST", "/api/v1/namespaces/default/pods", body=msgspec.json.encode(body))
        found.append(answer.status)
    return found


def test_pods_of_one_template_are_the_same_whatever_their_token_volume_is_called():
    assert name_of(spec(TOKEN + "abcde")) == name_of(spec(TOKEN + "fghij"))
    assert name_of(spec(TOKEN + "abcde")) != name_of(spec(TOKEN + "ABCDE"))
    assert name_of(spec(TOKEN + "abcde", TOKEN + "fghij")) != name_of(spec(TOKEN + "abcde", TOKEN + "abcde"))
    assert name_of(spec("a")) != name_of(spec("b"))


def test_a_spec_whose_verdict_depends_on_the_name_of_the_pod_is_not_remembered():
    ephemeral = {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}
    assert name_of({"containers": [], "volumes": [{"name": "v", "ephemeral": ephemeral}]}) == b""


async def test_a_faulty_pod_is_refused_after_a_good_one_and_every_time(kernel):
    good, twice = spec(TOKEN + "abcde"), spec(TOKEN + "abcde", TOKEN + "abcde")
    assert await codes(kernel, good, twice, twice, {**good, "restartPolicy": "Sometimes"}, good) == [201, 422, 422, 422, 201]


async def test_two_token_volumes_of_different_names_say_nothing_about_two_of_one_name(kernel):
    apart, same = spec(TOKEN + "abcde", TOKEN + "fghij"), spec(TOKEN + "fghij", TOKEN + "fghij")
    assert await codes(kernel, apart, same, apart) == [201, 422, 201]
