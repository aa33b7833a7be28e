"""Policies of expressions: what they refuse, warn of, note and change, with which parameters, and what happens when they fail."""

import pytest

from bareboat.admission.policies.construction import as_maps
from bareboat.contracts.auth import ALLOW, NO_OPINION, Required
from bareboat.models import admissionregistration_v1 as registration
from bareboat.models import apps_v1, core_v1

DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}
MAPS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}


async def validating(world, *validations, rules=(DEPLOYMENTS,), actions=("Deny",), name="p", binding=None, match=None, **spec):
    constraints = {"resourceRules": list(rules), **(match or {})}
    tree = {"metadata": {"name": name}, "spec": {"matchConstraints": constraints, "validations": list(validations), **spec}}
    await world.create(registration.ValidatingAdmissionPolicy, tree)
    bound = {"policyName": name, "validationActions": list(actions), **(binding or {})}
    await world.create(registration.ValidatingAdmissionPolicyBinding, {"metadata": {"name": f"{name}-binding"}, "spec": bound})


async def mutating(world, *mutations, rules=(DEPLOYMENTS,), name="p", binding=None, **spec):
    found = [
        {"patchType": kind, kind[0].lower() + kind[1:] if kind != "JSONPatch" else "jsonPatch": {"expression": text}}
        for kind, text in mutations
    ]
    tree = {"matchConstraints": {"resourceRules": list(rules)}, "mutations": found, "reinvocationPolicy": "Never", **spec}
    await world.create(registration.MutatingAdmissionPolicy, {"metadata": {"name": name}, "spec": tree})
    await world.create(
        registration.MutatingAdmissionPolicyBinding,
        {"metadata": {"name": f"{name}-binding"}, "spec": {"policyName": name, **(binding or {})}},
    )


async def deployment(world, name="d", replicas=1, **metadata):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    return await world.create(apps_v1.Deployment, {"metadata": {"name": name, **metadata}, "spec": spec})


async def config_map(world, name="m", **metadata):
    return await world.create(core_v1.ConfigMap, {"metadata": {"name": name, **metadata}, "data": {"a": "b"}})


async def test_an_object_that_breaks_a_rule_is_refused(world):
    await validating(
        world, {"expression": "object.spec.replicas > 1", "messageExpression": "'wants replicas > 1, got ' + string(object.spec.replicas)"}
    )
    error = await world.refused(deployment(world))
    because = "ValidatingAdmissionPolicy 'p' with binding 'p-binding' denied request: wants replicas > 1, got 1"
    assert (error.code, error.reason, error.message) == (422, "Invalid", f'deployments.apps "d" is forbidden: {because}')
    await deployment(world, replicas=2)


async def test_expressions_refer_to_variables(world):
    variables = [{"name": "replicas", "expression": "object.spec.replicas"}, {"name": "odd", "expression": "variables.replicas % 2 == 1"}]
    rule = {"expression": "variables.replicas > 1 && !variables.odd", "reason": "Forbidden", "message": "even, please"}
    await validating(world, rule, variables=variables)
    error = await world.refused(deployment(world, replicas=3))
    assert (error.code, error.message.rpartition(": ")[2]) == (403, "even, please")
    await deployment(world, replicas=2)


async def test_a_policy_without_a_binding_does_nothing_and_a_change_acts_at_once(world):
    await validating(world, {"expression": "false"})
    await world.client.delete(registration.ValidatingAdmissionPolicyBinding, "p-binding")
    await deployment(world)


async def test_a_warning_and_a_note_let_the_object_in(world):
    await validating(world, {"expression": "false", "message": "careful"}, rules=[MAPS], actions=["Warn", "Audit"])
    response = await world.send("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "m"}})
    assert (response.status, response.warnings) == (
        201,
        ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-binding': careful"],
    )


async def test_matches_are_narrowed_by_names_selectors_conditions_and_exclusions(world):
    await world.create(core_v1.Namespace, {"metadata": {"name": "strict", "labels": {"strict": "yes"}}})
    match = {"excludeResourceRules": [{**MAPS, "resourceNames": ["excluded"]}]}
    binding = {"matchResources": {"namespaceSelector": {"matchLabels": {"strict": "yes"}}}}
    conditions = [{"name": "c", "expression": "object.metadata.name != 'skipped'"}]
    await validating(world, {"expression": "false"}, rules=[MAPS], match=match, binding=binding, matchConditions=conditions)
    await config_map(world)
    await config_map(world, "excluded", namespace="strict")
    await config_map(world, "skipped", namespace="strict")
    assert "failed expression: false" in (await world.refused(config_map(world, namespace="strict"))).message


async def test_parameters_come_from_the_binding(world):
    await world.create(core_v1.ConfigMap, {"metadata": {"name": "limit"}, "data": {"most": "3"}})
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    reference = {"name": "limit", "namespace": "default", "parameterNotFoundAction": "Deny"}
    await validating(
        world, {"expression": "object.spec.replicas <= int(params.data.most)"}, paramKind=kind, binding={"paramRef": reference}
    )
    await deployment(world, replicas=3)
    assert (await world.refused(deployment(world, "e", replicas=4))).code == 422
    await world.client.delete(core_v1.ConfigMap, "limit", "default")
    assert "no params found for policy binding" in (await world.refused(deployment(world, "e"))).message


async def test_parameters_that_are_selected_must_all_agree(world):
    for name, most in (("a", "5"), ("b", "2")):
        await world.create(core_v1.ConfigMap, {"metadata": {"name": name, "labels": {"limit": "yes"}}, "data": {"most": most}})
    reference = {"selector": {"matchLabels": {"limit": "yes"}}, "parameterNotFoundAction": "Allow"}
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    await validating(
        world, {"expression": "object.spec.replicas <= int(params.data.most)"}, paramKind=kind, binding={"paramRef": reference}
    )
    assert (await world.refused(deployment(world, replicas=3))).code == 422
    await deployment(world, replicas=2)


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
async def test_an_expression_that_fails_refuses_or_is_ignored(world, policy):
    await validating(world, {"expression": "object.metadata.labels.missing == 'x'"}, rules=[MAPS], failurePolicy=policy)
    if policy == "Ignore":
        await config_map(world)
    else:
        error = await world.refused(config_map(world))
        assert "expression 'object.metadata.labels.missing == 'x'' resulted in error: no such key" in error.message


async def test_updates_see_the_old_object_and_deletes_only_that(world):
    update = {"expression": "request.operation != 'UPDATE' || object.data == oldObject.data", "message": "fixed"}
    delete = {"expression": "request.operation != 'DELETE' || (object == null && oldObject.metadata.name != 'm')", "message": "stays"}
    await validating(world, update, delete, rules=[MAPS])
    made = await config_map(world)
    made.data = {"other": "x"}
    assert (await world.refused(world.client.update(made))).message.endswith("fixed")
    assert (await world.refused(world.client.delete(core_v1.ConfigMap, "m", "default"))).message.endswith("stays")


async def test_expressions_ask_the_authorizer_and_see_the_namespace(world, monkeypatch):
    async def authorize(attributes):
        return NO_OPINION if (attributes.verb, attributes.resource) == ("break", "rules") else ALLOW

    may = {"expression": "authorizer.group('example.com').resource('rules').check('break').allowed()", "message": "not you"}
    requested = {"expression": "authorizer.requestResource.check('create').allowed()"}
    named = {"expression": "namespaceObject.metadata.name == 'default'"}
    await validating(world, requested, named, may, rules=[{**MAPS, "operations": ["CREATE"]}])
    await config_map(world)
    monkeypatch.setattr(world.kernel.authority, "authorize", authorize)
    assert (await world.refused(config_map(world, "n"))).message.endswith("not you")


async def test_expressions_ask_for_the_part_that_selectors_leave(world, monkeypatch):
    asked = []

    async def authorize(attributes):
        if attributes.verb == "list":
            asked.append((attributes.fields, attributes.labels))
        return NO_OPINION if attributes.verb == "list" and not attributes.fields else ALLOW

    pods = "authorizer.group('').resource('pods')"
    part = {"expression": f"{pods}.fieldSelector('spec.nodeName=n1').labelSelector('a in (b)').check('list').allowed()"}
    await validating(world, part, {"expression": f"{pods}.check('list').allowed()", "message": "not all"}, rules=[MAPS])
    monkeypatch.setattr(world.kernel.authority, "authorize", authorize)
    assert (await world.refused(config_map(world))).message.endswith("not all")
    assert asked == [((Required("spec.nodeName", "In", ("n1",)),), (Required("a", "In", ("b",)),)), ((), ())]


async def test_policies_do_not_guard_policies(world):
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    await validating(world, {"expression": "false"}, rules=[everything])
    await world.client.delete(registration.ValidatingAdmissionPolicy, "p")
    await config_map(world)


async def test_a_configuration_is_applied(world):
    text = "Object{metadata: Object.metadata{labels: {'team': 'x'}}, spec: Object.spec{replicas: object.spec.replicas + 1}}"
    await mutating(world, ("ApplyConfiguration", text))
    made = await deployment(world, labels={"own": "label"})
    assert (made.spec.replicas, made.metadata.labels) == (2, {"own": "label", "team": "x"})


async def test_lists_of_an_applied_configuration_are_merged_by_their_keys(world):
    container = "Object.spec.template.spec.containers{name: 'c', imagePullPolicy: 'Never'}"
    added = "Object.spec.template.spec.initContainers{name: 'i', image: 'y'}"
    text = f"Object{{spec: Object.spec{{template: Object.spec.template{{spec: Object.spec.template.spec{{containers: [{container}], initContainers: [{added}]}}}}}}}}"
    await mutating(world, ("ApplyConfiguration", text))
    spec = (await deployment(world)).spec.template.spec
    assert [(c.name, c.image, c.imagePullPolicy) for c in spec.containers] == [("c", "x", "Never")]
    assert [(c.name, c.terminationMessagePolicy) for c in spec.initContainers] == [("i", "File")]


async def test_a_patch_is_applied(world):
    text = """has(object.metadata.annotations) ? [] : [
      JSONPatch{op: "add", path: "/metadata/annotations", value: {"a": "b"}},
      JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("example.com/key"), value: "x"}
    ]"""
    await mutating(world, ("JSONPatch", text), rules=[MAPS])
    assert (await config_map(world)).metadata.annotations == {"a": "b", "example.com/key": "x"}


async def test_policies_see_each_others_work_in_the_order_of_their_names(world):
    await mutating(world, ("ApplyConfiguration", "Object{data: {'one': '1'}}"), rules=[MAPS], name="a")
    await mutating(world, ("ApplyConfiguration", "Object{data: {'two': object.data.one}}"), rules=[MAPS], name="b")
    assert (await config_map(world)).data == {"a": "b", "one": "1", "two": "1"}


@pytest.mark.parametrize("text", ["Object{data: {'x': object.data.missing}}", "Object{data: 'text'}", "1"])
async def test_a_mutation_that_fails_refuses_unless_it_may_be_ignored(world, text):
    await mutating(world, ("ApplyConfiguration", text), rules=[MAPS], failurePolicy="Fail")
    error = await world.refused(config_map(world))
    assert error.message.startswith("configmaps \"m\" is forbidden: policy 'p' with binding 'p-binding' denied request: ")
    found = await world.client.get(registration.MutatingAdmissionPolicy, "p")
    found.spec.failurePolicy = "Ignore"
    await world.client.update(found)
    assert (await config_map(world)).data == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("object.spec", "object.spec"),
        ("Object{spec: Object.spec{replicas: a ? b : c}}", '{"spec": {"replicas": a ? b : c}}'),
        ("[JSONPatch{op: 'Object{x: 1}', value: {k: 1}}]", '[{"op": \'Object{x: 1}\', "value": {k: 1}}]'),
        ("Object{__namespace__: 1, a__dash__b: f(x, y)}", '{"namespace": 1, "a-b": f(x, y)}'),
        ("Object{?spec: object.?spec} // Object{a: 1}", '{?"spec": object.?spec} '),
    ],
)
def test_literals_of_objects_are_spelled_as_maps(text, spelled):
    assert as_maps(text) == spelled


async def test_an_expression_that_costs_too_much_refuses_or_is_ignored(world):
    bomb = {"expression": "object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, a + b + c + d != 'x'))))"}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    await validating(world, bomb, rules=[rule])
    large = {f"k{i}": "v" for i in range(100)}
    error = await world.refused(world.create(core_v1.ConfigMap, {"metadata": {"name": "m"}, "data": large}))
    assert "resulted in error: operation cancelled: actual cost limit exceeded" in error.message
    await world.create(core_v1.ConfigMap, {"metadata": {"name": "m"}, "data": {"a": "b"}})


async def test_variables_and_validations_share_a_budget(world):
    loop = "object.data.all(a, object.data.all(b, a + b != 'x'))"
    variables = [{"name": f"v{i}", "expression": loop} for i in range(200)]
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    await validating(world, {"expression": "variables.v1"}, rules=[rule], variables=variables)
    large = {f"k{i}": "v" for i in range(99)}
    error = await world.refused(world.create(core_v1.ConfigMap, {"metadata": {"name": "m"}, "data": large}))
    assert error.message.endswith("validation failed due to running out of cost budget, no further validation rules will be run")


@pytest.mark.parametrize("text", ["object.nothing('x')", "1 + 'a' == 2", "unknown == 1"])
async def test_what_does_not_compile_is_refused_when_it_is_written(world, text):
    error = await world.refused(validating(world, {"expression": text}))
    assert "spec.validations[0].expression" in error.message
