"""fieldsV1 is kept as the JSON that it is, and says the same whichever way it came."""

from __future__ import annotations

import msgspec
import pytest

from bareboat.models import apps_v1, core_v1, meta_v1
from bareboat.models.codec import DecodeError, copy, decode, decode_strict, encode, from_tree, plain, to_tree

FIELDS = {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:data": {}}
ENTRY = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": FIELDS}
META = {"name": "a", "managedFields": [ENTRY]}


def body(value: str) -> bytes:
    return b'{"metadata":{"name":"a","managedFields":[{"manager":"m","fieldsV1":%b}]}}' % value.encode("latin-1")


def test_the_same_from_bytes_and_from_a_tree_and_back():
    tree = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": META}
    typed = decode(core_v1.ConfigMap, msgspec.json.encode(tree))
    assert from_tree(core_v1.ConfigMap, tree) == typed == copy(typed)
    assert to_tree(typed)["metadata"]["managedFields"] == [ENTRY]
    assert plain(typed.metadata)["managedFields"] == [ENTRY]
    assert msgspec.json.decode(encode(typed)) == to_tree(typed)
    assert from_tree(meta_v1.ObjectMeta, META) == typed.metadata


def test_a_tree_is_not_changed_by_making_an_object_of_it():
    tree = {"metadata": {"name": "a", "managedFields": [dict(ENTRY)]}}
    from_tree(core_v1.ConfigMap, tree)
    assert tree == {"metadata": {"name": "a", "managedFields": [ENTRY]}}


def test_in_a_template_too():
    tree = {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": META, "spec": {"containers": [{"name": "c"}]}}}}
    made = from_tree(apps_v1.Deployment, tree)
    assert made == decode(apps_v1.Deployment, msgspec.json.encode(tree))
    assert to_tree(made)["spec"]["template"]["metadata"]["managedFields"] == [ENTRY]


def test_none_is_absent():
    for data in (b'{"metadata":{"managedFields":[{"manager":"m"}]}}', b'{"metadata":{"managedFields":[{"manager":"m","fieldsV1":null}]}}'):
        found, faults = decode_strict(core_v1.ConfigMap, data)
        assert faults == []
        assert found.metadata.managedFields == [meta_v1.ManagedFieldsEntry(manager="m")]
        assert b"fieldsV1" not in encode(found)
    assert from_tree(core_v1.ConfigMap, {"metadata": {"managedFields": [{"fieldsV1": None}]}}).metadata.managedFields == [
        meta_v1.ManagedFieldsEntry()
    ]


@pytest.mark.parametrize("value", ["[1]", '"text"', " 7"])
def test_what_is_no_object_is_kept_as_it_came(value):
    found, _ = decode_strict(core_v1.ConfigMap, body(value))
    assert msgspec.json.decode(encode(found))["metadata"]["managedFields"][0]["fieldsV1"] == msgspec.json.decode(value)


def test_what_is_no_text_does_not_get_in():
    for value in ('{"f:\xff":{}}', '"\xff"'):
        try:
            found, _ = decode_strict(core_v1.ConfigMap, body(value))
        except DecodeError:
            continue
        assert encode(found).decode()


def test_text_beyond_ascii_is_kept():
    found, _ = decode_strict(core_v1.ConfigMap, '{"metadata":{"managedFields":[{"fieldsV1":{"f:ä":{}}}]}}'.encode())
    assert msgspec.json.decode(encode(found))["metadata"]["managedFields"] == [{"fieldsV1": {"f:ä": {}}}]
