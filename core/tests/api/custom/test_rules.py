"""x-kubernetes-validations: rules in CEL on every level, transitions, messages, reasons."""

import pytest

pytestmark = pytest.mark.virtual_time
STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def ruled(*rules, **properties):
    return {
        "type": "object",
        "properties": properties,
        "x-kubernetes-validations": [r if isinstance(r, dict) else {"rule": r} for r in rules],
    }


HELD = [
    ("self.min <= self.max", {"min": 1, "max": 2}, {"min": 3, "max": 2}),
    ("has(self.name)", {"name": "x"}, {}),
    ("!has(self.min) || self.min > 1", {}, {"min": 1}),
    ("self.list.all(x, x.startsWith('a'))", {"list": ["a", "ab"]}, {"list": ["b"]}),
    ("self.list.exists_one(x, x == 'a')", {"list": ["a", "b"]}, {"list": ["a", "a"]}),
    ("quantity(self.name).isLessThan(quantity('1Gi'))", {"name": "500Mi"}, {"name": "2Gi"}),
    ("isURL(self.name) && url(self.name).getHost() == 'a.b'", {"name": "https://a.b/x"}, {"name": "x"}),
    ("cidr('10.0.0.0/8').containsIP(ip(self.name))", {"name": "10.2.3.4"}, {"name": "11.2.3.4"}),
    ("self.name.find('[0-9]+') == '12'", {"name": "ab12"}, {"name": "ab"}),
    ("self.list.isSorted()", {"list": ["a", "b"]}, {"list": ["b", "a"]}),
    ("sets.contains(['a', 'b'], self.list)", {"list": ["b"]}, {"list": ["c"]}),
    ("!format.dns1123Label().validate(self.name).hasValue()", {"name": "abc"}, {"name": "A_"}),
    ("isSemver(self.name) && semver(self.name).isGreaterThan(semver('1.2.0'))", {"name": "1.10.0"}, {"name": "1.1.9"}),
    ("self.?min.orValue(5) > 4", {}, {"min": 1}),
    ("self.when > timestamp('2024-01-01T00:00:00Z')", {"when": "2025-01-01T00:00:00Z"}, {"when": "2023-01-01T00:00:00Z"}),
    ("self.ratio * 2.0 < 3.0", {"ratio": 1}, {"ratio": 2}),
    ("self.__namespace__ == 'x' && self.a__dash__b == 1", {"namespace": "x", "a-b": 1}, {"namespace": "y", "a-b": 1}),
]
PROPERTIES = {
    "min": INTEGER,
    "max": INTEGER,
    "name": STRING,
    "list": {"type": "array", "items": STRING},
    "when": STRING | {"format": "date-time"},
    "ratio": {"type": "number"},
    "namespace": STRING,
    "a-b": INTEGER,
}


@pytest.mark.parametrize(("rule", "good", "bad"), HELD, ids=[row[0] for row in HELD])
async def test_a_rule_holds_or_not(api, rule, good, bad):
    await api.define(ruled(rule, **PROPERTIES))
    made = await api.create(api.path(), api.crontab("good", **good))
    assert made.status == 201, made.body
    refused = await api.create(api.path(), api.crontab("bad", **bad))
    assert refused.causes == [("FieldValueInvalid", "spec", f'Invalid value: "object": failed rule: {rule}')]


async def test_messages_reasons_and_paths(api):
    rules = [
        {"rule": "self.min > 1", "message": "too small", "reason": "FieldValueForbidden", "fieldPath": ".min"},
        {"rule": "self.min > 2", "messageExpression": "'min is ' + string(self.min)", "message": "unused"},
        {"rule": "self.min > 3", "messageExpression": "self.max", "message": "fallback", "reason": "FieldValueRequired"},
    ]
    await api.define(ruled(*rules, min=INTEGER, max=STRING))
    refused = await api.create(api.path(), api.crontab(min=1))
    assert refused.causes == [
        ("FieldValueForbidden", "spec.min", "Forbidden: too small"),
        ("FieldValueInvalid", "spec", 'Invalid value: "object": min is 1'),
        ("FieldValueRequired", "spec", "Required value: fallback"),
    ]


async def test_a_rule_that_fails_to_evaluate_says_why(api):
    await api.define(ruled("self.min > 1", min=INTEGER))
    refused = await api.create(api.path(), api.crontab())
    assert refused.causes == [("FieldValueInvalid", "spec", 'Invalid value: "object": no such key: min evaluating rule: self.min > 1')]


async def test_rules_wait_for_a_sound_object(api):
    await api.define(ruled("self.min > 1", min=INTEGER) | {"required": ["min"]})
    refused = await api.create(api.path(), api.crontab())
    assert [c[0] for c in refused.causes] == ["FieldValueRequired", "FieldValueInvalid"]
    assert "some validation rules were not checked" in refused.causes[1][2]


async def test_a_transition_rule_runs_on_updates_only(api):
    await api.define(ruled({"rule": "self.min >= oldSelf.min", "message": "only up"}, min=INTEGER))
    assert (await api.create(api.path(), api.crontab(min=5))).status == 201
    assert (await api.patch(api.path("a"), {"spec": {"min": 6}})).status == 200
    refused = await api.patch(api.path("a"), {"spec": {"min": 4}})
    assert refused.causes == [("FieldValueInvalid", "spec", 'Invalid value: "object": only up')]


async def test_optional_old_self_runs_on_creates_too(api):
    rule = {"rule": "oldSelf.hasValue() || self.min == 0", "message": "starts at zero", "optionalOldSelf": True}
    await api.define(ruled(rule, min=INTEGER))
    refused = await api.create(api.path(), api.crontab(min=5))
    assert refused.causes == [("FieldValueInvalid", "spec", 'Invalid value: "object": starts at zero')]
    assert (await api.create(api.path(), api.crontab(min=0))).status == 201
    assert (await api.patch(api.path("a"), {"spec": {"min": 6}})).status == 200


async def test_items_of_keyed_lists_know_what_they_were(api):
    item = ruled({"rule": "self.v == oldSelf.v", "message": "fixed"}, name=STRING, v=INTEGER) | {"required": ["name"]}
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item}
    await api.define({"type": "object", "properties": {"l": keyed}})
    await api.create(api.path(), api.crontab(l=[{"name": "a", "v": 1}, {"name": "b", "v": 2}]))
    assert (await api.patch(api.path("a"), {"spec": {"l": [{"name": "c", "v": 3}, {"name": "a", "v": 1}]}})).status == 200
    refused = await api.patch(api.path("a"), {"spec": {"l": [{"name": "c", "v": 3}, {"name": "a", "v": 2}]}})
    assert refused.causes == [("FieldValueInvalid", "spec.l[1]", 'Invalid value: "object": fixed')]


async def test_a_new_rule_lets_unchanged_values_be(api):
    await api.define({"type": "object", "properties": {"x": INTEGER, "y": {"type": "object", "properties": {"z": INTEGER}}}})
    await api.create(api.path(), api.crontab(x=1, y={"z": 1}))

    def stricter(changed):
        found = changed["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["y"]
        found["x-kubernetes-validations"] = [{"rule": "self.z > 5"}]

    await api.redefine(stricter)
    assert (await api.patch(api.path("a"), {"spec": {"x": 2}})).status == 200
    assert (await api.patch(api.path("a"), {"spec": {"y": {"z": 2}}})).status == 422


LEVELS = [
    (STRING, "self.startsWith('a')", "abc", "b", "spec.x", "string"),
    ({"type": "array", "items": STRING}, "self.size() < 2", ["a"], ["a", "b"], "spec.x", "array"),
    ({"type": "object", "additionalProperties": INTEGER}, "self.all(k, self[k] > 0)", {"a": 1}, {"a": 0}, "spec.x", "object"),
    (STRING | {"format": "date"}, "self < timestamp('2024-06-01T00:00:00Z')", "2024-01-01", "2025-01-01", "spec.x", "string"),
]


@pytest.mark.parametrize(("schema", "rule", "good", "bad", "field", "kind"), LEVELS)
async def test_rules_on_any_level(api, schema, rule, good, bad, field, kind):
    await api.define({"type": "object", "properties": {"x": {**schema, "x-kubernetes-validations": [{"rule": rule}]}}})
    assert (await api.create(api.path(), api.crontab("good", x=good))).status == 201
    refused = await api.create(api.path(), api.crontab("bad", x=bad))
    assert refused.causes == [("FieldValueInvalid", field, f'Invalid value: "{kind}": failed rule: {rule}')]


async def test_rules_on_values_of_maps_and_items(api):
    positive = INTEGER | {"x-kubernetes-validations": [{"rule": "self > 0", "message": "not positive"}]}
    schema = {"m": {"type": "object", "additionalProperties": positive}, "l": {"type": "array", "items": positive}}
    await api.define({"type": "object", "properties": schema})
    refused = await api.create(api.path(), api.crontab(m={"a": 1, "b": 0}, l=[1, -1]))
    assert [(field, message) for _, field, message in refused.causes] == [
        ("spec.m.b", 'Invalid value: "integer": not positive'),
        ("spec.l[1]", 'Invalid value: "integer": not positive'),
    ]


async def test_the_name_is_seen_at_the_root(api):
    tree = api.tree({"type": "object", "properties": {"a": INTEGER}})
    root = tree["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root["x-kubernetes-validations"] = [{"rule": "self.metadata.name == 'only'", "message": "there is one"}]
    await api.create(api.definitions, tree)
    await api.until_established(tree["metadata"]["name"])
    assert (await api.create(api.path(), api.crontab("only"))).status == 201
    refused = await api.create(api.path(), api.crontab("other"))
    assert refused.causes == [("FieldValueInvalid", "", 'Invalid value: "object": there is one')]


async def test_items_without_keys_have_no_old_self(api):
    item = {"type": "object", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    answer = await api.create(api.definitions, api.tree({"type": "object", "properties": {"l": {"type": "array", "items": item}}}))
    assert answer.status == 422
    assert "oldSelf cannot be used on the uncorrelatable portion of the schema within" in answer.causes[0][2]
