"""The rules that a cluster's users write in CEL: what reads as one, and what names nothing."""

import pytest

from bareboat.api.kinds.expressions.rules import expression


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "object.spec.replicas <= 5 && has(object.metadata)",
        "object.items.all(x, x.size() > 0)",
        "'a' in ['a', \"b\"] ? {'k': 1}.k == 1 : !(2 > 1)",
        "object.name.matches(r'^a+$') || object[0] == b'x'",
        "-1 + 2.5e3 * 0x1F % 3u == 0",
        "type(object) == string",
        "object.metadata.namespace == 'production' && object.import.function()",
    ],
)
def test_these_are_expressions(text):
    assert expression("f", text, ("object",)) == []


@pytest.mark.parametrize(
    "text", ["true &&", "(object", "object..a", "object.a b", "'open", "1 +* 2", "[1,", "unknown.a", "other == 1", "namespace == 'a'"]
)
def test_these_are_none(text):
    (cause,) = expression("f", text, ("object",))
    assert (cause.field, cause.type) == ("f", "FieldValueInvalid")
    assert "compilation failed" in cause.message


def test_names_that_are_bound_inside_are_known_there_only():
    assert expression("f", "object.all(x, x > 1)", ("object",)) == []
    assert expression("f", "object.all(x, true) && x", ("object",)) != []
