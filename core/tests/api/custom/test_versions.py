"""Several versions of one kind: conversion by name and by webhook, and a storage version that changes."""

import msgspec
import pytest

pytestmark = pytest.mark.virtual_time
SPEC = {"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "integer"}}}
JOINED = {"type": "object", "properties": {"hostPort": {"type": "string"}}}
WEBHOOK = {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://localhost/convert"}, "conversionReviewVersions": ["v1"]}}


class Splitter:
    """v1 has hostPort, v2 has host and port; counts its calls."""

    def __init__(self):
        self.calls = []
        self.fault = None

    async def post(self, client, review, timeout, *, limit):
        if isinstance(self.fault, Exception):
            raise self.fault
        request = msgspec.json.decode(review)["request"]
        self.calls.append(len(request["objects"]))
        objects = [self.converted(tree, request["desiredAPIVersion"]) for tree in request["objects"]]
        answer = {"uid": request["uid"], "convertedObjects": objects, "result": {"status": "Success"}}
        return msgspec.json.encode(
            {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": answer | (self.fault or {})}
        )

    def converted(self, tree, wanted):
        spec = tree["spec"]
        if wanted.endswith("/v2"):
            host, _, port = spec["hostPort"].partition(":")
            spec = {"host": host, "port": int(port)}
        else:
            spec = {"hostPort": f"{spec['host']}:{spec['port']}"}
        return {**tree, "apiVersion": wanted, "spec": spec}


@pytest.fixture
async def two(api):
    await api.define(versions=[api.version("v1", SPEC), api.version("v2", SPEC, storage=False)])
    return api


@pytest.fixture
async def hooked(api, kernel):
    kernel.service.custom.converter.caller = splitter = Splitter()
    versions = [api.version("v1", JOINED), api.version("v2", SPEC, storage=False, selectableFields=[{"jsonPath": ".spec.host"}])]
    await api.define(versions=versions, conversion=WEBHOOK)
    return api, splitter


async def test_without_a_webhook_only_the_name_changes(two):
    await two.create(two.path(), two.crontab(host="x"))
    found = await two.get(two.path("a", version="v2"))
    assert (found["apiVersion"], found["spec"]) == ("stable.example.com/v2", {"host": "x"})
    listed = await two.get(two.path(version="v2"))
    assert listed["apiVersion"] == "stable.example.com/v2"
    changed = await two.patch(two.path("a", version="v2"), {"spec": {"host": "y"}})
    assert changed["apiVersion"] == "stable.example.com/v2"
    assert (await two.get(two.path("a")))["spec"] == {"host": "y"}


async def test_a_version_shows_only_what_its_schema_knows(api):
    narrow = {"type": "object", "properties": {"host": {"type": "string"}}}
    await api.define(versions=[api.version("v1", SPEC), api.version("v2", narrow, storage=False)])
    await api.create(api.path(), api.crontab(host="x", port=1))
    assert (await api.get(api.path("a", version="v2")))["spec"] == {"host": "x"}
    assert (await api.get(api.path("a")))["spec"] == {"host": "x", "port": 1}


async def test_the_storage_version_changes_and_objects_move_when_written(two, kernel):
    await two.create(two.path(), two.crontab(host="x"))

    def moved(spec):
        spec["versions"][0]["storage"], spec["versions"][1]["storage"] = False, True

    await two.redefine(moved)
    assert (await two.definition())["status"]["storedVersions"] == ["v1", "v2"]
    before = await two.get(two.path("a"))
    assert b"stable.example.com/v1#" in kernel.log.get("stable.example.com/crontabs/default/a").data
    after = await two.update(two.path("a"), before.body)
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    assert b"stable.example.com/v2#" in kernel.log.get("stable.example.com/crontabs/default/a").data
    assert (await two.get(two.path("a")))["spec"] == {"host": "x"}


class TestWebhook:
    async def test_objects_are_converted_on_reads_and_writes(self, hooked):
        api, _ = hooked
        await api.create(api.path(), api.crontab(hostPort="x:1"))
        assert (await api.get(api.path("a", version="v2")))["spec"] == {"host": "x", "port": 1}
        made = await api.create(api.path(version="v2"), api.crontab("b", "v2", host="y", port=2))
        assert made["spec"] == {"host": "y", "port": 2}
        assert (await api.get(api.path("b")))["spec"] == {"hostPort": "y:2"}
        patched = await api.patch(api.path("b", version="v2"), {"spec": {"port": 3}})
        assert patched["spec"] == {"host": "y", "port": 3}
        assert (await api.get(api.path("b")))["spec"] == {"hostPort": "y:3"}

    async def test_a_list_is_converted_at_once_and_remembered(self, hooked):
        api, splitter = hooked
        for name in "abc":
            await api.create(api.path(), api.crontab(name, hostPort=f"{name}:1"))
        splitter.calls.clear()
        listed = await api.get(api.path(version="v2"))
        assert [i["spec"]["host"] for i in listed["items"]] == ["a", "b", "c"]
        await api.get(api.path(version="v2"))
        assert splitter.calls == [3]

    async def test_field_selectors_see_the_version_that_was_asked_for(self, hooked):
        api, _ = hooked
        for name in "ab":
            await api.create(api.path(), api.crontab(name, hostPort=f"{name}:1"))
        listed = await api.get(api.path(version="v2"), fieldSelector="spec.host=b")
        assert [i["metadata"]["name"] for i in listed["items"]] == ["b"]

    async def test_mixed_stored_versions_are_listed_in_one(self, hooked):
        api, _ = hooked
        await api.create(api.path(), api.crontab("a", hostPort="a:1"))

        def moved(spec):
            spec["versions"][0]["storage"], spec["versions"][1]["storage"] = False, True

        await api.redefine(moved)
        await api.create(api.path(version="v2"), api.crontab("b", "v2", host="b", port=2))
        listed = await api.get(api.path(version="v2"))
        assert [i["spec"]["host"] for i in listed["items"]] == ["a", "b"]

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (OSError("connection refused"), "connection refused"),
            ({"result": {"status": "Failure", "message": "no way"}}, "no way"),
            ({"convertedObjects": []}, "webhook returned 0 objects, expected 1"),
            ({"uid": "x"}, "expected response.uid="),
        ],
    )
    async def test_a_failure_is_told(self, hooked, fault, said):
        api, splitter = hooked
        await api.create(api.path(), api.crontab(hostPort="x:1"))
        splitter.fault = fault
        answer = await api.get(api.path("a", version="v2"))
        assert answer.status == 500
        assert answer.message.startswith("conversion webhook for stable.example.com/v1, Kind=CronTab failed: ")
        assert said in answer.message


async def test_who_takes_any_version_gets_the_stored_one(api, kernel):
    await api.define(versions=[api.version("v1"), api.version("v2", storage=False)])
    assert kernel.scheme.storage("stable.example.com", "crontabs").version == "v1"
    assert (await api.get("/apis/stable.example.com"))["preferredVersion"]["version"] == "v2"
