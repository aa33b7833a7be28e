"""Sets of field paths in their written form."""

import pytest

from bareboat.api.managed import sets

A = {"f:a": {}}
DEEP = {"f:a": {".": {}, "f:b": {}}}
BELOW = {"f:a": {"f:b": {}}}


@pytest.mark.parametrize(
    ("left", "right", "together"),
    [
        ({}, A, A),
        (A, BELOW, DEEP),
        (BELOW, A, DEEP),
        (DEEP, A, DEEP),
        ({"f:a": {"f:b": {}}}, {"f:a": {"f:c": {}}}, {"f:a": {"f:b": {}, "f:c": {}}}),
    ],
)
def test_a_union_holds_what_either_holds(left, right, together):
    assert sets.union(left, right) == together


@pytest.mark.parametrize(
    ("left", "right", "rest"),
    [
        (A, A, {}),
        (DEEP, A, BELOW),
        (DEEP, BELOW, A),
        (BELOW, A, BELOW),
        (A, BELOW, A),
        (DEEP, DEEP, {}),
    ],
)
def test_a_difference_takes_members_only(left, right, rest):
    assert sets.difference(left, right) == rest


@pytest.mark.parametrize(
    ("left", "right", "common"), [(A, A, A), (DEEP, A, A), (DEEP, BELOW, BELOW), (A, BELOW, {}), (DEEP, {"f:x": {}}, {})]
)
def test_an_intersection_holds_what_both_hold(left, right, common):
    assert sets.intersection(left, right) == common


def test_prefixes_go_with_everything_below():
    held = {"f:spec": {"f:x": {}}, "f:status": {".": {}, "f:y": {"f:z": {}}}}
    assert sets.without(held, sets.of("status")) == {"f:spec": {"f:x": {}}}
    assert sets.without(held, sets.of("spec.x", "status.y")) == {"f:status": {".": {}}}


def test_paths_read_as_in_messages():
    held = {"f:spec": {"f:containers": {'k:{"name":"c","port":80}': {".": {}, "f:image": {}}}, "f:replicas": {}, "f:on": {'v:"a"': {}}}}
    assert list(sets.paths(held)) == [
        ".spec.replicas",
        '.spec.containers[name="c",port=80]',
        '.spec.containers[name="c",port=80].image',
        '.spec.on[="a"]',
    ]
