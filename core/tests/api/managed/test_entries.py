"""The books of stored objects: what nobody asks for is not read, and is written as it was."""

import msgspec
import pytest

from bareboat.api.managed import entries, sets
from bareboat.api.managed.entries import Owned, Owner
from bareboat.models import meta_v1

FIELDS = b'{"f:metadata":{"f:labels":{".":{},"f:a":{},"f:b":{}}},"f:spec":{"f:replicas":{}}}'
OWNER = Owner("m", "Update", "v1")


def stored(fields=FIELDS, time="2026-01-01T00:00:00Z", **about):
    entry = meta_v1.ManagedFieldsEntry(manager="m", operation="Update", apiVersion="v1", time=time, fieldsType="FieldsV1", **about)
    entry.fieldsV1 = msgspec.Raw(fields)
    return entry


def lost(*paths):
    return sets.of(*paths)


def less(owned, *paths):
    gone = lost(*paths)
    return owned.less(gone, entries.spelled(sets.names(gone)))


def test_fields_are_read_when_they_are_asked_for():
    entry = stored()
    owned = entries.read([entry], ours=True)[OWNER]
    assert owned.fields == msgspec.json.decode(FIELDS)
    assert entries.write({OWNER: owned}) == [entry]


def test_what_has_none_of_the_names_loses_nothing_and_is_not_read():
    assert less(Owned(msgspec.Raw(b"{not read"), None), "metadata.labels.c") is None


@pytest.mark.parametrize("fields", [msgspec.Raw(FIELDS), msgspec.json.decode(FIELDS)])
def test_what_is_left(fields):
    assert less(Owned(fields, None), "metadata.labels.a", "spec.replicas") == {"f:metadata": {"f:labels": {".": {}, "f:b": {}}}}
    assert less(Owned(fields, None), "status.replicas") is None  # the name, elsewhere
    assert less(Owned(fields, None), "metadata.labels.c") is None


def test_who_has_nothing_is_left_nothing():
    assert less(Owned(msgspec.Raw(b"{}"), None), "spec") == {}


def test_names_are_found_as_they_are_spelled():
    gone = {"f:a": {'k:{"name":"ü\\"x"}': {".": {}, "f:b": {}}}}
    fields = msgspec.json.encode(gone)
    names = entries.spelled(sets.names(gone))
    assert all(name in fields for name in names)
    assert Owned(msgspec.Raw(fields), None).less(gone, names) == {}


def test_the_same_fields_at_another_time_are_written_as_they_were():
    owned = entries.read([stored()], ours=True)[OWNER]
    [entry] = entries.write({OWNER: owned.having(owned.fields, "2026-02-02T00:00:00Z")})
    assert bytes(entry.fieldsV1) == FIELDS
    assert entry.time == "2026-02-02T00:00:00Z"
    [entry] = entries.write({OWNER: owned.having({"f:spec": {}}, None)})
    assert bytes(entry.fieldsV1) == b'{"f:spec":{}}'


def test_what_is_no_set_of_fields_is_refused():
    for fields in (b"[]", b"null", b""):
        with pytest.raises(entries.BadEntry, match="fieldsV1: not an object"):
            entries.read([stored(fields)], ours=True)
