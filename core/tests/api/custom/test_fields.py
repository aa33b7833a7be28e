"""Fields in rules that no schema has."""

import pytest

from bareboat.api.custom.bounds import declared
from bareboat.api.custom.schema import Schema
from bareboat.cel.environment import compiled, pointed

SCHEMA = Schema(
    {
        "type": "object",
        "properties": {
            "a": {"type": "object", "properties": {"b-c": {"type": "integer"}, "namespace": {"type": "string"}}},
            "text": {"type": "string"},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {"type": "integer"}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "list": {"type": "array", "items": {"type": "object", "properties": {"y": {"type": "integer"}}}},
        },
    }
)


def undefined(text, *, root=True):
    shape = declared(SCHEMA, resource=root)
    program = compiled(text, ("self", "oldSelf"))
    found = program.estimate({"self": shape, "oldSelf": shape})
    return "\n".join(pointed(program.spelled, *fault) for fault in found.faults)


@pytest.mark.parametrize(
    "text",
    [
        "self.a.b__dash__c > 1 && self.a.__namespace__ == ''",
        "self.text.startsWith('self.nope') // self.nope",
        "self.map.anything.x > 1",
        "self.list[0].y == 1",
        "has(self.a) && self.?text.hasValue() || self.list.map(self, self.y).size() > 1",
        "self.map.all(k, v, k == 'a' && v.x > 1)",
        "cel.bind(a, self.a, a.b__dash__c == 1)",
        'self.metadata.name == "x" && self.kind == self.apiVersion',
    ],
)
def test_what_may_be_there_is_not_named(text):
    assert undefined(text) == ""


@pytest.mark.parametrize(
    ("text", "name", "column"),
    [
        ("self.nope > 1", "nope", 5),
        ("has(self.a.nope)", "nope", 4),
        ("oldSelf.nope.size() > 1", "nope", 8),
        ("self.text == 'x' || self.a . b == 1", "b", 28),
        ("self.metadata.labels == 1", "labels", 14),
        ("self.list.all(x, x.nope)", "nope", 19),
        ("self.list[0].nope == 1", "nope", 13),
        ("self.free.anything.at.all == 1", "anything", 10),
        ("self.?nope.hasValue()", "nope", 5),
        ("[self.a].exists(a, a.nope > 1)", "nope", 21),
    ],
)
def test_what_cannot_be_there_is_named_with_its_place(text, name, column):
    assert undefined(text).startswith(f"ERROR: <input>:1:{column}: undefined field '{name}'\n | {text}\n | ")


def test_metadata_belongs_to_resources_only():
    assert "undefined field 'metadata'" in undefined("self.metadata.name == ''", root=False)
