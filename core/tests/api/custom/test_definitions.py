"""The life of a definition: names, conditions, discovery, OpenAPI, and its end."""

import base64
import hashlib

import msgspec
import pytest

from bareboat.client.client import checked
from bareboat.testing.kernel import Kernel

pytestmark = pytest.mark.virtual_time
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def conditions(tree):
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in tree["status"]["conditions"]}


async def test_a_definition_is_accepted_and_established(api):
    await api.define()
    found = await api.definition()
    assert conditions(found) == {
        "NamesAccepted": ("True", "NoConflicts", "no conflicts found"),
        "Established": ("True", "InitialNamesAccepted", "the initial names have been accepted"),
    }
    assert found["status"]["acceptedNames"]["plural"] == "crontabs"
    assert found["status"]["acceptedNames"]["singular"] == "crontab"
    assert found["status"]["storedVersions"] == ["v1"]
    [status] = [m for m in found["metadata"]["managedFields"] if m.get("subresource") == "status"]
    assert status["manager"] == "kube-apiserver"


async def test_names_in_use_in_the_group_are_a_conflict_until_they_are_free(api):
    await api.define(names={"shortNames": ["ct"]})
    other = api.tree(plural="others", kind="CronTab", names={"shortNames": ["ct", "o"], "singular": "crontab"})
    await api.create(api.definitions, other)
    await api.kernel.clock.sleep(0.1)
    found = await api.definition("others.stable.example.com")
    assert conditions(found)["NamesAccepted"] == ("False", "ListKindConflict", '"CronTabList" is already in use')
    assert conditions(found)["Established"] == ("False", "NotAccepted", "not all names are accepted")
    assert found["status"]["acceptedNames"] == {"plural": "others", "kind": ""}
    assert (await api.get("/apis/stable.example.com/v1/others")).status == 404
    await api.delete(f"{api.definitions}/crontabs.stable.example.com")
    await api.until_established("others.stable.example.com")
    assert (await api.get("/apis/stable.example.com/v1/others")).status == 200


async def test_other_groups_do_not_conflict(api):
    await api.define()
    await api.define(group="other.example.com")
    assert (await api.get("/apis/other.example.com/v1/crontabs")).status == 200


async def test_a_community_group_tells_who_approved(api):
    tree = api.tree(group="x.k8s.io")
    tree["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    await api.create(api.definitions, tree)
    await api.until_established("crontabs.x.k8s.io")
    found = conditions(await api.definition("crontabs.x.k8s.io"))
    assert found["KubernetesAPIApprovalPolicyConformant"][:2] == ("False", "UnapprovedAnnotation")


async def test_discovery_shows_the_kind_and_its_parts(api):
    parts = {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}
    await api.define(versions=[api.version("v1", subresources=parts)], names={"shortNames": ["ct"], "categories": ["all"]})
    found = await api.get("/apis/stable.example.com/v1")
    assert [r["name"] for r in found["resources"]] == ["crontabs", "crontabs/scale", "crontabs/status"]
    assert found["resources"][0]["shortNames"] == ["ct"]
    assert found["resources"][0]["categories"] == ["all"]
    assert found["resources"][1] | {"verbs": []} == {
        "name": "crontabs/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": [],
    }
    aggregated = await api.request("GET", "/apis", accept=AGGREGATED)
    [group] = [g for g in aggregated["items"] if g["metadata"]["name"] == "stable.example.com"]
    [resource] = group["versions"][0]["resources"]
    assert resource["resource"] == "crontabs"
    assert [s["subresource"] for s in resource["subresources"]] == ["scale", "status"]


async def test_versions_are_listed_by_priority(api):
    names = ["v1alpha1", "v2", "foo", "v1beta1", "v10"]
    await api.define(versions=[api.version(name, storage=name == "v1beta1") for name in names])
    found = await api.get("/apis/stable.example.com")
    assert [v["version"] for v in found["versions"]] == ["v10", "v2", "v1beta1", "v1alpha1", "foo"]
    assert found["preferredVersion"]["version"] == "v10"
    hashes = {(await api.get(f"/apis/stable.example.com/{name}"))["resources"][0]["storageVersionHash"] for name in names}
    assert hashes == {base64.b64encode(hashlib.sha256(b"stable.example.com/v1beta1/CronTab").digest()[:8]).decode()}


async def test_a_version_that_is_no_longer_served_disappears(api):
    await api.define(versions=[api.version("v1"), api.version("v2", storage=False)])
    assert (await api.get(api.path(version="v2"))).status == 200
    await api.redefine(lambda spec: spec["versions"][1].update(served=False))
    assert (await api.get(api.path(version="v2"))).status == 404
    document = await api.get("/openapi/v2")
    assert "com.example.stable.v1.CronTab" in document["definitions"]
    assert "com.example.stable.v2.CronTab" not in document["definitions"]


async def test_openapi_publishes_the_schema(api):
    await api.define({"type": "object", "description": "what", "properties": {"a": {"type": "integer", "nullable": True}}})
    index = await api.get("/openapi/v3")
    before = index["paths"]["apis/stable.example.com/v1"]["serverRelativeURL"]
    document = await api.get("/openapi/v3/apis/stable.example.com/v1")
    schemas = document["components"]["schemas"]
    assert schemas["com.example.stable.v1.CronTab"]["properties"]["spec"]["properties"]["a"]["nullable"] is True
    assert schemas["com.example.stable.v1.CronTab"]["x-kubernetes-group-version-kind"][0]["kind"] == "CronTab"
    assert "com.example.stable.v1.CronTabList" in schemas
    patch = document["paths"]["/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    old = (await api.get("/openapi/v2"))["definitions"]["com.example.stable.v1.CronTab"]
    assert "type" not in old["properties"]["spec"]["properties"]["a"]
    await api.redefine(lambda spec: spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].pop("description"))
    after = (await api.get("/openapi/v3"))["paths"]["apis/stable.example.com/v1"]["serverRelativeURL"]
    assert before != after


async def test_the_objects_go_before_the_definition(api):
    await api.define()
    held = api.crontab("held") | {"metadata": {"name": "held", "finalizers": ["example.com/wait"]}}
    for tree in (api.crontab("a"), held):
        assert (await api.create(api.path(), tree)).status == 201
    await api.delete(f"{api.definitions}/crontabs.stable.example.com")
    await api.kernel.clock.sleep(3)
    found = await api.definition()
    assert found["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert conditions(found)["Terminating"] == ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
    assert [i["metadata"]["name"] for i in (await api.get(api.path()))["items"]] == ["held"]
    refused = await api.create(api.path(), api.crontab("late"))
    assert (refused.status, refused.message) == (405, "create not allowed while custom resource definition is terminating")
    await api.patch(api.path("held"), {"metadata": {"finalizers": None}})
    await api.kernel.clock.sleep(3)
    assert (await api.get(f"{api.definitions}/crontabs.stable.example.com")).status == 404
    assert (await api.get("/apis/stable.example.com/v1")).status == 404


async def test_definitions_and_objects_survive_a_restart(api, kernel):
    await api.define({"type": "object", "properties": {"a": {"type": "integer"}}})
    await api.create(api.path(), api.crontab("kept", a=1))
    second = Kernel(store=kernel.log.store)
    await second.log.start()
    second.service.custom.load()
    answer = checked(await second.client.transport.request("GET", api.path("kept")))
    assert msgspec.json.decode(answer.body)["spec"] == {"a": 1}
    await second.log.stop()


async def test_columns_of_a_table(api):
    columns = [
        {"name": "When", "type": "string", "jsonPath": ".spec.when", "description": "said"},
        {"name": "Number", "type": "integer", "jsonPath": ".spec.number", "priority": 1},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Since", "type": "date", "jsonPath": ".spec.since"},
        {"name": "List", "type": "string", "jsonPath": ".spec.list"},
        {"name": "Label", "type": "string", "jsonPath": r".metadata.labels.app\.kubernetes\.io/name"},
    ]
    await api.define(versions=[api.version("v1", additionalPrinterColumns=columns)])
    tree = api.crontab(when="now", number="none", since="2025-12-31T23:59:00Z", list=[1, 2])
    tree["metadata"]["labels"] = {"app.kubernetes.io/name": "x"}
    tree["status"] = {"conditions": [{"type": "Ready", "status": "False"}]}
    await api.create(api.path(), tree)
    found = await api.request("GET", api.path(), accept=TABLE)
    assert [c["name"] for c in found["columnDefinitions"]] == ["Name", "When", "Number", "Ready", "Since", "List", "Label"]
    assert found["columnDefinitions"][1]["description"] == "said"
    assert found["columnDefinitions"][2]["priority"] == 1
    assert found["rows"][0]["cells"] == ["a", "now", None, "False", "60s", "[1,2]", "x"]


async def test_a_deprecated_version_warns(api, kernel):
    await api.define(versions=[api.version("v1", deprecated=True, deprecationWarning="use v2")])
    from bareboat.api.request import ApiRequest
    from bareboat.testing.kernel import ADMIN

    response = await kernel.service.handle(ApiRequest(ADMIN, "GET", api.path()))
    assert response.warnings == ["use v2"]


async def test_a_cluster_scoped_kind_has_no_namespaces(api):
    await api.define(scope="Cluster")
    tree = api.crontab()
    made = await api.create("/apis/stable.example.com/v1/crontabs", tree)
    assert made.status == 201
    assert "namespace" not in made["metadata"]
    assert (await api.get(api.path())).status == 404


BAD_SCHEMAS = [
    ({"type": "integer", "default": "x"}, "default", "FieldValueTypeInvalid"),
    ({"type": "integer", "minimum": 5, "default": 1}, "default", "FieldValueInvalid"),
    ({"type": "string", "x-kubernetes-validations": [{"rule": "self.nope("}]}, "x-kubernetes-validations[0].rule", "FieldValueInvalid"),
    ({"type": "string", "x-kubernetes-validations": [{"rule": "nope(self)"}]}, "x-kubernetes-validations[0].rule", "FieldValueInvalid"),
    ({"type": "string", "x-kubernetes-validations": [{"rule": "1 + 'a' == 2"}]}, "x-kubernetes-validations[0].rule", "FieldValueInvalid"),
    (
        {"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-validations": [{"rule": "self.b == 1"}]},
        "x-kubernetes-validations[0].rule",
        "FieldValueInvalid",
    ),
    ({"type": "string", "x-kubernetes-validations": [{"rule": "size(self)"}]}, "x-kubernetes-validations[0].rule", "FieldValueInvalid"),
]


@pytest.mark.parametrize(("schema", "field", "reason"), BAD_SCHEMAS)
async def test_a_schema_that_cannot_work_is_refused(api, schema, field, reason):
    answer = await api.create(api.definitions, api.tree({"type": "object", "properties": {"a": schema}}))
    assert answer.status == 422
    path = f"spec.validation.openAPIV3Schema.properties[spec].properties[a].{field}"
    assert [(r, f) for r, f, _ in answer.causes] == [(reason, path)]
