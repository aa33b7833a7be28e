"""managedFields that nobody reads stay bytes, and say what they said."""

import msgspec
import pytest

from bareboat.models import apps_v1, core_v1, meta_v1, rbac_v1
from bareboat.models.codec import builtins, copy, decode, encode, to_tree
from bareboat.models.unread import decode_unread

ENTRY = (
    b'{"manager":"a","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{}}}'
)
META = b'"metadata":{"resourceVersion":"7","name":"x","labels":{"a":"b"},"managedFields":[%b,{"manager":"b"}]}' % ENTRY
POD = b'{"kind":"Pod","apiVersion":"v1",%b,"spec":{"containers":[{"name":"c","image":"i"}]}}' % META


@pytest.mark.parametrize("cls", [core_v1.Pod, core_v1.ConfigMap, apps_v1.Deployment, rbac_v1.ClusterRole])
def test_it_is_written_as_what_is_read(cls):
    data = encode(decode(cls, b"{%b}" % META))
    unread = decode_unread(cls, data)
    assert isinstance(unread, cls)
    assert encode(unread) == data
    assert to_tree(unread) == to_tree(decode(cls, data))


def test_nothing_of_the_fields_is_read():
    entry, none = decode_unread(core_v1.Pod, POD).metadata.managedFields
    assert (entry.manager, bytes(entry.fieldsV1)) == ("a", b'{"f:spec":{}}')
    assert bytes(none.fieldsV1) == b""


def test_a_copy_is_one_of_the_same_sort():
    unread = decode_unread(core_v1.Pod, POD)
    assert copy(unread) == unread
    assert copy(unread) is not unread


def test_what_only_the_slow_way_understands_is_read_as_a_whole():
    role = decode_unread(rbac_v1.ClusterRole, b'{%b,"rules":null}' % META)
    assert role.rules == []
    assert role.metadata.managedFields[0].fieldsV1 == {"f:spec": {}}


def test_trees_show_what_is_in_the_bytes():
    assert builtins([msgspec.Raw(b'{"a":1}')]) == [{"a": 1}]
    assert builtins(meta_v1.ObjectMeta(name="x"))["name"] == "x"
