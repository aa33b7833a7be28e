"""Lists that are answered at once: the same bytes as the usual way gives, of what there is when they are asked for."""

import pytest

PATH = "/api/v1/namespaces/default/configmaps"
BY_LABEL = f"{PATH}?labelSelector=app%3Dx"


def configmap(name, app="x", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": app}}, "data": data}


@pytest.fixture
async def server(serve):
    found = await serve(known=True)
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        await found.ask("POST", PATH, token="admin", tree=configmap(name, app))
    yield found
    found.writer.transport.abort()


async def repeated(server, path, times=8, headers=()):
    """The answers to so many requests on one connection, and how often somebody was asked who may what for the last one."""
    server.connection = _, server.writer = await server.connect()
    answers = []
    for _ in range(times):
        before = server.rules.asked
        answers.append(await server.ask("GET", path, connection=server.connection, headers=headers))
    return answers, server.rules.asked - before


def names(answer):
    return [item["metadata"]["name"] for item in answer.json["items"]]


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        BY_LABEL,
        f"{BY_LABEL}&limit=2",
        f"{PATH}?labelSelector=app%3Dnone",
        f"{PATH}?limit=500&resourceVersion=0",
        "/api/v1/configmaps?labelSelector=app%3Dx",
        "/api/v1/namespaces",
        "/api/v1/namespaces/empty/pods?fieldSelector=spec.nodeName%3Dn1",
    ],
)
async def test_what_is_asked_again_is_answered_at_once_and_in_the_same_way(server, path):
    answers, asked = await repeated(server, path)
    first, last = answers[0], answers[-1]
    assert (asked, last.status, last.body) == (0, 200, first.body)
    assert first.headers.pop("audit-id") != last.headers.pop("audit-id")
    assert list(last.headers.items()) == list(first.headers.items())


@pytest.mark.parametrize("path", [PATH, BY_LABEL])
async def test_each_answer_is_of_what_there_is(server, path):
    everything = path == PATH

    async def now():
        return (await server.ask("GET", path, connection=server.connection)).json

    answers, _ = await repeated(server, path)
    assert names(answers[-1]) == (["a", "b", "c"] if everything else ["a", "c"])
    await server.ask("POST", PATH, token="admin", tree=configmap("bb"))
    await server.ask("DELETE", f"{PATH}/a", token="admin")
    await server.ask("PUT", f"{PATH}/c", token="admin", tree=configmap("c", "y"))
    changed = await server.ask("PUT", f"{PATH}/b", token="admin", tree=configmap("b", "x", key="new"))
    before, found = server.rules.asked, await now()
    kept = [item for item in found["items"] if everything or item["metadata"]["labels"]["app"] == "x"]
    assert [item["metadata"]["name"] for item in found["items"]] == (["b", "bb", "c"] if everything else ["b", "bb"])
    assert kept == found["items"]
    assert found["items"][0]["data"] == {"key": "new"}
    assert int(found["metadata"]["resourceVersion"]) >= int(changed.json["metadata"]["resourceVersion"])
    assert server.rules.asked == before


async def test_a_right_that_is_withdrawn_is_refused_on_the_next_request(server):
    await repeated(server, BY_LABEL)
    server.rules.allowed, server.rules.changes = "nothing", 1
    assert (await server.ask("GET", BY_LABEL, connection=server.connection)).status == 403


async def test_a_list_and_the_objects_in_it_are_told_apart(server):
    await repeated(server, PATH)
    for _ in range(4):
        found = await server.ask("GET", f"{PATH}/a", connection=server.connection)
        assert found.json["kind"] == "ConfigMap"
        assert names(await server.ask("GET", PATH, connection=server.connection)) == ["a", "b", "c"]
    assert (await server.ask("GET", PATH + "/", connection=server.connection)).json["kind"] == "ConfigMapList"


async def test_it_is_counted_once_like_any_other_request(server):
    await repeated(server, BY_LABEL)
    assert server.kernel.service.requests.counts[("LIST", "", "v1", "configmaps", "", "namespace"), 200] == 8
    for path in (f"{PATH}?limit=1", PATH):
        before = sum(schema.dispatched for schema in server.fairness.schemas)
        await repeated(server, path)
        assert sum(schema.dispatched for schema in server.fairness.schemas) == before + 8


async def test_what_grows_is_no_longer_answered_at_once(server):
    await repeated(server, PATH)
    for name in ("big1", "big2"):
        tree = configmap(name, "x", key="x" * 150_000)
        assert (await server.ask("POST", PATH, token="admin", tree=tree)).status == 201
    before = server.rules.asked
    assert names(await server.ask("GET", PATH, connection=server.connection)) == ["a", "b", "big1", "big2", "c"]
    assert server.rules.asked == before + 1


async def test_who_takes_gzip_gets_a_large_list_compressed(server):
    await server.ask("POST", PATH, token="admin", tree=configmap("big", "x", key="x" * 140_000))
    answers, _ = await repeated(server, BY_LABEL, headers=[("Accept-Encoding", "gzip")])
    assert {a.headers.get("content-encoding") for a in answers} == {"gzip"}


async def test_a_level_that_is_full_makes_lists_wait_like_others(server):
    await repeated(server, BY_LABEL)
    before = server.rules.asked
    refused = []
    for level in server.fairness.levels.values():
        level.take = lambda *wanted, take=level.take: take(*wanted) if refused else refused.append(wanted)
    assert names(await server.ask("GET", BY_LABEL, connection=server.connection)) == ["a", "c"]
    assert server.rules.asked == before + 1


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"{PATH}?limit=2", (), 200),
        (f"{PATH}?labelSelector=app%20in%20(x,y)", (), 200),
        (f"{PATH}?fieldSelector=metadata.name%3Da", (), 200),
        (f"{PATH}?pretty=true", (), 200),
        (f"{PATH}?resourceVersion=1", (), 200),
        (f"{PATH}?labelSelector=a%3D%3D%3Db", (), 400),
        (f"{PATH}?limit=x", (), 400),
        (PATH, [("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")], 200),
    ],
)
async def test_what_is_out_of_the_ordinary_goes_the_usual_way(server, path, headers, status):
    answers, asked = await repeated(server, path, headers=headers)
    assert asked == 1
    assert {(a.status, a.body) for a in answers} == {(status, answers[0].body)}
