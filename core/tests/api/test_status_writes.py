"""What of an object changes with its status."""

import pytest

META = {"metadata": {"name": "x"}}
POD = {"containers": [{"name": "c", "image": "host"}]}
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
KINDS = {
    "core/pods": ("/api/v1/namespaces/default/pods", {"spec": POD}, "al"),
    "core/services": ("/api/v1/namespaces/default/services", {"spec": {"ports": [{"port": 80}]}}, "al"),
    "core/nodes": ("/api/v1/nodes", {}, "al"),
    "core/namespaces": ("/api/v1/namespaces", {}, "al"),
    "apps/deployments": (
        "/apis/apps/v1/namespaces/default/deployments",
        {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}}},
        "a",
    ),
    "networking.k8s.io/ingresses": (
        "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
        {"spec": {"defaultBackend": BACKEND}},
        "al",
    ),
    "storage.k8s.io/volumeattachments": (
        "/apis/storage.k8s.io/v1/volumeattachments",
        {"spec": {"attacher": "a.b", "nodeName": "n", "source": {"persistentVolumeName": "v"}}},
        "",
    ),
    "apiregistration.k8s.io/apiservices": (
        "/apis/apiregistration.k8s.io/v1/apiservices",
        {
            "metadata": {"name": "v1.x.y"},
            "spec": {
                "group": "x.y",
                "version": "v1",
                "groupPriorityMinimum": 1,
                "versionPriority": 1,
                "service": {"name": "s", "namespace": "a"},
            },
        },
        "",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_metadata_is_written_with_the_status_where_the_kind_allows_it(send, kind):
    """``a``: annotations, ``l``: labels."""
    path, tree, allowed = KINDS[kind]
    code, made = await send("POST", path, META | tree)
    assert code == 201, made
    change = {"metadata": {"labels": {"l": "1"}, "annotations": {"a": "1"}}}
    code, written = await send("PATCH", f"{path}/{made['metadata']['name']}/status", change, "application/merge-patch+json")
    assert code == 200, written
    assert written.get("spec") == made.get("spec")
    now = {**written["metadata"].get("annotations", {}), **written["metadata"].get("labels", {})}
    assert {name for name in "al" if name in now} == set(allowed)


async def test_events_are_selected_by_the_names_of_their_group(send):
    event = {
        "metadata": {"name": "e"},
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "reportingController": "me",
        "reportingInstance": "i",
        "action": "did",
        "reason": "so",
        "type": "Normal",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
    }
    new, old = "/apis/events.k8s.io/v1/namespaces/default/events", "/api/v1/namespaces/default/events"
    assert (await send("POST", new, event))[0] == 201

    async def found(path, selector):
        code, tree = await send("GET", path, fieldSelector=selector)
        return len(tree["items"]) if code == 200 else tree["message"]

    assert [await found(new, f"reportingController={name}") for name in ("me", "you")] == [1, 0]
    assert await found(new, "regarding.name=p,reason=so") == 1
    assert await found(new, "reportingComponent=me") == "field label not supported: reportingComponent"
    assert await found(old, "reportingComponent=me,involvedObject.name=p") == 1
    assert await found(old, "reportingController=me") == "field label not supported: reportingController"
