"""Definitions and custom objects that mean harm: refused or bounded, quickly, and the server goes on."""

import resource
import time

import msgspec
import pytest
from core.tests.api.custom.conftest import DEFINITIONS, definition, version

pytestmark = pytest.mark.virtual_time
STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def nested(depth, kind="properties"):
    found = {"type": "object", "properties": {"x": STRING}}
    for _ in range(depth):
        found = {"type": "object", "properties": {"a": found}} if kind == "properties" else {"type": "object", kind: [found, found]}
    return found


def junctors(depth, width):
    found = {"required": ["x"]}
    for _ in range(depth):
        found = {"anyOf": [found] * width}
    return {"type": "object", "properties": {"x": STRING}, **found}


def many_versions(count):
    return [version(f"v{i + 1}", {"type": "object", "properties": {"a": STRING}}, storage=i == 0) for i in range(count)]


WIDE = {"type": "object", "properties": {f"p{i}": {"type": "string", "pattern": "^[a-z]+$", "default": "x"} for i in range(10_000)}}
DEFINITION_BOMBS = [
    ("10 MB", definition({"type": "object", "description": "x" * (10 << 20)}), (413, 422)),
    ("10,000 properties", definition(WIDE), (201,)),
    ("10,000 properties below a limit for keys", definition({**WIDE, "maxProperties": 5}), (201,)),
    ("nested 300 deep", definition(nested(300)), (201, 400, 422)),
    ("nested 5000 deep", None, (400, 413, 422)),
    ("branches that double", definition(junctors(9, 2)), (201, 422)),
    ("1000 versions", definition(versions=many_versions(1000)), (201, 422)),
    ("a pattern that backtracks", definition({"type": "object", "properties": {"a": {**STRING, "pattern": "^(a+)+$"}}}), (201,)),
    ("a pattern too large", definition({"type": "object", "properties": {"a": {**STRING, "pattern": "(((a{900}){900}){900})"}}}), (422,)),
    ("a huge enum", definition({"type": "object", "properties": {"a": {**STRING, "enum": [f"v{i}" for i in range(50_000)]}}}), (201,)),
    ("a reference", definition({"type": "object", "properties": {"a": {"$ref": "#/definitions/a"}}}), (422,)),
    ("1000 rules", definition({"type": "object", "x-kubernetes-validations": [{"rule": f"1 + {i} > 0"} for i in range(1000)]}), (201,)),
    ("a rule of 90 kB", definition({"type": "object", "x-kubernetes-validations": [{"rule": "1 > 0 && " * 10_000 + "true"}]}), (201, 422)),
]


@pytest.mark.parametrize(("tree", "allowed"), [row[1:] for row in DEFINITION_BOMBS], ids=[row[0] for row in DEFINITION_BOMBS])
async def test_a_definition_that_is_a_bomb_costs_seconds_and_not_minutes(api, tree, allowed):
    deep = b'{"type":"object","properties":{"a":' * 5000 + b"{}" + b"}}" * 5000
    body = msgspec.json.encode(tree) if tree is not None else msgspec.json.encode(definition(STRING)).replace(b'{"type":"string"}', deep)
    before, begun = peak(), time.perf_counter()
    answer = await api.request("POST", DEFINITIONS, body)
    assert answer.status in allowed, answer.body
    assert time.perf_counter() - begun < 20
    assert peak() - before < 250
    if answer.status == 201:
        await api.until_established("crontabs.stable.example.com")
        made = await api.create(api.path(), api.crontab())
        assert made.status in (201, 422), made.body
        assert (await api.get("/openapi/v3/apis/stable.example.com/v1")).status == 200
    assert time.perf_counter() - begun < 40
    assert (await api.get("/api/v1/namespaces/default")).status == 200


def ratio(depth):
    found = "x"
    for _ in range(depth):
        found = [found] * 8
    return found


FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
LISTS = {"type": "array", "x-kubernetes-list-type": "set", "items": STRING}
KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["k"],
    "items": {"type": "object", "required": ["k"], "properties": {"k": STRING}},
}
DEFAULTED = {"type": "object", "properties": {f"d{i}": {**STRING, "default": "x" * 100} for i in range(50)}}
OBJECT_BOMBS = [
    ("wide", FREE, {f"k{i}": i for i in range(100_000)}, (201,)),
    ("deep", FREE, b'{"a":' * 400 + b"1" + b"}" * 400, (201, 400, 422)),
    ("very deep", FREE, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, (400, 413, 422)),
    ("deep lists", FREE, b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}", (400, 413, 422)),
    ("5 MB", FREE, {"a": "x" * (5 << 20)}, (413,)),
    ("many branches", FREE, {"a": ratio(6)}, (201, 413)),
    ("a set of many", {"type": "object", "properties": {"l": LISTS}}, {"l": [f"v{i}" for i in range(50_000)]}, (201,)),
    ("a keyed list of many", {"type": "object", "properties": {"l": KEYED}}, {"l": [{"k": f"v{i}"} for i in range(30_000)]}, (201,)),
    (
        "few bytes that default to many",
        {"type": "object", "properties": {"l": {"type": "array", "items": DEFAULTED}}},
        {"l": [{}] * 200_000},
        (413, 422),
    ),
    ("faults without end", {"type": "object", "additionalProperties": INTEGER}, {f"k{i}": "x" for i in range(50_000)}, (422,)),
    ("numbers that are none", FREE, b'{"a":' + b"9" * 100_000 + b"}", (201, 400, 422)),
    (
        "a pattern that backtracks",
        {"type": "object", "properties": {"a": {**STRING, "pattern": "^(a+)+$"}}},
        {"a": "a" * 500_000 + "!"},
        (422,),
    ),
]


@pytest.mark.parametrize(("schema", "spec", "allowed"), [row[1:] for row in OBJECT_BOMBS], ids=[row[0] for row in OBJECT_BOMBS])
async def test_an_object_that_is_a_bomb_costs_seconds_and_not_minutes(api, schema, spec, allowed):
    await api.define(schema)
    body = msgspec.json.encode(api.crontab())
    tree = msgspec.json.decode(body)
    tree["spec"] = "SPEC"
    body = msgspec.json.encode(tree).replace(b'"SPEC"', spec if isinstance(spec, bytes) else msgspec.json.encode(spec))
    before, begun = peak(), time.perf_counter()
    answer = await api.request("POST", api.path(), body)
    assert time.perf_counter() - begun < 20
    assert peak() - before < 400
    assert answer.status in allowed, str(answer.body)[:500]
    assert len(msgspec.json.encode(answer.body)) < 5 << 20
    assert (await api.get("/api/v1/namespaces/default")).status == 200
    patch = b"[" + b",".join(b'{"op":"copy","from":"/spec","path":"/spec/c%d"}' % i for i in range(60)) + b"]"
    if answer.status == 201 and isinstance(spec, dict):
        patched = await api.request("PATCH", api.path("a"), patch, "application/json-patch+json")
        assert patched.status in (200, 413, 422), str(patched.body)[:500]
