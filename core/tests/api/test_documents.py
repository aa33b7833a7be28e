"""Discovery and OpenAPI: what kubectl and client libraries read before anything else."""

import msgspec
import pytest

pytestmark = pytest.mark.virtual_time
MODERN = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@pytest.fixture
def get(kernel):
    async def get(path, accept="application/json"):
        answer = await kernel.client.transport.request("GET", path, accept=accept)
        return answer.status, msgspec.json.decode(answer.body)

    return get


async def test_legacy_discovery_lists_groups_and_resources(get):
    assert (await get("/api"))[1]["versions"] == ["v1"]
    groups = {g["name"] for g in (await get("/apis"))[1]["groups"]}
    assert {"apps", "batch", "rbac.authorization.k8s.io"} <= groups
    names = {r["name"] for r in (await get("/api/v1"))[1]["resources"]}
    assert {"pods", "pods/log", "pods/exec", "namespaces/finalize"} <= names
    assert (await get("/apis/apps"))[1]["preferredVersion"]["version"] == "v1"
    assert (await get("/apis/nothing/v1"))[0] == 404


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("/api/v1", "pods", "xPOwRZ+Yhw8="),
        ("/apis/apps/v1", "deployments", "8aSe+NMegvE="),
        ("/apis/autoscaling/v1", "horizontalpodautoscalers", "qwQve8ut294="),
        ("/apis/autoscaling/v2", "horizontalpodautoscalers", "qwQve8ut294="),
        ("/apis/events.k8s.io/v1", "events", "r2yiGXH7wu8="),
        ("/api/v1", "pods/status", None),
        ("/apis/authentication.k8s.io/v1", "tokenreviews", None),
    ],
)
async def test_discovery_tells_by_a_hash_which_version_objects_are_stored_in(get, path, name, told):
    """The values are upstream's own."""
    (found,) = [r for r in (await get(path))[1]["resources"] if r["name"] == name]
    assert found.get("storageVersionHash") == told


async def test_aggregated_discovery_holds_everything_at_once(get):
    document = (await get("/apis", MODERN))[1]
    apps = next(i for i in document["items"] if i["metadata"].get("name") == "apps")
    deployments = next(r for r in apps["versions"][0]["resources"] if r["resource"] == "deployments")
    assert deployments["shortNames"] == ["deploy"]
    assert {s["subresource"] for s in deployments["subresources"]} == {"scale", "status"}


async def test_every_group_version_has_a_closed_openapi_document(get):
    index = (await get("/openapi/v3"))[1]["paths"]
    assert {"api/v1", "apis/apps/v1"} <= set(index)
    for name in ("api/v1", "apis/apps/v1", "apis/apiextensions.k8s.io/v1"):
        document = (await get(f"/openapi/v3/{name}"))[1]
        schemas = document["components"]["schemas"]
        text = msgspec.json.encode(document).decode()
        references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
        assert references <= set(schemas)
    deployments = (await get("/openapi/v3/apis/apps/v1"))[1]["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    assert "fieldValidation" in {p["name"] for p in deployments["patch"]["parameters"]}
    assert deployments["get"]["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}


async def test_the_old_openapi_document_is_there_too(get):
    document = (await get("/openapi/v2"))[1]
    assert document["swagger"] == "2.0"
    assert "io.k8s.api.core.v1.Pod" in document["definitions"]


async def test_the_old_openapi_document_comes_as_protobuf_too(kernel):
    answer = await kernel.client.transport.request(
        "GET", "/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    )
    assert answer.status == 200
    assert answer.body.startswith(b"\x0a\x032.0\x12")
    assert b"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale" in answer.body


async def test_every_parameter_of_a_path_is_described(kernel):
    answer = await kernel.client.transport.request("GET", "/openapi/v3/apis/apps/v1")
    for path, item in msgspec.json.decode(answer.body)["paths"].items():
        declared = {p["name"] for p in item["parameters"] if p["in"] == "path"}
        assert declared == {part.strip("{}") for part in path.split("/") if part.startswith("{")}
    operations = msgspec.json.decode(answer.body)["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status"]
    assert operations["get"]["operationId"] == "readAppsV1NamespacedDeploymentStatus"
