"""Webhooks that mean harm: nothing is let in, nobody else waits, nothing grows without end."""

import asyncio
import json
import resource
import time

import pytest
from aiohttp import web
from core.tests.admission.test_custom import GROUP, PATH, crontab, define
from core.tests.admission.test_webhooks import OK, add, config_map, configure, patch

from bareboat.api.custom import conversion
from bareboat.models import core_v1
from bareboat.server.exchange import warnings as headers

SECRETS = "/api/v1/namespaces/default/secrets"
PODS = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods", "pods/status"]}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def test_a_hook_that_hangs_costs_its_own_requests_their_timeout_and_others_nothing(world, hook):
    hook.answers["v"] = lambda request: asyncio.sleep(60, OK)
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "timeoutSeconds": 1})
    begun = time.monotonic()
    waiting = [asyncio.ensure_future(world.refused(config_map(world, f"m{i}"))) for i in range(50)]
    await asyncio.sleep(0.3)
    asked = time.monotonic()
    assert (await world.send("POST", SECRETS, {"metadata": {"name": "s"}})).status == 201
    assert time.monotonic() - asked < 0.9
    errors = await asyncio.gather(*waiting)
    assert time.monotonic() - begun < 15
    assert {e.code for e in errors} == {500}
    assert all("context deadline exceeded" in e.message for e in errors)


@pytest.mark.parametrize("place", ["https://127.0.0.1:1/", "/elsewhere"])
async def test_a_redirect_is_not_followed(world, hook, place):
    hook.answers["v"] = lambda request: web.Response(status=307, headers={"Location": place})
    hook.answers["elsewhere"] = lambda request: OK
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v")})
    assert "status 307" in (await world.refused(config_map(world))).message
    assert [path for path, _ in hook.asked] == ["v"]


def doubling(rounds):
    start = [add("a0", "x" * 1000)]
    copies = [{"op": "copy", "from": "/data", "path": f"/metadata/annotations/b{i}"} for i in range(2)]
    grown = [{"op": "copy", "from": "/metadata", "path": f"/metadata/g{i}"} for i in range(rounds)]
    return [{"op": "add", "path": "/metadata/annotations", "value": {}}, *start, *copies, *grown]


BAD_PATCHES = [
    ("another kind", [{"op": "replace", "path": "/kind", "value": "Secret"}]),
    ("another version", [{"op": "replace", "path": "/apiVersion", "value": "v7"}]),
    ("no metadata", [{"op": "remove", "path": "/metadata"}, {"op": "add", "path": "/metadata", "value": "text"}]),
    ("not an object", [{"op": "replace", "path": "", "value": [1]}]),
    ("a field of the wrong type", [add("n", 7)]),
    ("copies of copies", doubling(60)),
    ("too many operations", [add(f"k{i}", "v") for i in range(20_000)]),
    ("operations that are none", [7, None, "x"]),
    ("an invalid object", [{"op": "add", "path": "/metadata/labels", "value": {"-": "!"}}]),
]


@pytest.mark.parametrize("operations", [row[1] for row in BAD_PATCHES], ids=[row[0] for row in BAD_PATCHES])
async def test_a_patch_that_makes_no_object_refuses_the_write(world, hook, operations):
    hook.answers["m"] = lambda request: patch(*operations)
    await configure(world, {"name": "m.example.com", "clientConfig": hook.client("m")}, mutating=True)
    before, begun = peak(), time.monotonic()
    error = await world.refused(config_map(world))
    assert 400 <= error.code <= 500, error
    assert time.monotonic() - begun < 15
    assert peak() - before < 200
    assert world.kernel.reader.get(core_v1.ConfigMap, "m", "default") is None


async def test_what_is_the_servers_own_is_not_the_hooks_to_change(world, hook):
    hook.answers["m"] = lambda request: patch(
        {"op": "add", "path": "/status", "value": {"phase": "Running", "podIP": "10.0.0.1"}},
        {"op": "add", "path": "/metadata/generation", "value": 77},
        {"op": "add", "path": "/metadata/creationTimestamp", "value": "2001-01-01T00:00:00Z"},
        {"op": "add", "path": "/metadata/deletionTimestamp", "value": "2001-01-01T00:00:00Z"},
        {"op": "add", "path": "/metadata/resourceVersion", "value": "77"},
        {"op": "add", "path": "/metadata/selfLink", "value": "/etc/passwd"},
        {"op": "add", "path": "/metadata/managedFields", "value": [{"manager": "root", "operation": "Apply"}]},
    )
    await configure(world, {"name": "m.example.com", "clientConfig": hook.client("m"), "rules": [PODS]}, mutating=True)
    await world.create(core_v1.ServiceAccount, {"metadata": {"name": "default"}})
    spec = {"containers": [{"name": "c", "image": "i"}]}
    made = await world.create(core_v1.Pod, {"metadata": {"name": "p"}, "spec": spec})
    assert (made.status.phase, made.status.podIP) == ("Pending", "")
    meta = made.metadata
    assert (meta.generation, meta.deletionTimestamp) == (1, None)
    assert not meta.creationTimestamp.startswith("2001")
    assert meta.resourceVersion != "77"
    assert [m.manager for m in meta.managedFields] != ["root"]
    made.spec.containers[0].image = "j"
    changed = await world.client.update(made)
    assert (changed.status.phase, changed.metadata.deletionTimestamp) == ("Pending", None)


async def test_a_flood_of_warnings_and_notes_is_cut(world, hook):
    flood = {"allowed": True, "warnings": ["w" * 3000 + str(i) for i in range(500)]}
    flood["auditAnnotations"] = {f"k{i}": "v" * 1000 for i in range(1000)}
    hook.answers["v"] = lambda request: flood
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v")})
    response = await world.send("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "m"}})
    assert response.status == 201
    assert sum(len(w) for w in headers(response.warnings)) <= 8192


async def test_a_hook_that_writes_what_it_guards_ends_with_its_timeouts(world, hook):
    async def write_another(request):
        if len(hook.asked) < 200:
            await world.send("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"generateName": "again-"}})
        return OK

    hook.answers["v"] = write_another
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "timeoutSeconds": 1})
    begun = time.monotonic()
    await asyncio.gather(config_map(world), return_exceptions=True)
    assert time.monotonic() - begun < 30
    assert (await world.send("POST", SECRETS, {"metadata": {"name": "s"}})).status == 201


def converted(request, change=lambda objects: objects, **more):
    objects = [{**o, "apiVersion": request["desiredAPIVersion"]} for o in request["objects"]]
    answer = {"uid": request["uid"], "convertedObjects": change(objects), "result": {"status": "Success"}, **more}
    return json.dumps({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": answer}).encode()


def renamed(**metadata):
    return lambda objects: [{**o, "metadata": {**o["metadata"], **metadata}} for o in objects]


LIES = [
    ("another name", lambda r: converted(r, renamed(name="other")), "changed metadata.name"),
    ("another uid", lambda r: converted(r, renamed(uid="other")), "changed metadata.uid"),
    ("another namespace", lambda r: converted(r, renamed(namespace="kube-system")), "changed metadata.namespace"),
    ("fewer objects", lambda r: converted(r, lambda objects: []), "returned 0 objects, expected 1"),
    ("more objects", lambda r: converted(r, lambda objects: objects * 3), "returned 3 objects, expected 1"),
    ("another kind", lambda r: converted(r, lambda objects: [{**o, "kind": "Secret"} for o in objects]), "kind Secret"),
    ("another version", lambda r: converted(r, lambda objects: [{**o, "apiVersion": "v9"} for o in objects]), "v9"),
    ("no objects at all", lambda r: converted(r, lambda objects: ["text"]), "no object"),
    ("objects that are none", lambda r: converted(r, lambda objects: "text"), "expected 1"),
    ("another uid of the review", lambda r: converted(r, uid="other"), "expected response.uid="),
    ("no JSON", lambda r: b"{", "truncated"),
    ("deep nesting", lambda r: b'{"a":' * 100_000, "failed"),
    ("a refusal", lambda r: converted(r, result={"status": "Failure", "message": "no"}), "failed: no"),
    ("a result that is none", lambda r: converted(r, result="text"), "failed"),
    ("a redirect", lambda r: web.Response(status=302, headers={"Location": "/c"}), "302"),
    ("too much", lambda r: b" " * (3 << 20), "larger than"),
    ("nothing for a minute", lambda r: asyncio.sleep(60, b""), "context deadline exceeded"),
]


@pytest.mark.parametrize(("answer", "why"), [row[1:] for row in LIES], ids=[row[0] for row in LIES])
async def test_a_conversion_that_is_none_serves_nothing(world, hook, monkeypatch, answer, why):
    monkeypatch.setattr(conversion, "LIMIT", 1 << 20)
    monkeypatch.setattr(conversion, "TIMEOUT", 1.0)
    hook.answers["c"] = answer
    webhook = {"clientConfig": hook.client("c"), "conversionReviewVersions": ["v1"]}
    await define(world, conversion={"strategy": "Webhook", "webhook": webhook})
    assert (await world.send("POST", PATH, crontab(size=1))).status == 201
    other = PATH.replace("/v1/", "/v2/")
    for path in (f"{other}/c", other):
        response = await world.send("GET", path)
        assert response.status == 500, response.body
        said = json.loads(response.body)["message"]
        assert said.startswith(f"conversion webhook for {GROUP}/v1, Kind=CronTab failed: ")
        assert why in said
    assert (await world.send("GET", f"{PATH}/c")).status == 200


async def test_metadata_that_a_conversion_may_not_touch_stays(world, hook):
    changes = {"labels": {"a": "b"}, "finalizers": ["mine/x"], "ownerReferences": [{"uid": "x"}], "resourceVersion": "1", "generation": 9}
    hook.answers["c"] = lambda r: converted(r, renamed(**changes))
    webhook = {"clientConfig": hook.client("c"), "conversionReviewVersions": ["v1"]}
    await define(world, conversion={"strategy": "Webhook", "webhook": webhook})
    was = json.loads((await world.send("POST", PATH, crontab(size=1))).body)["metadata"]
    now = json.loads((await world.send("GET", f"{PATH.replace('/v1/', '/v2/')}/c")).body)["metadata"]
    assert now.pop("labels") == {"a": "b"}
    assert {k: v for k, v in now.items() if k != "managedFields"} == {k: v for k, v in was.items() if k != "managedFields"}


async def test_a_flood_of_parameters_does_not_stop_others(world):
    from core.tests.admission.test_policies import validating

    for i in range(1500):
        await world.send("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": f"p{i}", "labels": {"a": "b"}}})
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    reference = {"selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Deny"}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
    await validating(
        world, {"expression": "params.metadata.name != 'p1499'"}, rules=[rule], paramKind=kind, binding={"paramRef": reference}
    )
    slow = asyncio.ensure_future(world.send("POST", SECRETS, {"metadata": {"name": "s"}}))
    longest, last = 0.0, time.monotonic()
    while not slow.done():
        await asyncio.sleep(0)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    assert (await slow).status == 422
    assert longest < 1
