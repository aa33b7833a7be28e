"""What rules may cost: estimated when a definition is written, counted when an object is."""

import time

import pytest
from core.tests.api.custom.conftest import definition
from core.tests.api.custom.test_rules import INTEGER, STRING, ruled

pytestmark = pytest.mark.virtual_time
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AT = "spec.validation.openAPIV3Schema.properties[spec]"
FIX = "(try simplifying the rule(s), or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"


def listed(item, **limits):
    return {"type": "array", "items": item, **limits}


async def refused(api, schema):
    answer = await api.create(DEFINITIONS, definition(schema))
    assert answer.status == 422, answer.body
    return [(kind, field.rpartition("properties[spec]")[2], said) for kind, field, said in answer.causes]


async def test_a_loop_in_a_loop_over_lists_without_bounds_costs_too_much(api):
    found = await refused(api, ruled("self.l.all(x, self.l.all(y, x == y))", l=listed(STRING)))
    said = f"Forbidden: estimated rule cost exceeds budget by factor of more than 100x {FIX}"
    assert ("FieldValueForbidden", ".x-kubernetes-validations[0].rule", said) in found
    assert any("estimated rule cost total for entire OpenAPIv3 schema exceeds budget" in row[2] for row in found)


async def test_bounds_make_the_same_rule_affordable(api):
    bounded = listed(STRING | {"maxLength": 63}, maxItems=64)
    await api.define(ruled("self.l.all(x, self.l.all(y, x == y))", l=bounded))
    assert (await api.create(api.path(), api.crontab(l=["a"] * 64))).status == 201


async def test_a_rule_costs_as_often_as_its_level_can_come(api):
    rule = ruled("self.a.contains('x')", a=STRING | {"maxLength": 10_000})
    found = await refused(api, {"type": "object", "properties": {"l": listed(rule)}})
    assert found[0][1] == ".properties[l].items.x-kubernetes-validations[0].rule"
    await api.define({"type": "object", "properties": {"l": listed(rule, maxItems=10)}})


async def test_a_message_is_counted_too(api):
    rule = {"rule": "self.a == 1", "messageExpression": "self.l.map(x, self.l.map(y, x + y).join()).join()"}
    found = await refused(api, ruled(rule, a=INTEGER, l=listed(STRING)))
    assert found[0][2].startswith("Forbidden: estimated messageExpression cost exceeds budget by factor of more than 100x")


async def test_operands_that_cannot_be_compared_are_told_at_once(api):
    found = await refused(api, ruled("self.a == 'x'", a=INTEGER))
    assert "compilation failed: ERROR: <input>:1:8: found no matching overload for '_==_' applied to '(int, string)'" in found[0][2]


async def test_an_evaluation_that_costs_too_much_is_cut_off(api):
    rule = "self.l.all(x, self.l.all(y, self.l.all(z, x + y != z)))"
    await api.define(ruled(rule, l=listed(STRING | {"maxLength": 4}, maxItems=60)))
    answer = await api.create(api.path(), api.crontab(l=["abcd"] * 60))
    assert answer.status == 422
    said = (
        "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule"
    )
    assert answer.causes == [("FieldValueInvalid", "spec", f'Invalid value: "object": {said}: {rule}')]


async def test_rules_of_one_object_share_a_budget(api):
    rules = [f"self.l.all(x, self.l.all(y, x + y != 'z{i}'))" for i in range(5)]
    item = ruled(*rules, l=listed(STRING | {"maxLength": 8}, maxItems=40))
    await api.define({"type": "object", "properties": {"m": listed(item, maxItems=500)}})
    begun = time.perf_counter()
    answer = await api.create(api.path(), api.crontab(m=[{"l": ["abcd"] * 40}] * 500))
    assert time.perf_counter() - begun < 20
    assert answer.status == 422
    assert answer.causes[-1][2].endswith("validation failed due to running out of cost budget, no further validation rules will be run")
