"""What the creator of an object owns, worked out once for objects of one shape: the same as for each by itself."""

import pytest

from bareboat.api.managed import creation
from bareboat.models import core_v1
from bareboat.models.codec import from_tree

pytestmark = pytest.mark.virtual_time

ABOUT = {"kind": "Pod", "name": "p", "namespace": "default"}
EVENTS = [
    {},
    {"reason": "Scheduled", "message": "found a node", "count": 1, "firstTimestamp": "2026-01-01T00:00:00Z"},
    {"source": {"component": "scheduler"}, "reportingComponent": "scheduler"},
    {"source": {"host": "n1"}, "type": "Normal"},
    {"eventTime": "2026-01-01T00:00:00.000000Z", "reportingComponent": "a/b", "reportingInstance": "c", "action": "d", "reason": "e"},
    {"series": {}},
    {"series": {"count": 3, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}},
    {"related": {"kind": "Node", "name": "n1"}},
]


def event(name, about):
    return from_tree(core_v1.Event, {"metadata": {"name": name, "namespace": "default"}, "involvedObject": ABOUT, **about})


async def owned(client, name, about):
    made = await client.create(event(name, about))
    [entry] = made.metadata.managedFields
    return bytes(entry.fieldsV1)


async def test_events_of_one_shape_are_owned_as_each_by_itself(client, monkeypatch):
    with monkeypatch.context() as alone:
        alone.setattr(creation, "_shape", lambda *_, **__: None)
        expected = [await owned(client, f"alone-{number}", about) for number, about in enumerate(EVENTS)]
    for again in range(2):
        found = [await owned(client, f"shaped-{number}-{again}", about) for number, about in enumerate(EVENTS)]
        assert found == expected
    assert len(set(expected)) == len(EVENTS)
