"""Pruning, defaults and validation: what a schema makes of objects, and what it says of those it refuses."""

import msgspec
import pytest

pytestmark = pytest.mark.virtual_time
STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def spec(**properties):
    return {"type": "object", "properties": properties}


def listed(kind, keys=(), **item):
    found = {"type": "array", "x-kubernetes-list-type": kind, "items": item}
    return found | ({"x-kubernetes-list-map-keys": list(keys)} if keys else {})


ANY = {"x-kubernetes-preserve-unknown-fields": True}
KEYED = listed("map", ("name",), type="object", required=["name"], properties={"name": STRING, "v": INTEGER})
EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True, **ANY}

KEPT = [
    ("known fields stay, others go", spec(a=INTEGER), {"a": 1, "b": 2}, {"a": 1}),
    ("maps keep their keys", spec(m={"type": "object", "additionalProperties": INTEGER}), {"m": {"x": 1}}, {"m": {"x": 1}}),
    ("preserved levels keep everything", spec(p={"type": "object", **ANY}), {"p": {"x": {"y": 1}}}, {"p": {"x": {"y": 1}}}),
    (
        "what is specified below a preserved level is pruned",
        spec(p={"type": "object", **ANY, "properties": {"k": spec(a=INTEGER)}}),
        {"p": {"x": 1, "k": {"a": 1, "b": 2}}},
        {"p": {"x": 1, "k": {"a": 1}}},
    ),
    ("items are pruned", spec(items={"type": "array", "items": spec(a=INTEGER)}), {"items": [{"a": 1, "b": 2}]}, {"items": [{"a": 1}]}),
    ("an object without properties is empty", spec(o={"type": "object"}), {"o": {"a": 1}}, {"o": {}}),
    (
        "an embedded resource keeps its type and metadata",
        spec(t={"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": spec(a=INTEGER)}}),
        {"t": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}, "spec": {"a": 1, "b": 2}, "other": 1}},
        {"t": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}, "spec": {"a": 1}}},
    ),
    ("defaults fill what is absent", spec(a=INTEGER | {"default": 3}), {}, {"a": 3}),
    ("defaults go deep where there is something", spec(o=spec(a=INTEGER | {"default": 3})), {"o": {}}, {"o": {"a": 3}}),
    ("defaults do not make what is above them", spec(o=spec(a=INTEGER | {"default": 3})), {}, {}),
    ("a default of an object gets its own defaults", spec(o=spec(a=INTEGER | {"default": 3}) | {"default": {}}), {}, {"o": {"a": 3}}),
    ("a null gets the default", spec(a=INTEGER | {"default": 3}), {"a": None}, {"a": 3}),
    ("a null that may be one stays", spec(a=INTEGER | {"default": 3, "nullable": True}), {"a": None}, {"a": None}),
    ("a null without default goes", spec(a=INTEGER, b=INTEGER), {"a": None, "b": 1}, {"b": 1}),
    ("items get defaults", spec(l={"type": "array", "items": spec(a=INTEGER | {"default": 1})}), {"l": [{}]}, {"l": [{"a": 1}]}),
    ("whole numbers are integers", spec(a=INTEGER), {"a": 3.0}, {"a": 3}),
    ("int or string is either", spec(a={"x-kubernetes-int-or-string": True}), {"a": "5"}, {"a": "5"}),
]


@pytest.mark.parametrize(("what", "schema", "given", "kept"), KEPT, ids=[row[0] for row in KEPT])
async def test_what_is_kept(api, what, schema, given, kept):
    await api.define(schema)
    made = await api.create(api.path(), api.crontab(**given))
    assert made.status == 201, made.body
    assert made["spec"] == kept
    assert (await api.get(api.path("a")))["spec"] == kept


INVALID, TYPE = "FieldValueInvalid", "FieldValueTypeInvalid"


def body(text, value):
    return f"Invalid value: {value}: spec.a in body {text}"


REFUSED = [
    (INTEGER, "x", (TYPE, "spec.a", body('must be of type integer: "string"', '"string"'))),
    (INTEGER, 1.5, (TYPE, "spec.a", body('must be of type integer: "number"', '"number"'))),
    (INTEGER, True, (TYPE, "spec.a", body('must be of type integer: "boolean"', '"boolean"'))),
    (STRING, {"x": 1}, (TYPE, "spec.a", body('must be of type string: "object"', '"object"'))),
    ({"type": "array", "items": STRING}, "x", (TYPE, "spec.a", body('must be of type array: "string"', '"string"'))),
    ({"x-kubernetes-int-or-string": True}, [1], (TYPE, "spec.a", body('must be of type integer,string: "array"', '"array"'))),
    (INTEGER | {"minimum": 1}, 0, (INVALID, "spec.a", body("should be greater than or equal to 1", 0))),
    (INTEGER | {"maximum": 3}, 4, (INVALID, "spec.a", body("should be less than or equal to 3", 4))),
    (INTEGER | {"maximum": 3, "exclusiveMaximum": True}, 3, (INVALID, "spec.a", body("should be less than 3", 3))),
    (INTEGER | {"multipleOf": 5}, 7, (INVALID, "spec.a", body("should be a multiple of 5", 7))),
    (STRING | {"pattern": "^[a-z]+$"}, "A", (INVALID, "spec.a", body("should match '^[a-z]+$'", '"A"'))),
    (STRING | {"minLength": 2}, "A", (INVALID, "spec.a", body("should be at least 2 chars long", '"A"'))),
    (STRING | {"maxLength": 2}, "ABC", ("FieldValueTooLong", "spec.a", "Too long: may not be more than 2 bytes")),
    (STRING | {"enum": ["x", "y"]}, "z", ("FieldValueNotSupported", "spec.a", 'Unsupported value: "z": supported values: "x", "y"')),
    (STRING | {"format": "date-time"}, "z", (TYPE, "spec.a", body('must be of type date-time: "z"', '"z"'))),
    (STRING | {"format": "ipv4"}, "::1", (TYPE, "spec.a", body('must be of type ipv4: "::1"', '"::1"'))),
    ({"type": "array", "items": INTEGER, "minItems": 2}, [1], (INVALID, "spec.a", body("should have at least 2 items", 1))),
    (
        {"type": "array", "items": INTEGER, "maxItems": 1},
        [1, 2],
        ("FieldValueTooMany", "spec.a", "Too many: 2: must have at most 1 item"),
    ),
    (
        {"type": "array", "items": INTEGER},
        [1, "x"],
        (TYPE, "spec.a[1]", 'Invalid value: "string": spec.a[1] in body must be of type integer: "string"'),
    ),
    ({"type": "object", "required": ["b"], "properties": {"b": STRING}}, {}, ("FieldValueRequired", "spec.a.b", "Required value")),
    (
        INTEGER | {"not": {"enum": [5]}},
        5,
        (INVALID, "spec.a", 'Invalid value: "": "spec.a" must not validate the schema (not)'),
    ),
    (
        INTEGER | {"oneOf": [{"minimum": 5}, {"minimum": 6}]},
        7,
        (INVALID, "spec.a", 'Invalid value: "": "spec.a" must validate one and only one schema (oneOf). Found 2 valid alternatives'),
    ),
    (
        INTEGER | {"anyOf": [{"minimum": 5}, {"minimum": 6}]},
        1,
        (INVALID, "spec.a", 'Invalid value: "": "spec.a" must validate at least one schema (anyOf)'),
    ),
    (listed("set", type="string"), ["x", "y", "x"], ("FieldValueDuplicate", "spec.a[2]", 'Duplicate value: "x"')),
    (KEYED, [{"name": "x"}, {"name": "x", "v": 1}], ("FieldValueDuplicate", "spec.a[1]", 'Duplicate value: {"name":"x"}')),
    (EMBEDDED, {"apiVersion": "v1"}, ("FieldValueRequired", "spec.a.kind", "Required value: must not be empty")),
    (
        EMBEDDED,
        {"apiVersion": "v1", "kind": "X", "metadata": {"labels": {"a b": "c"}}},
        (INVALID, "spec.a.metadata.labels", None),
    ),
]


@pytest.mark.parametrize(("schema", "value", "cause"), REFUSED)
async def test_what_is_refused(api, schema, value, cause):
    await api.define(spec(a=schema))
    answer = await api.create(api.path(), api.crontab(a=value))
    assert answer.status == 422, answer.body
    reason, field, message = answer.causes[0]
    assert (reason, field) == cause[:2]
    assert cause[2] is None or message == cause[2]


async def test_a_null_that_may_not_be_one_is_named(api):
    await api.define(spec(a={"type": "array", "items": {"type": "string"}}))
    answer = await api.create(api.path(), api.crontab(a=[None]))
    assert answer.causes == [(TYPE, "spec.a[0]", 'Invalid value: "null": spec.a[0] in body must be of type string: "null"')]


class TestFieldValidation:
    BODY = (
        b'{"apiVersion":"stable.example.com/v1","kind":"CronTab","metadata":{"name":"a","odd":1},"spec":{"a":1,"a":2,"b":[{"c":1}],"x":1}}'
    )
    SAID = [
        'duplicate field "spec.a"',
        'unknown field "metadata.odd"',
        'unknown field "spec.b[0].c"',
        'unknown field "spec.x"',
    ]

    @pytest.fixture
    async def api(self, api):
        await api.define(spec(a=INTEGER, b={"type": "array", "items": {"type": "object"}}))
        return api

    async def test_strict_names_unknown_and_duplicate_fields(self, api):
        answer = await api.create(api.path(), self.BODY, fieldValidation="Strict")
        assert answer.status == 400
        said = f"strict decoding error: {', '.join(self.SAID)}"
        assert answer.message == f'CronTab in version "v1" cannot be handled as a CronTab: {said}'

    async def test_warn_takes_them_and_warns(self, api, kernel):
        from bareboat.api.request import ApiRequest
        from bareboat.testing.kernel import ADMIN

        response = await kernel.service.handle(ApiRequest(ADMIN, "POST", api.path(), {}, self.BODY))
        assert response.status == 201
        assert response.warnings == self.SAID
        assert msgspec.json.decode(response.body)["spec"] == {"a": 2, "b": [{}]}

    async def test_ignore_says_nothing(self, api):
        assert (await api.create(api.path(), self.BODY, fieldValidation="Ignore")).status == 201

    async def test_a_patch_with_unknown_fields_is_refused_when_strict(self, api):
        await api.create(api.path(), api.crontab(a=1))
        answer = await api.patch(api.path("a"), {"spec": {"x": 1}}, fieldValidation="Strict")
        assert answer.status == 422
        assert answer.causes[0][1] == "patch"
        assert answer.causes[0][2].endswith('strict decoding error: unknown field "spec.x"')


async def test_metadata_of_embedded_resources_is_known_whatever_its_schema_says(api):
    metadata = {"type": "object", "properties": {"name": {"type": "string"}}}
    template = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"metadata": metadata}}
    await api.define(spec(t=template))
    given = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "n", "namespace": "m", "odd": 1}}
    answer = await api.create(api.path(), api.crontab(t=given), fieldValidation="Strict")
    assert answer.status == 400
    assert answer.message.endswith('strict decoding error: unknown field "spec.t.metadata.odd"')
    del given["metadata"]["odd"]
    assert (await api.patch(api.path("a"), api.crontab(t=given), "apply", fieldManager="m")).status == 201


class TestRatcheting:
    async def test_what_did_not_change_is_not_refused(self, api):
        await api.define(spec(a=STRING, b=STRING, l=KEYED))
        await api.create(api.path(), api.crontab(a="long", b="x", l=[{"name": "p", "v": 5}, {"name": "q", "v": 1}]))

        def stricter(changed):
            properties = changed["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            properties["a"]["maxLength"] = 2
            properties["l"]["items"]["properties"]["v"]["maximum"] = 3

        await api.redefine(stricter)
        assert (await api.patch(api.path("a"), {"spec": {"b": "y"}})).status == 200
        moved = {"spec": {"l": [{"name": "q", "v": 2}, {"name": "p", "v": 5}]}}
        assert (await api.patch(api.path("a"), moved)).status == 200
        refused = await api.patch(api.path("a"), {"spec": {"a": "longer"}})
        assert refused.causes == [("FieldValueTooLong", "spec.a", "Too long: may not be more than 2 bytes")]

    async def test_a_default_that_came_later_shows_in_old_objects(self, api):
        await api.define(spec(a=STRING, b=STRING))
        await api.create(api.path(), api.crontab("old", a="x"))

        def defaulted(changed):
            changed["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["b"]["default"] = "B"

        await api.redefine(defaulted)
        assert (await api.get(api.path("old")))["spec"] == {"a": "x", "b": "B"}
        assert (await api.get(api.path()))["items"][0]["spec"] == {"a": "x", "b": "B"}

        def without(changed):
            properties = changed["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            del properties["a"]

        await api.redefine(without)
        assert (await api.get(api.path("old")))["spec"] == {"b": "B"}
