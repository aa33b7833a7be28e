"""Label and field selectors."""

import pytest

from bareboat.models import meta_v1
from bareboat.models.selectors import NOTHING, SelectorError, from_label_selector, from_labels, parse_fields, parse_labels


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a in (x, y)", {"a": "y"}, True),
        ("a notin (x,y)", {}, True),
        ("a notin (x,y)", {"a": "x"}, False),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "x"}, False),
        ("a<5", {"a": "-1"}, True),
        ("a=", {"a": ""}, True),
        ("a in ()", {"a": ""}, True),
        ("in in (in,notin)", {"in": "notin"}, True),
        ("a=b,c", {"a": "b"}, False),
    ],
)
def test_matching(text, labels, matches):
    assert parse_labels(text).matches(labels) is matches


def test_text_is_canonical_and_sorted():
    assert str(parse_labels("z!=1 , a in (y,x),!b,c>3")) == "a in (x,y),!b,c>3,z!=1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a>b", "for 'Gt', 'Lt' operators, the value must be an integer"),
        ("a/b/c", 'unable to parse requirement: <nil>: Invalid value: "a/b/c": a valid label key must consist'),
        ("a=$", 'unable to parse requirement: values[0][a]: Invalid value: "$": a valid label must be an empty string'),
    ],
)
def test_what_cannot_be_understood_is_explained(text, message):
    with pytest.raises(SelectorError) as caught:
        parse_labels(text)
    assert message in str(caught.value)


def test_an_absent_selector_matches_nothing_and_an_empty_one_everything():
    assert from_label_selector(None) is NOTHING
    assert not NOTHING.matches({})
    assert not NOTHING.empty
    assert from_label_selector(meta_v1.LabelSelector()).empty


def test_label_selectors_of_objects():
    selector = from_label_selector(
        meta_v1.LabelSelector(
            matchLabels={"app": "web"},
            matchExpressions=[
                meta_v1.LabelSelectorRequirement(key="tier", operator="NotIn", values=["db"]),
                meta_v1.LabelSelectorRequirement(key="old", operator="DoesNotExist"),
            ],
        )
    )
    assert str(selector) == "app=web,!old,tier notin (db)"
    assert selector.matches({"app": "web"})
    assert not selector.matches({"app": "web", "tier": "db"})


def test_wrong_operators_are_refused():
    wrong = meta_v1.LabelSelector(matchExpressions=[meta_v1.LabelSelectorRequirement(key="a", operator="Maybe")])
    with pytest.raises(SelectorError, match='"Maybe" is not a valid label selector operator'):
        from_label_selector(wrong)


def test_labels_select_what_has_them_all():
    assert from_labels({"a": "1", "b": "2"}).matches({"a": "1", "b": "2", "c": "3"})
    assert from_labels({}).empty


def test_field_selectors():
    assert parse_fields("metadata.name=a,spec.nodeName!=b,status.phase==Running,") == [
        ("metadata.name", "=", "a"),
        ("spec.nodeName", "!=", "b"),
        ("status.phase", "=", "Running"),
    ]
    assert parse_fields(r"a=b\,c\=d\\") == [("a", "=", "b,c=d\\")]


def test_wrong_field_selectors_are_explained():
    with pytest.raises(SelectorError, match="invalid selector: 'a,b=c'; can't understand 'a'"):
        parse_fields("a,b=c")
