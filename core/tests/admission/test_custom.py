"""Webhooks and policies on custom resources and on their definitions."""

import base64
import json

from bareboat.models import admissionregistration_v1 as registration

GROUP = "stable.example.com"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PATH = f"/apis/{GROUP}/v1/namespaces/default/crontabs"
RULE = {"operations": ["*"], "apiGroups": [GROUP], "apiVersions": ["v1"], "resources": ["crontabs"]}


def version(name, storage):
    data = {"type": "object", "additionalProperties": {"type": "string"}}
    size = {"type": "integer", "default": 7}
    root = {"type": "object", "properties": {"data": data, "size": size}}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": root}, "subresources": {"status": {}}}


async def define(world, **spec):
    names = {"plural": "crontabs", "kind": "CronTab"}
    versions = [version("v1", True), version("v2", False)]
    tree = {
        "metadata": {"name": f"crontabs.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": versions, **spec},
    }
    response = await world.send("POST", DEFINITIONS, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **tree})
    assert response.status == 201, response.body
    await world.established(f"{DEFINITIONS}/crontabs.{GROUP}")


def patch(*operations):
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def crontab(version="v1", **more):
    return {"apiVersion": f"{GROUP}/{version}", "kind": "CronTab", "metadata": {"name": "c"}, "data": {"a": "b"}, **more}


async def configure(world, kind, *webhooks):
    found = [{"sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": [RULE], **hook} for hook in webhooks]
    await world.create(getattr(registration, f"{kind}WebhookConfiguration"), {"metadata": {"name": "c"}, "webhooks": found})


async def test_a_mutated_custom_object_is_pruned_and_defaulted(world, hook):
    await define(world)
    hook.answers["m"] = lambda request: patch(
        {"op": "add", "path": "/data/m", "value": "1"}, {"op": "add", "path": "/unknown", "value": 1}, {"op": "remove", "path": "/size"}
    )
    await configure(world, "Mutating", {"name": "m.example.com", "clientConfig": hook.client("m")})
    response = await world.send("POST", PATH, crontab(size=3))
    made = json.loads(response.body)
    assert (response.status, made["data"], made["size"]) == (201, {"a": "b", "m": "1"}, 7)
    assert "unknown" not in made


async def test_creation_change_and_deletion_of_custom_objects_can_be_denied(world, hook):
    await define(world)
    allow = True
    hook.answers["v"] = lambda request: {"allowed": allow, "status": {"message": "no"}}
    await configure(world, "Validating", {"name": "v.example.com", "clientConfig": hook.client("v")})
    assert (await world.send("POST", PATH, crontab())).status == 201
    allow = False
    for method, path, body in (("POST", PATH, crontab()), ("PATCH", f"{PATH}/c", {"size": 1}), ("DELETE", f"{PATH}/c", None)):
        response = await world.send(method, path, body, "application/merge-patch+json" if method == "PATCH" else "application/json")
        assert json.loads(response.body)["message"] == 'admission webhook "v.example.com" denied the request: no'


async def test_an_object_of_another_version_reaches_the_hook_in_its_own(world, hook):
    await define(world)
    hook.answers["m"] = lambda request: patch({"op": "add", "path": "/data/seen", "value": request["object"]["apiVersion"]})
    await configure(world, "Mutating", {"name": "m.example.com", "clientConfig": hook.client("m")})
    response = await world.send("POST", PATH.replace("/v1/", "/v2/"), crontab("v2"))
    made = json.loads(response.body)
    assert (made["apiVersion"], made["data"]["seen"]) == (f"{GROUP}/v2", f"{GROUP}/v1")
    assert (hook.asked[0][1]["kind"]["version"], hook.asked[0][1]["requestKind"]["version"]) == ("v1", "v2")


async def test_definitions_can_be_denied(world, hook):
    hook.answers["v"] = lambda request: {"allowed": False, "status": {"message": "no kinds today"}}
    rule = {
        "operations": ["CREATE"],
        "apiGroups": ["apiextensions.k8s.io"],
        "apiVersions": ["*"],
        "resources": ["customresourcedefinitions"],
    }
    await configure(world, "Validating", {"name": "v.example.com", "clientConfig": hook.client("v"), "rules": [rule]})
    names = {"plural": "crontabs", "kind": "CronTab"}
    tree = {
        "metadata": {"name": f"crontabs.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version("v1", True)]},
    }
    response = await world.send("POST", DEFINITIONS, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **tree})
    assert json.loads(response.body)["message"].endswith("no kinds today")


async def test_policies_judge_custom_objects_with_custom_parameters(world):
    await define(world)
    constraints = {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}
    rule = {"expression": "object.data.size <= string(params.size)"}
    kind = {"apiVersion": f"{GROUP}/v1", "kind": "CronTab"}
    spec = {"matchConstraints": constraints, "validations": [rule], "paramKind": kind}
    await world.create(registration.ValidatingAdmissionPolicy, {"metadata": {"name": "p"}, "spec": spec})
    bound = {"policyName": "p", "validationActions": ["Deny"], "paramRef": {"name": "c", "parameterNotFoundAction": "Deny"}}
    await world.create(registration.ValidatingAdmissionPolicyBinding, {"metadata": {"name": "b"}, "spec": bound})
    assert (await world.send("POST", PATH, crontab(size=3))).status == 201
    maps = "/api/v1/namespaces/default/configmaps"
    assert (await world.send("POST", maps, {"metadata": {"name": "m"}, "data": {"size": "3"}})).status == 201
    assert (await world.send("POST", maps, {"metadata": {"name": "n"}, "data": {"size": "4"}})).status == 422


async def test_versions_are_converted_by_a_webhook(world, hook):
    def convert(request):
        objects = [{**o, "apiVersion": request["desiredAPIVersion"], "size": o["size"] + 1} for o in request["objects"]]
        answer = {"uid": request["uid"], "convertedObjects": objects, "result": {"status": "Success"}}
        return json.dumps({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": answer}).encode()

    hook.answers["c"] = convert
    webhook = {"clientConfig": hook.client("c"), "conversionReviewVersions": ["v1"]}
    await define(world, conversion={"strategy": "Webhook", "webhook": webhook})
    assert (await world.send("POST", PATH, crontab(size=1))).status == 201
    response = await world.send("GET", f"{PATH.replace('/v1/', '/v2/')}/c")
    assert json.loads(response.body)["size"] == 2
