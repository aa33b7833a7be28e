"""The fine print of reading: which parameters go together, pages, revisions, and what a scrape counts."""

import asyncio

import pytest

from bareboat.api.verbs import read
from bareboat.cluster.metrics import LoopLag, ServerMetrics
from bareboat.models import core_v1, meta_v1

pytestmark = pytest.mark.virtual_time
CM = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ({"resourceVersionMatch": "Exact"}, 422, "resourceVersionMatch"),
        ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, 422, "resourceVersionMatch"),
        ({"resourceVersionMatch": "Foo", "resourceVersion": "1"}, 422, "resourceVersionMatch"),
        ({"resourceVersion": "abc"}, 422, "resourceVersion"),
        ({"sendInitialEvents": "true"}, 422, "sendInitialEvents"),
        ({"watch": "true", "sendInitialEvents": "true"}, 422, "resourceVersionMatch"),
        ({"watch": "true", "timeoutSeconds": "x"}, 400, ""),
        ({"resourceVersion": "999999"}, 504, ""),
        ({"continue": "nonsense"}, 400, ""),
        ({"limit": "x"}, 400, ""),
        ({"labelSelector": "a b c"}, 400, ""),
        ({"fieldSelector": "nope=1"}, 400, ""),
    ],
)
async def test_parameters_that_make_no_sense_are_refused(send, query, code, field):
    found, answer = await send("GET", CM, **query)
    assert found == code
    assert [c["field"] for c in answer.get("details", {}).get("causes", []) if code == 422] == ([field] if field else [])


async def test_a_limit_below_zero_is_no_limit(send):
    await send("POST", CM, {"metadata": {"name": "a"}})
    code, answer = await send("GET", CM, limit="-1")
    assert (code, len(answer["items"])) == (200, 1)


async def test_pages_are_of_one_revision(send):
    for name in "abcde":
        await send("POST", CM, {"metadata": {"name": name}})
    _, first = await send("GET", CM, limit="2")
    await send("POST", CM, {"metadata": {"name": "bb"}})
    await send("DELETE", f"{CM}/e")
    _, rest = await send("GET", CM, limit="10", **{"continue": first["metadata"]["continue"]})
    assert [i["metadata"]["name"] for i in first["items"] + rest["items"]] == list("abcde")
    assert first["metadata"]["remainingItemCount"] == 3
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_token_that_is_too_old_is_answered_with_one_that_goes_on_from_what_there_is_now(kernel, send):
    for name in "abcde":
        await send("POST", CM, {"metadata": {"name": name}})
    _, first = await send("GET", CM, limit="2")
    await send("POST", CM, {"metadata": {"name": "cc"}})
    kernel.log.aged = kernel.log.head
    code, answer = await send("GET", CM, limit="2", **{"continue": first["metadata"]["continue"]})
    assert (code, answer["reason"]) == (410, "Expired")
    code, second = await send("GET", CM, limit="2", **{"continue": answer["metadata"]["continue"]})
    assert code == 200
    assert [item["metadata"]["name"] for item in second["items"]] == ["c", "cc"]
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert second["metadata"]["remainingItemCount"] == 2
    _, third = await send("GET", CM, limit="2", **{"continue": second["metadata"]["continue"]})
    assert [item["metadata"]["name"] for item in third["items"]] == ["d", "e"]
    assert third["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_an_update_must_name_its_object(send):
    await send("POST", CM, {"metadata": {"name": "a"}})
    code, answer = await send("PUT", f"{CM}/a", {"metadata": {}})
    assert (code, answer["message"]) == (400, "the name of the object (a based on URL) was undeterminable: name must be provided")


async def test_a_scrape_shows_what_was_asked(kernel, send):
    await send("POST", CM, {"metadata": {"name": "a"}})
    await send("GET", f"{CM}/a")
    await send("GET", f"{CM}/b")
    metrics = ServerMetrics(kernel.log, kernel.service.requests, LoopLag(kernel.clock))
    lines = metrics.render().decode().splitlines()
    counted = [line for line in lines if line.startswith("apiserver_request_total") and 'resource="configmaps"' in line]
    assert sorted(line.split("code=")[1][1:4] + line.split("verb=")[1][1:5] for line in counted) == ['200GET"', "201POST", '404GET"']
    assert 'apiserver_storage_objects{resource="configmaps"} 1.0' in lines
    assert 'apiserver_current_inflight_requests{request_kind="mutating"} 0.0' in lines
    assert any(line.startswith("apiserver_request_duration_seconds_bucket") for line in lines)


async def test_a_list_that_is_read_in_portions_is_of_one_revision(kernel, monkeypatch):
    monkeypatch.setattr(read, "PORTION", 7)
    for number in range(30):
        await kernel.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=f"c{number:02}", namespace="default")))
    at = kernel.log.head
    listing = asyncio.ensure_future(kernel.client.list(core_v1.ConfigMap, "default"))
    await asyncio.sleep(0)
    await kernel.client.delete(core_v1.ConfigMap, "c29", "default")
    await kernel.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="c28a", namespace="default")))
    found = await listing
    assert [item.metadata.name for item in found.items] == [f"c{number:02}" for number in range(30)]
    assert found.resource_version == str(at)
