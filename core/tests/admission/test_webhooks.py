"""Webhooks on a real HTTPS server: who is asked, what is sent, what answers do, and what happens when a server misbehaves."""

import asyncio
import base64
import json

import pytest
from aiohttp import web

from bareboat.contracts.auth import ALLOW, NO_OPINION
from bareboat.models import admissionregistration_v1, apps_v1, autoscaling_v1, core_v1, discovery_v1
from bareboat.models.codec import encode, from_tree
from bareboat.store.entry import head

RULE = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
OK = {"allowed": True}


def patch(*operations):
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def add(key, value):
    return {"op": "add", "path": f"/data/{key}", "value": value}


async def configure(world, *webhooks, mutating=False, name="c"):
    kind = "Mutating" if mutating else "Validating"
    cls = getattr(admissionregistration_v1, f"{kind}WebhookConfiguration")
    found = [{"sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": [RULE], **hook} for hook in webhooks]
    return await world.create(cls, {"metadata": {"name": name}, "webhooks": found})


async def config_map(world, name="m", data=None, **more):
    return await world.create(
        core_v1.ConfigMap, {"metadata": {"name": name, **more.pop("metadata", {})}, "data": data or {"a": "b"}}, **more
    )


async def test_a_review_says_everything_about_the_request(world, hook):
    hook.answers["v"] = lambda request: OK
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v")})
    made = await config_map(world)
    made.data = {"a": "c"}
    await world.client.update(made)
    await world.client.delete(core_v1.ConfigMap, "m", "default")
    create, update, delete = (request for _, request in hook.asked)
    assert create["kind"] == create["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert create["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (create["name"], create["namespace"], create["operation"], create["dryRun"]) == ("m", "default", "CREATE", False)
    assert create["userInfo"]["username"] == "admin"
    assert (create["object"]["data"], create["oldObject"], create["object"]["apiVersion"]) == ({"a": "b"}, None, "v1")
    assert (update["object"]["data"], update["oldObject"]["data"]) == ({"a": "c"}, {"a": "b"})
    assert (delete["object"], delete["oldObject"]["data"], delete["options"]["kind"]) == (None, {"a": "c"}, "DeleteOptions")


async def test_a_refusal_carries_the_hooks_code_reason_and_message(world, hook):
    hook.answers["v"] = lambda request: {"allowed": False, "status": {"code": 422, "reason": "Invalid", "message": "no"}}
    hook.answers["silent"] = lambda request: {"allowed": False}
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v")})
    error = await world.refused(config_map(world))
    assert (error.code, error.reason, error.message) == (422, "Invalid", 'admission webhook "v.example.com" denied the request: no')
    await world.client.delete(admissionregistration_v1.ValidatingWebhookConfiguration, "c")
    await configure(world, {"name": "s.example.com", "clientConfig": hook.client("silent")})
    error = await world.refused(config_map(world))
    assert (error.code, error.message) == (400, 'admission webhook "s.example.com" denied the request without explanation')


async def test_mutating_hooks_run_in_the_order_of_their_names_and_see_each_others_work(world, hook):
    hook.answers["one"] = lambda request: patch(add("one", "1"))
    hook.answers["two"] = lambda request: patch(add("two", request["object"]["data"].get("one", "?")))
    await configure(world, {"name": "b.example.com", "clientConfig": hook.client("two")}, mutating=True, name="second")
    await configure(world, {"name": "z.example.com", "clientConfig": hook.client("one")}, mutating=True, name="first")
    assert (await config_map(world)).data == {"a": "b", "one": "1", "two": "1"}


async def test_defaults_are_filled_in_after_a_mutation(world, hook):
    hook.answers["m"] = lambda request: patch({"op": "add", "path": "/spec/initContainers", "value": [{"name": "i", "image": "x"}]})
    await world.create(core_v1.ServiceAccount, {"metadata": {"name": "default"}})
    rule = {**RULE, "resources": ["pods"], "operations": ["CREATE"]}
    await configure(world, {"name": "m.example.com", "clientConfig": hook.client("m"), "rules": [rule]}, mutating=True)
    pod = await world.create(core_v1.Pod, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
    init = pod.spec.initContainers[0]
    assert (init.terminationMessagePolicy, init.imagePullPolicy) == ("File", "Always")
    assert init.volumeMounts == pod.spec.containers[0].volumeMounts  # plugins saw the new container, too
    assert len(pod.spec.volumes) == 1


async def test_a_hook_is_asked_again_if_needed_and_only_then(world, hook):
    hook.answers["count"] = lambda request: patch(add("size", str(len(request["object"]["data"]))))
    hook.answers["late"] = lambda request: patch(add("late", "x"))
    first = {"name": "a.example.com", "clientConfig": hook.client("count"), "reinvocationPolicy": "IfNeeded"}
    never = {"name": "b.example.com", "clientConfig": hook.client("late")}
    await configure(world, first, never, mutating=True)
    assert (await config_map(world)).data == {"a": "b", "size": "3", "late": "x"}
    assert [path for path, _ in hook.asked] == ["count", "late", "count"]


async def test_selectors_and_scope_choose_the_objects(world, hook):
    hook.answers["v"] = lambda request: OK
    await world.create(core_v1.Namespace, {"metadata": {"name": "watched", "labels": {"hooks": "on"}}})
    base = {"clientConfig": hook.client("v")}
    namespaced = {"name": "n.example.com", "namespaceSelector": {"matchLabels": {"hooks": "on"}}, **base}
    labelled = {"name": "l.example.com", "objectSelector": {"matchLabels": {"see": "me"}}, **base}
    cluster = {"name": "c.example.com", "rules": [{**RULE, "resources": ["*"], "scope": "Cluster"}], **base}
    await configure(world, namespaced, labelled, cluster)
    await config_map(world)
    assert hook.asked == []
    await config_map(world, metadata={"namespace": "watched"})
    await config_map(world, "n", metadata={"labels": {"see": "me"}})
    assert [(r["namespace"], r["name"]) for _, r in hook.asked] == [("watched", "m"), ("default", "n")]
    await world.create(core_v1.Node, {"metadata": {"name": "node"}})
    assert hook.asked[-1][1]["name"] == "node"


async def test_match_conditions_are_asked_before_the_hook(world, hook):
    hook.answers["v"] = lambda request: OK
    condition = {"name": "not-skipped", "expression": "object.metadata.name != 'skip-me' && request.operation == 'CREATE'"}
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "matchConditions": [condition]})
    await config_map(world, "skip-me")
    assert hook.asked == []
    await config_map(world)
    assert len(hook.asked) == 1


async def test_match_conditions_ask_the_authorizer(world, hook, monkeypatch):
    async def authorize(attributes):
        return NO_OPINION if attributes.verb == "breakglass" else ALLOW

    hook.answers["v"] = lambda request: OK
    asked = "authorizer.group('example.com').resource('hooks').labelSelector('a=b').check('breakglass').allowed()"
    conditions = [{"name": "breakglass", "expression": f"!{asked}"}]
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "matchConditions": conditions})
    await config_map(world)
    assert hook.asked == []
    monkeypatch.setattr(world.kernel.authority, "authorize", authorize)
    await config_map(world, "n")
    assert len(hook.asked) == 1


@pytest.mark.parametrize("text", ["object.metadata.name.nothing('x') == 1", "1 + 'a' == 2", "unknown == 1", "object..x", "'a'"])
@pytest.mark.parametrize("mutating", [True, False])
async def test_conditions_that_are_no_expressions_are_refused_at_once(world, hook, text, mutating):
    broken = {"name": "broken", "expression": text}
    hooks = {"name": "v.example.com", "clientConfig": hook.client("v"), "matchConditions": [broken]}
    error = await world.refused(configure(world, hooks, mutating=mutating))
    assert error.code == 422
    assert "webhooks[0].matchConditions[0].expression" in error.message


async def test_a_condition_that_costs_too_much_is_cut_off(world, hook):
    text = "object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, a + b != c + d))))"
    bomb = {"name": "bomb", "expression": text}
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "matchConditions": [bomb]})
    error = await world.refused(config_map(world, data={f"k{i}": "v" for i in range(100)}))
    assert (error.code, hook.asked) == (403, [])
    assert "cost" in error.message


async def test_a_condition_that_fails_refuses_or_lets_pass_as_the_policy_says(world, hook):
    hook.answers["v"] = lambda request: OK
    broken = {"name": "broken", "expression": "object.metadata.labels.missing == 'x'"}
    base = {"name": "v.example.com", "clientConfig": hook.client("v"), "matchConditions": [broken]}
    await configure(world, {**base, "failurePolicy": "Ignore"})
    await config_map(world)
    await configure(world, {**base, "failurePolicy": "Fail"}, name="d")
    assert (await world.refused(config_map(world, "n"))).code == 403
    assert hook.asked == []


async def test_other_versions_of_an_object_reach_a_hook_in_the_version_that_it_names(world, hook):
    hook.answers["v"] = lambda request: OK
    rule = {"operations": ["CREATE"], "apiGroups": ["autoscaling"], "apiVersions": ["v2"], "resources": ["horizontalpodautoscalers"]}
    hooks = [
        {"name": f"{p.lower()}.example.com", "clientConfig": hook.client("v"), "rules": [rule], "matchPolicy": p}
        for p in ("Equivalent", "Exact")
    ]
    await configure(world, *hooks)
    spec = {
        "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 50,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
    }
    await world.create(autoscaling_v1.HorizontalPodAutoscaler, {"metadata": {"name": "h"}, "spec": spec})
    [(_, request)] = hook.asked
    assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v2", "v1")
    assert request["object"]["apiVersion"] == "autoscaling/v2"
    assert request["object"]["spec"]["metrics"][0]["type"] == "Resource"


async def test_subresources_are_asked_for_by_name(world, hook):
    hook.answers["v"] = lambda request: OK
    rule = {"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["*"], "resources": ["deployments/status"]}
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "rules": [rule]})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    made = await world.create(
        apps_v1.Deployment, {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    )
    assert hook.asked == []
    made.status.replicas = 1
    await world.client.update(made, subresource="status")
    assert hook.asked[0][1]["subResource"] == "status"


async def test_configurations_are_beyond_the_reach_of_hooks(world, hook):
    hook.answers["v"] = lambda request: {"allowed": False}
    rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "rules": [rule]})
    await configure(world, {"name": "w.example.com", "clientConfig": hook.client("v")}, name="d")
    for name in ("c", "d"):
        await world.client.delete(admissionregistration_v1.ValidatingWebhookConfiguration, name)
    assert hook.asked == []
    await config_map(world)


async def test_a_dry_run_goes_only_to_hooks_without_side_effects(world, hook):
    hook.answers["v"] = lambda request: OK
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v")})
    await config_map(world, dry_run=True)
    assert hook.asked[0][1]["dryRun"] is True
    # only old configurations can have side effects
    found = await world.client.get(admissionregistration_v1.ValidatingWebhookConfiguration, "c")
    from bareboat.admission.webhooks.calls import Calls
    from bareboat.admission.webhooks.hooks import Wanted, _compiled
    from bareboat.contracts.admission import AdmissionRequest
    from bareboat.testing.kernel import ADMIN

    found.webhooks[0].sideEffects = "Unknown"
    asked = AdmissionRequest(
        operation="CREATE", group="", version="v1", resource="configmaps", subresource="", kind="ConfigMap", namespace="default", name="m",
        user=ADMIN, object=from_tree(core_v1.ConfigMap, {}), dry_run=True,
    )  # fmt: skip
    error = await world.refused(Calls(world.kernel.host, "validating").ask(Wanted(_compiled("c", found.webhooks[0]), "", "v1"), asked, 0))
    assert (error.code, error.message) == (400, 'admission webhook "v.example.com" does not support dry run')


async def test_warnings_reach_the_client(world, hook):
    hook.answers["v"] = lambda request: {"allowed": True, "warnings": ["careful"]}
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v")})
    response = await world.send("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "m"}})
    assert (response.status, response.warnings) == (201, ["careful"])


async def sleep(request):
    await asyncio.sleep(30)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (sleep, "context deadline exceeded"),
        (lambda request: b"not json", "received invalid webhook response"),
        (
            lambda request: b'{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}',
            "expected webhook response of admission.k8s.io/v1",
        ),
        (lambda request: {"uid": "another", "allowed": True}, "expected response.uid="),
        (lambda request: b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', "webhook response was absent"),
        (lambda request: web.Response(status=500, text="boom"), "boom"),
        (lambda request: b'"' + b"x" * (10 << 20) + b'"', "larger than"),
        (lambda request: patch(add("x", "y")), "may not return a patch"),
    ],
)
async def test_a_hook_that_misbehaves_fails_closed_or_open(world, hook, answer, why):
    hook.answers["v"] = answer
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "timeoutSeconds": 1})
    error = await world.refused(config_map(world))
    assert (error.code, error.reason) == (500, "InternalError")
    assert error.message.startswith('Internal error occurred: failed calling webhook "v.example.com": failed to call webhook: ')
    assert why in error.message
    await world.client.delete(admissionregistration_v1.ValidatingWebhookConfiguration, "c")
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "timeoutSeconds": 1, "failurePolicy": "Ignore"})
    await config_map(world)


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "replace", "path": "/nothing/here", "value": 1}],
        [{"op": "add", "path": "/data", "value": "text"}],
        [{"op": "frobnicate", "path": "/data", "value": "text"}],
    ],
)
async def test_a_patch_that_does_not_apply_is_refused(world, hook, operations):
    hook.answers["m"] = lambda request: patch(*operations)
    await configure(world, {"name": "m.example.com", "clientConfig": hook.client("m")}, mutating=True)
    assert (await world.refused(config_map(world))).code == 500


async def test_what_identifies_an_object_is_not_the_hooks_to_change(world, hook):
    hook.answers["m"] = lambda request: patch(
        {"op": "add", "path": "/metadata/uid", "value": "mine"}, {"op": "add", "path": "/metadata/namespace", "value": "kube-system"}
    )
    await configure(world, {"name": "m.example.com", "clientConfig": hook.client("m")}, mutating=True)
    made = await config_map(world)
    assert made.metadata.uid != "mine"
    assert made.metadata.namespace == "default"


async def test_an_untrusted_certificate_is_a_failure(world, hook):
    await configure(world, {"name": "v.example.com", "clientConfig": {"url": hook.client("v")["url"]}})
    assert "certificate verify failed" in (await world.refused(config_map(world))).message


async def test_a_service_is_reached_through_its_ready_endpoints(world, hook):
    hook.answers["v"] = lambda request: {"allowed": False, "status": {"message": "reached"}}
    client = {"service": {"namespace": "default", "name": "hook", "path": "/v", "port": 8443}, "caBundle": hook.ca}
    await configure(world, {"name": "v.example.com", "clientConfig": client})
    assert (
        'Post "https://hook.default.svc:8443/v?timeout=10s": service "hook" not found' in (await world.refused(config_map(world))).message
    )
    await world.create(core_v1.Service, {"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 8443}]}})
    assert 'no endpoints available for service "hook"' in (await world.refused(config_map(world))).message
    slice_ = {
        "metadata": {"name": "hook-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": hook.port}],
    }
    endpoints = [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}, {"addresses": ["127.0.0.2"], "conditions": {"ready": False}}]
    encoded = encode(from_tree(discovery_v1.EndpointSlice, {**slice_, "endpoints": endpoints}))
    stored = b"{" + encoded[len(head("EndpointSlice", "discovery.k8s.io/v1")) :]  # below validation, which keeps loopback addresses out
    await world.kernel.log.write("discovery.k8s.io/endpointslices/default/hook-1", stored)
    assert (await world.refused(config_map(world))).message == 'admission webhook "v.example.com" denied the request: reached'


async def test_scaling_is_shown_as_a_scale(world, hook):
    hook.answers["v"] = lambda request: patch({"op": "replace", "path": "/spec/replicas", "value": 2})
    rule = {"operations": ["UPDATE"], "apiGroups": ["apps"], "apiVersions": ["*"], "resources": ["deployments/scale"]}
    await configure(world, {"name": "v.example.com", "clientConfig": hook.client("v"), "rules": [rule]}, mutating=True)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    await world.create(apps_v1.Deployment, {"metadata": {"name": "d"}, "spec": spec})
    path = "/apis/apps/v1/namespaces/default/deployments/d/scale"
    response = await world.send("PATCH", path, {"spec": {"replicas": 9}}, "application/merge-patch+json")
    assert (response.status, json.loads(response.body)["spec"]["replicas"]) == (200, 2)
    [(_, request)] = hook.asked
    assert request["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert (request["object"]["spec"], request["oldObject"]["spec"]) == ({"replicas": 9}, {"replicas": 1})
