"""Fields in rules that no schema has."""

import pytest

from bareboat.api.custom.fields import undefined
from bareboat.api.custom.schema import Schema

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


@pytest.mark.parametrize(
    "text",
    [
        "self.a.b__dash__c > 1 && self.a.__namespace__ == ''",
        "self.text.startsWith('self.nope') // self.nope",
        "self.map.anything.x > 1",
        "self.free.anything.at.all == 1",
        "self.list[0].nope == 1",
        "self.list.all(x, x.nope)",
        "has(self.a) && self.?nope.hasValue() || x.self.nope",
        "self.size() > 1",
        'self.metadata.name == "x" && self.kind == self.apiVersion',
    ],
)
def test_what_may_be_there_is_not_named(text):
    assert undefined(text, SCHEMA, root=True) == ""


@pytest.mark.parametrize(
    ("text", "name", "column"),
    [
        ("self.nope > 1", "nope", 5),
        ("has(self.a.nope)", "nope", 11),
        ("oldSelf.nope.size() > 1", "nope", 8),
        ("self.text == 'x' || self.a . b == 1", "b", 28),
        ("self.metadata.labels == 1", "labels", 14),
    ],
)
def test_what_cannot_be_there_is_named_with_its_place(text, name, column):
    assert undefined(text, SCHEMA, root=True).startswith(f"ERROR: <input>:1:{column}: undefined field '{name}'\n | {text}\n | ")


def test_metadata_belongs_to_resources_only():
    assert "undefined field 'metadata'" in undefined("self.metadata.name == ''", SCHEMA, root=False)
