"""What clients get that read protobuf and nothing else."""

import asyncio
import struct

import msgspec
import pytest

from bareboat.api.request import ApiRequest
from bareboat.models import apiextensions_v1, core_v1, protobuf, wire
from bareboat.models.codec import from_tree
from bareboat.store.broadcast import SlowSubscriber
from bareboat.testing.kernel import ADMIN

PROTOBUF = "application/vnd.kubernetes.protobuf"
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def ask(kernel):
    async def ask(method, path, tree=None, accept=PROTOBUF, **query):
        asked = {name: [value] for name, value in query.items()}
        body = msgspec.json.encode(tree) if tree is not None else b""
        return await kernel.service.handle(ApiRequest(ADMIN, method, path, asked, body, "application/json", accept=accept))

    return ask


def config(name="a", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"a": "b"}}, "data": data}


def read(answer):
    assert answer.content_type == PROTOBUF
    return protobuf.decode(answer.body)


async def test_objects_come_as_they_are_stored(ask):
    made = await ask("POST", MAPS, config(x="1"))
    assert made.status == 201
    version, kind, found = read(made)
    assert (version, kind, found.data, found.metadata.labels) == ("v1", "ConfigMap", {"x": "1"}, {"a": "b"})
    as_json = msgspec.json.decode((await ask("GET", f"{MAPS}/a", accept="application/json")).body, type=core_v1.ConfigMap)
    assert read(await ask("GET", f"{MAPS}/a"))[2] == as_json
    assert found.metadata.managedFields, "they are kept"


async def test_lists_come_with_what_they_say_of_themselves(ask):
    for name in "abc":
        await ask("POST", MAPS, config(name))
    version, kind, found = read(await ask("GET", MAPS, limit="2"))
    assert (version, kind) == ("v1", "ConfigMapList")
    assert [item.metadata.name for item in found.items] == ["a", "b"]
    assert found.metadata.remainingItemCount == 1
    assert [i.metadata.name for i in read(await ask("GET", MAPS, **{"limit": "2", "continue": found.metadata.continue_}))[2].items] == ["c"]


async def test_a_deletion_is_told_as_a_status(ask):
    await ask("POST", MAPS, config())
    _, kind, found = read(await ask("DELETE", f"{MAPS}/a"))
    assert (kind, found.status, found.details.name) == ("Status", "Success", "a")


def events(chunks):
    """Type, kind and object of each frame."""
    data = b"".join(chunks)
    while data:
        (size,) = struct.unpack(">I", data[:4])
        frame, data = dict(wire.fields(data[4 : 4 + size])), data[4 + size :]
        _, kind, found = protobuf.decode(dict(wire.fields(frame[2]))[1])
        yield frame[1].decode(), kind, found


async def test_watches_come_in_frames(ask):
    made = read(await ask("POST", MAPS, config()))[2]
    await ask("PUT", f"{MAPS}/a", config(x="2"))
    await ask("DELETE", f"{MAPS}/a")
    query = {"watch": "1", "resourceVersion": made.metadata.resourceVersion, "timeoutSeconds": "1", "allowWatchBookmarks": "1"}
    answer = await ask("GET", MAPS, **query)
    assert (answer.status, answer.content_type) == (200, f"{PROTOBUF};stream=watch")
    seen = list(events([chunk async for chunk in answer.stream]))
    assert [(told, kind) for told, kind, _ in seen] == [("MODIFIED", "ConfigMap"), ("DELETED", "ConfigMap"), ("BOOKMARK", "ConfigMap")]
    assert seen[0][2].data == {"x": "2"}
    assert int(seen[2][2].metadata.resourceVersion) >= int(seen[1][2].metadata.resourceVersion)


async def test_the_end_of_a_watch_that_fell_behind_is_a_status_in_a_frame(ask, kernel, monkeypatch):
    made = read(await ask("POST", MAPS, config()))[2]
    answer = await ask("GET", MAPS, watch="1", resourceVersion=made.metadata.resourceVersion, timeoutSeconds="9")
    kernel.log._broadcast.fail_all(SlowSubscriber())
    ((told, kind, found),) = events([chunk async for chunk in answer.stream])
    assert (told, kind, found.code, found.reason) == ("ERROR", "Status", 410, "Expired")


@pytest.mark.parametrize("accept", [f"{PROTOBUF},application/json", f"application/json,{PROTOBUF}", f"{PROTOBUF}, */*"])
async def test_who_reads_json_too_gets_json(ask, accept):
    answer = await ask("GET", "/api/v1/namespaces/default", accept=accept)
    assert answer.content_type == "application/json"
    assert msgspec.json.decode(answer.body)["kind"] == "Namespace"


@pytest.mark.parametrize("accept", ["text/html", f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1"])
async def test_what_nobody_writes_is_not_acceptable(ask, accept):
    answer = await ask("GET", "/api/v1/namespaces/default", accept=accept)
    assert answer.status == 406
    assert PROTOBUF in msgspec.json.decode(answer.body)["message"]


async def test_custom_resources_have_no_messages(kernel, ask):
    schema = {"openAPIV3Schema": {"type": "object"}}
    spec = {
        "group": "g.example",
        "names": {"plural": "songs", "singular": "song", "kind": "Song"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    tree = {"metadata": {"name": "songs.g.example"}, "spec": spec}
    await kernel.client.create(from_tree(apiextensions_v1.CustomResourceDefinition, tree))
    async with asyncio.timeout(5):
        while (await ask("GET", "/apis/g.example/v1/namespaces/default/songs", accept="application/json")).status != 200:
            await asyncio.sleep(0.01)
    answer = await ask(
        "POST", "/apis/g.example/v1/namespaces/default/songs", {"apiVersion": "g.example/v1", "kind": "Song", "metadata": {"name": "s"}}
    )
    assert answer.status == 406
    assert PROTOBUF not in msgspec.json.decode(answer.body)["message"]
    assert (await ask("GET", "/apis/g.example/v1/namespaces/default/songs/s", accept="application/json")).status == 404, (
        "refused before it was made"
    )
