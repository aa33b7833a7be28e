"""The verbs on custom objects: writes, patches, apply, parts, selectors, watches, deletes."""

import asyncio

import msgspec
import pytest

from bareboat.models.scheme import Resource

pytestmark = pytest.mark.virtual_time
PORTS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "selector": {"type": "string"},
        "image": {"type": "string"},
        "ready": {"type": "boolean"},
        "ports": PORTS,
        "words": {"type": "array", "items": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
PARTS = {
    "status": {},
    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"},
}


@pytest.fixture
async def api(api):
    fields = [{"jsonPath": ".spec.image"}, {"jsonPath": ".spec.ready"}]
    await api.define(versions=[api.version("v1", SCHEMA, subresources=PARTS, selectableFields=fields)])
    return api


class TestWrites:
    async def test_a_created_object_has_identity_and_no_status(self, api):
        made = await api.create(api.path(), {**api.crontab(image="x"), "status": {"replicas": 1}})
        assert made.status == 201
        assert made["metadata"]["generation"] == 1
        assert made["metadata"]["uid"]
        assert "status" not in made.body
        assert (await api.create(api.path(), api.crontab())).message == 'crontabs.stable.example.com "a" already exists'

    async def test_a_generated_name(self, api):
        tree = api.crontab(image="x")
        tree["metadata"] = {"generateName": "ct-"}
        assert (await api.create(api.path(), tree))["metadata"]["name"].startswith("ct-")

    async def test_generation_counts_changes_of_the_spec(self, api):
        await api.create(api.path(), api.crontab(image="x"))
        assert (await api.patch(api.path("a"), {"metadata": {"labels": {"a": "b"}}}))["metadata"]["generation"] == 1
        assert (await api.patch(api.path("a"), {"status": {"x": 1}}))["metadata"]["generation"] == 1
        assert (await api.patch(api.path("a"), {"spec": {"image": "y"}}))["metadata"]["generation"] == 2
        assert (await api.patch(api.path("a", part="status"), {"status": {"x": 1}, "spec": {"image": "z"}}))["metadata"]["generation"] == 2
        assert (await api.get(api.path("a")))["spec"] == {"image": "y"}

    async def test_without_the_subresource_the_status_counts(self, api):
        await api.redefine(lambda spec: spec["versions"][0].pop("subresources"))
        made = await api.create(api.path(), {**api.crontab(), "status": {"x": 1}})
        assert made["status"] == {"x": 1}
        assert (await api.patch(api.path("a"), {"status": {"x": 2}}))["metadata"]["generation"] == 2
        assert (await api.get(api.path("a", part="status"))).status == 404

    async def test_an_update_needs_the_revision_that_it_is_based_on(self, api):
        made = await api.create(api.path(), api.crontab(image="x"))
        assert (await api.update(api.path("a"), api.crontab(image="y"))).causes[0][1] == "metadata.resourceVersion"
        assert (await api.update(api.path("a"), made.body | {"spec": {"image": "y"}})).status == 200
        assert (await api.update(api.path("a"), made.body)).status == 409

    async def test_a_body_of_another_kind_or_version_is_refused(self, api):
        wrong = await api.create(api.path(), api.crontab() | {"kind": "Other"})
        assert wrong.causes == [("FieldValueInvalid", "kind", 'Invalid value: "Other": must be CronTab')]
        wrong = await api.create(api.path(), api.crontab() | {"apiVersion": "stable.example.com/v2"})
        said = "the API version in the data (stable.example.com/v2) does not match the expected API version (stable.example.com/v1)"
        assert (wrong.status, wrong.message) == (400, said)
        wrong = await api.create(api.path(), b'{"metadata":{"name":"a"}}')
        assert wrong.message == """Object 'Kind' is missing in '{"metadata":{"name":"a"}}'"""
        assert (await api.request("POST", api.path(), b"x", "application/vnd.kubernetes.protobuf")).status == 415

    async def test_metadata_has_the_rules_of_all_objects(self, api):
        wrong = await api.create(api.path(), api.crontab("A_"))
        assert wrong.causes[0][1] == "metadata.name"
        tree = api.crontab()
        tree["metadata"]["labels"] = {"a": 1}
        assert (await api.create(api.path(), tree)).status == 400

    async def test_a_dry_run_changes_nothing(self, api, kernel):
        before = kernel.log.head
        assert (await api.create(api.path(), api.crontab(image="x"), dryRun="All")).status == 201
        assert kernel.log.head == before

    async def test_yaml_is_read(self, api):
        text = b"apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: y}\nspec: {replicas: 3}\n"
        assert (await api.request("POST", api.path(), text, "application/yaml"))["spec"] == {"replicas": 3}

    async def test_the_same_object_again_is_no_write(self, api):
        made = await api.create(api.path(), api.crontab(image="x", replicas=1))
        again = await api.update(api.path("a"), made.body | {"spec": {"replicas": 1, "image": "x"}})
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


class TestPatches:
    async def test_json_and_merge_patches(self, api):
        await api.create(api.path(), api.crontab(words=["a"], image="x"))
        patched = await api.patch(api.path("a"), [{"op": "add", "path": "/spec/words/-", "value": "b"}], "json")
        assert patched["spec"]["words"] == ["a", "b"]
        patched = await api.patch(api.path("a"), {"spec": {"image": None, "words": ["c"]}})
        assert patched["spec"] == {"words": ["c"]}

    async def test_strategic_patches_are_not_supported(self, api):
        await api.create(api.path(), api.crontab())
        answer = await api.request("PATCH", api.path("a"), {}, "application/strategic-merge-patch+json")
        assert answer.status == 415
        assert answer.message.endswith("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")


def owners(answer):
    return {(m["manager"], m["operation"], m.get("subresource", "")): m["fieldsV1"] for m in answer["metadata"]["managedFields"]}


class TestApply:
    async def test_the_schema_says_what_is_owned(self, api):
        spec = {"ports": [{"name": "p", "port": 1}], "words": ["w"], "whole": {"a": "x"}, "free": {"deep": {"k": [1]}, "n": 1}}
        made = await api.patch(api.path("a"), api.crontab(**spec), "apply", fieldManager="one")
        assert made.status == 201
        assert owners(made)["one", "Apply", ""]["f:spec"] == {
            "f:ports": {'k:{"name":"p"}': {".": {}, "f:name": {}, "f:port": {}}},
            "f:words": {},
            "f:whole": {},
            "f:free": {"f:deep": {".": {}, "f:k": {}}, "f:n": {}},
        }

    async def test_items_of_keyed_lists_have_owners_of_their_own(self, api):
        await api.patch(api.path("a"), api.crontab(ports=[{"name": "p", "port": 1}]), "apply", fieldManager="one")
        both = await api.patch(api.path("a"), api.crontab(ports=[{"name": "q", "port": 2}]), "apply", fieldManager="two")
        assert [p["name"] for p in both["spec"]["ports"]] == ["p", "q"]
        less = await api.patch(api.path("a"), api.crontab(), "apply", fieldManager="one")
        assert [p["name"] for p in less["spec"]["ports"]] == ["q"]

    async def test_a_field_of_another_is_a_conflict(self, api):
        await api.patch(api.path("a"), api.crontab(image="x"), "apply", fieldManager="one")
        refused = await api.patch(api.path("a"), api.crontab(image="y"), "apply", fieldManager="two")
        assert refused.status == 409
        assert refused.message == 'Apply failed with 1 conflict: conflict with "one": .spec.image'
        forced = await api.patch(api.path("a"), api.crontab(image="y"), "apply", fieldManager="two", force="true")
        assert forced["spec"]["image"] == "y"

    async def test_a_field_that_the_schema_does_not_know_is_refused(self, api):
        refused = await api.patch(api.path("a"), api.crontab(odd=1), "apply", fieldManager="one")
        assert refused.status == 500
        assert refused.message.endswith(".spec.odd: field not declared in schema")

    async def test_free_fields_change_their_shape(self, api):
        await api.patch(api.path("a"), api.crontab(free={"a": {"b": 1}}), "apply", fieldManager="one")
        changed = await api.patch(api.path("a"), api.crontab(free={"a": 5}), "apply", fieldManager="one")
        assert changed["spec"]["free"] == {"a": 5}
        assert (await api.patch(api.path("a"), {"spec": {"free": {"a": {"c": 1}}}}))["spec"]["free"] == {"a": {"c": 1}}

    async def test_the_status_has_books_of_its_own(self, api):
        await api.create(api.path(), api.crontab(image="x"), fieldManager="maker")
        told = await api.patch(api.path("a", part="status"), {"status": {"replicas": 1}}, fieldManager="teller")
        assert owners(told) == {
            ("maker", "Update", ""): {"f:spec": {".": {}, "f:image": {}}},
            ("teller", "Update", "status"): {"f:status": {".": {}, "f:replicas": {}}},
        }


class TestScale:
    async def test_replicas_are_read_and_written(self, api):
        await api.create(api.path(), api.crontab(replicas=2, image="x"))
        await api.patch(api.path("a", part="status"), {"status": {"replicas": 1, "selector": "app=x"}})
        found = await api.get(api.path("a", part="scale"))
        assert (found["kind"], found["spec"], found["status"]) == ("Scale", {"replicas": 2}, {"replicas": 1, "selector": "app=x"})
        found.body["spec"]["replicas"] = 4
        assert (await api.update(api.path("a", part="scale"), found.body))["spec"] == {"replicas": 4}
        assert (await api.patch(api.path("a", part="scale"), {"spec": {"replicas": 5}}))["spec"] == {"replicas": 5}
        now = await api.get(api.path("a"))
        assert now["spec"] == {"replicas": 5, "image": "x"}
        assert now["metadata"]["generation"] == 3
        assert owners(now)["admin", "Update", "scale"] == {"f:spec": {"f:replicas": {}}}

    async def test_what_the_paths_lead_to_is_checked(self, api):
        refused = await api.create(api.path(), api.crontab(replicas=-1))
        assert refused.causes == [("FieldValueInvalid", ".spec.replicas", "Invalid value: -1: should be a non-negative integer")]

    async def test_one_without_replicas_has_no_scale(self, api):
        await api.create(api.path(), api.crontab())
        answer = await api.get(api.path("a", part="scale"))
        assert (answer.status, answer.message) == (500, 'the spec replicas field ".spec.replicas" does not exist')


class TestReads:
    async def test_selectors(self, api):
        for name, image, ready in (("a", "x", True), ("b", "y", False), ("c", "x", False)):
            tree = api.crontab(name, image=image, ready=ready)
            tree["metadata"]["labels"] = {"n": name}
            await api.create(api.path(), tree)

        async def names(**query):
            return [i["metadata"]["name"] for i in (await api.get(api.path(), **query))["items"]]

        assert await names(labelSelector="n in (a,b)") == ["a", "b"]
        assert await names(fieldSelector="spec.image=x") == ["a", "c"]
        assert await names(fieldSelector="spec.image=x,spec.ready=false") == ["c"]
        assert await names(fieldSelector="spec.image!=x") == ["b"]
        assert await names(fieldSelector="metadata.name=b") == ["b"]
        assert (await api.get(api.path(), fieldSelector="spec.replicas=1")).message == "field label not supported: spec.replicas"
        await api.delete(api.path(), fieldSelector="spec.image=x")
        assert await names() == ["b"]

    async def test_pages(self, api):
        for name in "abc":
            await api.create(api.path(), api.crontab(name))
        first = await api.get(api.path(), limit="2")
        assert first["metadata"]["remainingItemCount"] == 1
        rest = await api.get(api.path(), limit="2", **{"continue": first["metadata"]["continue"]})
        assert [i["metadata"]["name"] for i in rest["items"]] == ["c"]

    async def test_metadata_only(self, api):
        await api.create(api.path(), api.crontab(image="x"))
        found = await api.request("GET", api.path(), accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
        assert found["items"][0]["kind"] == "PartialObjectMetadata"
        assert "spec" not in found["items"][0]


class TestWatches:
    async def events(self, api, count, **query):
        seen = []
        async for event in api.transport.watch(api.path(), query=query):
            seen.append((event.type, msgspec.json.decode(event.object)))
            if len(seen) == count:
                return seen
        return seen

    async def test_changes_come_in_order(self, api):
        watching = asyncio.ensure_future(self.events(api, 3))
        await asyncio.sleep(0.01)
        await api.create(api.path(), api.crontab(image="x"))
        await api.patch(api.path("a"), {"spec": {"image": "y"}})
        await api.delete(api.path("a"))
        seen = await watching
        assert [(kind, tree["spec"]["image"]) for kind, tree in seen] == [("ADDED", "x"), ("MODIFIED", "y"), ("DELETED", "y")]
        assert all(tree["apiVersion"] == "stable.example.com/v1" and tree["kind"] == "CronTab" for _, tree in seen)

    async def test_a_field_selector_follows_the_field(self, api):
        watching = asyncio.ensure_future(self.events(api, 2, fieldSelector="spec.image=x"))
        await asyncio.sleep(0.01)
        await api.create(api.path(), api.crontab(image="x"))
        await api.create(api.path(), api.crontab("b", image="y"))
        await api.patch(api.path("a"), {"spec": {"image": "y"}})
        seen = await watching
        assert [(kind, tree["metadata"]["name"], tree["spec"]["image"]) for kind, tree in seen] == [
            ("ADDED", "a", "x"),
            ("DELETED", "a", "x"),
        ]

    async def test_it_ends_when_the_kind_changes(self, api):
        watching = asyncio.ensure_future(self.events(api, 100))
        await asyncio.sleep(0.01)
        await api.redefine(
            lambda spec: spec["versions"][0].update(additionalPrinterColumns=[{"name": "I", "type": "string", "jsonPath": ".spec.image"}])
        )
        assert await asyncio.wait_for(watching, 5) == []


async def test_a_namespace_takes_its_custom_objects_with_it(api, kernel):
    from bareboat.controllers.namespaces import NamespaceController

    resources = {r.plural for r in NamespaceController._ordered(_Holder(kernel.client))}
    assert "crontabs" in resources


class _Holder:
    def __init__(self, client):
        self.client = client


async def test_owners_are_found_by_kind(api, kernel):
    found = kernel.scheme.by_kind("stable.example.com/v1", "CronTab")
    assert isinstance(found, Resource)
    assert found.custom
