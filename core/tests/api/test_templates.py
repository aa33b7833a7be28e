"""Pods of one template: what is remembered of the first ones makes the next as the long way would."""

from __future__ import annotations

import msgspec
import pytest

from bareboat.api.templates import Templates
from bareboat.api.verbs import create

PODS = "/api/v1/namespaces/default/pods"
SPEC = {
    "containers": [
        {
            "name": "c",
            "image": "web:1",
            "resources": {"limits": {"cpu": 1, "memory": "0.5Gi"}},
            "ports": [{"containerPort": 80}],
            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
        }
    ],
    "volumes": [{"name": "v", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "x"}}],
    "tolerations": [{"operator": "Exists"}],
}


@pytest.fixture
def post(kernel):
    """Status, tree and warnings of the answer to a create of such a body, as a client over HTTP would send it."""
    from bareboat.api.request import ApiRequest
    from bareboat.testing.kernel import ADMIN

    async def post(body, path=PODS, media="application/json", **query):
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        asked = {name: [value] for name, value in query.items()}
        answer = await kernel.service.handle(ApiRequest(ADMIN, "POST", path, asked, data, media, user_agent="tests/1"))
        return answer.status, msgspec.json.decode(answer.body), answer.warnings

    return post


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(create, "_templates", Templates())


def pod(name, spec=SPEC, **more):
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "labels": {"a": "b"}, **more}, "spec": spec}


def same(tree):
    """Without what differs from one pod to the next."""
    meta = {k: v for k, v in tree["metadata"].items() if k not in ("name", "uid", "resourceVersion", "creationTimestamp")}
    meta["managedFields"] = [{k: v for k, v in entry.items() if k != "time"} for entry in meta["managedFields"]]
    return {**tree, "metadata": meta}


async def known(post):
    """After this the template is known."""
    made = [await post(pod(f"first-{number}")) for number in range(3)]
    assert [status for status, _, _ in made] == [201] * 3
    [template] = create._templates._known.values()
    assert template is not None
    return made[0][1]


async def test_a_pod_of_a_known_template_is_the_pod_that_the_long_way_makes(post):
    first = await known(post)
    for number in range(3):
        status, tree, warnings = await post(pod(f"p{number}"))
        assert (status, warnings) == (201, [])
        assert same(tree) == same(first)
        assert tree["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "512Mi"}


async def test_what_one_pod_became_does_not_show_in_the_next(post, kernel):
    first = await known(post)
    change = msgspec.json.encode({"spec": {"containers": [{"name": "c", "image": "web:2"}]}})
    media = "application/strategic-merge-patch+json"
    answer = await kernel.client.transport.request("PATCH", f"{PODS}/first-2", body=change, content_type=media)
    assert answer.status == 200
    assert same((await post(pod("next")))[1]) == same(first)


async def test_a_known_template_does_not_hide_what_is_wrong_beside_it(post):
    await known(post)
    assert (await post(pod("p", unknown=1), fieldValidation="Strict"))[0] == 400
    status, _, warnings = await post(pod("p1", unknown=1))
    assert (status, warnings) == (201, ['unknown field "metadata.unknown"'])
    twice = msgspec.json.encode(pod("p2")).replace(b'"name":"p2"', b'"name":"other","name":"p2"')
    status, tree, warnings = await post(twice)
    assert (status, tree["metadata"]["name"], warnings) == (201, "p2", ['duplicate field "metadata.name"'])
    twice = msgspec.json.encode(pod("p3")).replace(b'"kind":"Pod"', b'"kind":"Pod","kind":"Pod"')
    assert (await post(twice))[2] == ['duplicate field "kind"']
    assert (await post(pod("p4", labels={"a": 1})))[0] == 400
    assert (await post({**pod("p5"), "kind": "Node"}))[0] == 400
    assert (await post({**pod("p6"), "apiVersion": "v2"}))[0] == 400
    assert (await post(pod("Bad_Name")))[0] == 422
    assert (await post(pod("p7"), fieldValidation="Maybe"))[0] == 422
    assert (await post(msgspec.json.encode(pod("p8")) + b"}"))[0] == 400


async def test_what_is_wrong_with_a_spec_is_said_each_time(post):
    wrong = {**SPEC, "unknown": 1}
    for number in range(4):
        status, _, _ = await post(pod(f"quiet-{number}", wrong), fieldValidation="Ignore")
        assert status == 201
    for number in range(4):
        status, _, warnings = await post(pod(f"told-{number}", wrong))
        assert (status, warnings) == (201, ['unknown field "spec.unknown"'])
    assert (await post(pod("strict", wrong), fieldValidation="Strict"))[0] == 400


async def test_bodies_that_differ_in_more_than_metadata_are_read_as_they_are(post):
    first = await known(post)
    for number, body in enumerate(
        (
            {"metadata": {"name": "bare", "labels": {"a": "b"}}, "spec": SPEC},
            {**pod("status"), "status": {}},
            {**pod("phase"), "status": {"phase": "Running"}},
            pod("spaced"),
        )
    ):
        data = msgspec.json.format(msgspec.json.encode(body), indent=2) if number == 3 else body
        status, tree, _ = await post(data)
        assert status == 201
        assert same(tree) == same(first), number


async def test_empty_lists_do_not_make_a_difference_later(post):
    await known(post)
    for more, spec in (({"finalizers": []}, SPEC), ({}, {**SPEC, "nodeSelector": {}, "hostAliases": []})):
        made = [same((await post(pod("", spec, generateName="p-", **more)))[1]) for _ in range(4)]
        assert made[1:] == made[:1] * 3


async def test_generated_names_come_from_known_templates_too(post):
    first = await known(post)
    body = pod("")
    body["metadata"] = {"generateName": "web-", "labels": {"a": "b"}}
    status, tree, _ = await post(body)
    assert status == 201
    assert tree["metadata"]["name"].startswith("web-")
    assert tree["spec"] == first["spec"]
    assert "f:generateName" in tree["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"]


async def test_other_kinds_and_other_bodies_are_not_remembered(post):
    for number in range(3):
        await post({"kind": "ConfigMap", "metadata": {"name": f"c{number}"}, "data": {}}, PODS.replace("pods", "configmaps"))
        large = {**SPEC, "containers": [{**SPEC["containers"][0], "args": ["x" * 40_000]}]}
        assert (await post(pod(f"p{number}", large)))[0] == 201
    assert not create._templates._known


async def test_only_so_many_are_remembered(post, monkeypatch):
    monkeypatch.setattr("bareboat.api.templates.MOST", 3)
    for number in range(10):
        await post(pod(f"p{number}", {**SPEC, "hostname": f"h{number}"}))
        assert len(create._templates._known) <= 3


async def test_bodies_that_are_no_text_are_refused(post):
    await known(post)
    for wrong in (b'"a":"\xff"', b'"a":"\\ud800"', b'"\xff":"a"'):
        assert (await post(msgspec.json.encode(pod("p")).replace(b'"a":"b"', wrong)))[0] in (400, 422)
    owned = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:here": {}}}
    for number, wrong in enumerate((b"f:\xff", b"f:\\ud800")):
        body = msgspec.json.encode(pod(f"p{number}", managedFields=[owned]))
        status, tree, _ = await post(body.replace(b"f:here", wrong))
        assert status == 400 or "here" not in str(tree)
    status, tree, _ = await post(pod("q", managedFields=[owned]))
    assert (status, [entry["manager"] for entry in tree["metadata"]["managedFields"]]) == (201, ["m", "tests"])


@pytest.mark.parametrize("spec", [{}, {"containers": None}, {"containers": []}, {"nodeName": "n"}])
async def test_a_spec_that_lacks_what_it_needs_is_refused_each_time(post, spec):
    for number in range(4):
        status, tree, _ = await post(pod(f"lacking-{number}", spec))
        assert (status, tree["details"]["causes"][0]["field"]) == (422, "spec.containers")
