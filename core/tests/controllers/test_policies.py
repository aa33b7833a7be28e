"""ValidatingAdmissionPolicies are checked against the kinds that they are about."""

import asyncio

import pytest

from bareboat.controllers.policies import PolicyStatusController
from bareboat.models import admissionregistration_v1, apiextensions_v1

pytestmark = pytest.mark.virtual_time
Policy = admissionregistration_v1.ValidatingAdmissionPolicy
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}
MAPS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
BOATS = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["boats"]}


@pytest.fixture
async def world(bench):
    await bench.start(PolicyStatusController)
    return bench


async def checked(world, *validations, rules=(DEPLOYMENTS,), **spec):
    spec = {"matchConstraints": {"resourceRules": list(rules)}, "validations": list(validations), **spec}
    await world.create(Policy, {"metadata": {"name": "p"}, "spec": spec})
    await asyncio.sleep(1)
    found = await world.get(Policy, "p")
    assert found.status.observedGeneration == found.metadata.generation
    return [(w.fieldRef, w.warning) for w in found.status.typeChecking.expressionWarnings]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("object.spec.replicas <= 5", ""),
        ("object.replicas > 1", "ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^"),
        (
            "object.spec.template.spec.containers.all(c, c.images == '')",
            "ERROR: <input>:1:46: undefined field 'images'\n | object.spec.template.spec.containers.all(c, c.images == '')\n | "
            + "." * 45
            + "^",
        ),
        (
            "object.spec.replicas == '1'",
            "ERROR: <input>:1:22: found no matching overload for '_==_' applied to '(int, string)'\n | object.spec.replicas == '1'\n | "
            + "." * 21
            + "^",
        ),
        ("request.userInfo.username == 'x' && authorizer.group('').resource('pods').check('get').allowed()", ""),
        ("object.metadata.labels['a'] == 'b' && 'x' in object.metadata.annotations", ""),
    ],
)
async def test_an_expression_is_checked_against_the_kind(world, expression, said):
    found = await checked(world, {"expression": expression})
    assert found == ([("spec.validations[0].expression", f"apps/v1, Kind=Deployment: {said}\n")] if said else [])


async def test_each_kind_and_each_expression_is_told_apart(world):
    validations = [{"expression": "true"}, {"expression": "has(object.spec)", "messageExpression": "object.nope"}]
    found = dict(await checked(world, *validations, rules=[DEPLOYMENTS, MAPS]))
    assert found["spec.validations[1].expression"].startswith("v1, Kind=ConfigMap: ERROR: <input>:1:4: undefined field 'spec'")
    told = found["spec.validations[1].messageExpression"]
    assert told.index("apps/v1, Kind=Deployment") < told.index("v1, Kind=ConfigMap")


async def test_variables_have_the_shape_of_their_expressions(world):
    variables = [{"name": "names", "expression": "object.spec.template.spec.containers.map(c, c.name)"}]
    found = await checked(world, {"expression": "variables.names.all(n, n.x == 1) && variables.nope"}, variables=variables)
    assert "type 'string' does not support field selection" in found[0][1]
    assert "undefined field 'nope'" in found[0][1]


async def test_custom_kinds_and_parameters_are_known_by_their_schemas(world):
    spec = {"type": "object", "properties": {"sails": {"type": "integer"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    definition = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "boats", "kind": "Boat"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    await world.create(apiextensions_v1.CustomResourceDefinition, {"metadata": {"name": "boats.example.com"}, "spec": definition})
    await asyncio.sleep(6)
    params = {"apiVersion": "example.com/v1", "kind": "Boat"}
    found = await checked(world, {"expression": "object.spec.sails > params.spec.masts"}, rules=[BOATS], paramKind=params)
    assert found[0][1].startswith("example.com/v1, Kind=Boat: ERROR: <input>:1:32: undefined field 'masts'")


async def test_patterns_are_not_checked(world):
    assert await checked(world, {"expression": "object.nope"}, rules=[{**DEPLOYMENTS, "apiGroups": ["*"]}]) == []
