"""APIs that other servers answer: registered, asked for their discovery, and given the requests with the user's identity."""

import asyncio
import base64
import json
import ssl

import pytest
from aiohttp import web

from bareboat.api.request import ApiRequest
from bareboat.base.clock import SystemClock
from bareboat.base.ids import SystemIds
from bareboat.cluster.pki.authority import Authority
from bareboat.contracts.auth import UserInfo
from bareboat.models import apiregistration_v1, core_v1, discovery_v1, meta_v1
from bareboat.models.codec import from_tree
from bareboat.models.meta import get_condition
from bareboat.models.status import ServiceUnavailable
from bareboat.server.agents import Agents
from bareboat.server.aggregation import CONFIG, Aggregator
from bareboat.testing.kernel import Kernel

GROUP = "/apis/things.example.com/v1"
LISTED = [
    {"name": "things", "singularName": "thing", "namespaced": True, "kind": "Thing", "verbs": ["get", "list"], "shortNames": ["th"]},
    {"name": "things/status", "singularName": "", "namespaced": True, "kind": "Thing", "verbs": ["get"]},
]
#: What the server says of its resources instead of the truth; what its watches wait for before they say more.
nonsense, more = {}, asyncio.Event()
ANNA = UserInfo(name="anna", groups=("people", "system:authenticated"))


@pytest.fixture
async def backend(tmp_path):
    """A server of things; it wants to see the front proxy's certificate."""
    pki = Authority(tmp_path, SystemClock())
    pair = pki.serving("things", "things", ["things.ns.svc"])

    async def answer(request):
        if request.path == GROUP and nonsense:
            if nonsense["said"] == "nothing for a minute":
                await asyncio.sleep(60)
            return web.Response(body=b" " * (10 << 20) if "10 MB" in nonsense["said"] else b"no JSON")
        if request.query.get("watch"):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b'{"type":"ADDED"}')
            await more.wait()
            await response.write(b'{"type":"MODIFIED"}')
            return response
        if request.path == GROUP:
            return web.json_response({"kind": "APIResourceList", "groupVersion": "things.example.com/v1", "resources": LISTED})
        who = dict(request.transport.get_extra_info("ssl_object").getpeercert()["subject"][-1])
        shown = {"user": request.headers["x-remote-user"], "groups": request.headers.getall("x-remote-group"), "proxy": who["commonName"]}
        return web.json_response(
            {**shown, "path": request.path_qs, "method": request.method, "body": (await request.read()).decode()}, status=201
        )

    more.clear()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=pki.certificate_pem.decode())
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_REQUIRED
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield runner.addresses[0][1], pki
    await runner.cleanup()


@pytest.fixture
async def world(backend):
    port, pki = backend
    kernel = await Kernel(clock=SystemClock()).start(namespaces=("ns", "kube-system"))
    front = pki.client("front", "front-proxy-client")
    agents = Agents(kernel.reader, front.certificate, front.key, pki.pair.certificate)
    aggregator = Aggregator(kernel.reader, agents, kernel.client, SystemClock(), SystemIds())
    aggregator.identify(front.certificate, front.key)
    kernel.service.remote, kernel.service.documents.remote = aggregator.answer, aggregator.groups
    await kernel.client.create(
        from_tree(core_v1.Service, {"metadata": {"name": "things", "namespace": "ns"}, "spec": {"ports": [{"port": 443}]}})
    )
    piece = {
        "metadata": {"name": "things-1", "namespace": "ns", "labels": {"kubernetes.io/service-name": "things"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"]}],
        "ports": [{"name": "", "port": port}],
    }
    kernel.piece = from_tree(discovery_v1.EndpointSlice, piece)
    kernel.bundle = base64.b64encode(pki.certificate_pem).decode()
    kernel.aggregator = aggregator
    running = asyncio.get_running_loop().create_task(aggregator.run("PEM"))
    yield kernel
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await agents.close()
    await kernel.stop()


async def register(world, *, reachable=True):
    if reachable:
        await world.log.write("discovery.k8s.io/endpointslices/ns/things-1", world_bytes(world), expect=0)
    service = apiregistration_v1.ServiceReference(name="things", namespace="ns")
    spec = apiregistration_v1.APIServiceSpec(
        group="things.example.com", version="v1", service=service, caBundle=world.bundle, groupPriorityMinimum=10, versionPriority=10
    )
    await world.client.create(apiregistration_v1.APIService(metadata=meta_v1.ObjectMeta(name="v1.things.example.com"), spec=spec))


def world_bytes(world):
    from bareboat.models.codec import encode
    from bareboat.store.entry import head

    return b"{" + encode(world.piece)[len(head("EndpointSlice", "discovery.k8s.io/v1")) :]


async def condition(world, reason):
    async with asyncio.timeout(10):
        while True:
            found = await world.client.get(apiregistration_v1.APIService, "v1.things.example.com")
            available = get_condition(found.status.conditions, "Available")
            if available is not None and available.reason == reason:
                return available
            await asyncio.sleep(0.02)


def ask(world, method, path, body=b"", **query):
    request = ApiRequest(ANNA, method, path, {k: [v] for k, v in query.items()}, body, "application/json", "application/json")
    return world.service.handle(request)


async def whole(response):
    return json.loads(b"".join([chunk async for chunk in response.stream]))


async def test_requests_go_to_the_server_with_the_user_s_identity(world):
    await register(world)
    assert (await condition(world, "Passed")).status == "True"
    response = await ask(world, "POST", f"{GROUP}/namespaces/ns/things", b"{}", dryRun="All")
    assert response.status == 201
    assert await whole(response) == {
        "user": "anna",
        "groups": ["people", "system:authenticated"],
        "proxy": "front-proxy-client",
        "path": f"{GROUP}/namespaces/ns/things?dryRun=All",
        "method": "POST",
        "body": "{}",
    }


async def test_its_group_is_discovered_in_both_forms(world):
    await register(world)
    await condition(world, "Passed")
    legacy = json.loads((await ask(world, "GET", "/apis")).body)
    (group,) = [g for g in legacy["groups"] if g["name"] == "things.example.com"]
    assert group["preferredVersion"] == {"groupVersion": "things.example.com/v1", "version": "v1"}
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    modern = json.loads((await world.service.handle(ApiRequest(ANNA, "GET", "/apis", accept=accept))).body)
    (item,) = [i for i in modern["items"] if i["metadata"]["name"] == "things.example.com"]
    (thing,) = item["versions"][0]["resources"]
    assert (thing["resource"], thing["scope"], thing["shortNames"]) == ("things", "Namespaced", ["th"])
    assert [s["subresource"] for s in thing["subresources"]] == ["status"]
    assert (await whole(await ask(world, "GET", GROUP)))["resources"] == LISTED


async def test_a_server_that_cannot_be_reached_is_said_to_be_so(world):
    await register(world, reachable=False)
    missing = await condition(world, "MissingEndpoints")
    assert (missing.status, missing.message) == ("False", 'endpoints for service/things in "ns" have no addresses')
    assert (await ask(world, "GET", f"{GROUP}/things")).status == 503
    with pytest.raises(ServiceUnavailable):
        await world.aggregator.answer(ApiRequest(ANNA, "GET", f"{GROUP}/things"))


async def test_a_service_or_a_port_that_is_not_there_is_told_apart(world):
    service = await world.client.get(core_v1.Service, "things", "ns")
    service.spec.ports[0].port = 8443
    await world.client.update(service)
    await register(world)
    assert (await condition(world, "ServicePortError")).message == 'service/things in "ns" is not listening on port 443'
    await world.client.delete(core_v1.Service, "things", "ns")
    world.aggregator.look()
    assert (await condition(world, "ServiceNotFound")).message == 'service/things in "ns" is not present'


async def test_a_watch_comes_as_it_goes(world, backend):
    await register(world)
    await condition(world, "Passed")
    response = await ask(world, "GET", f"{GROUP}/things", watch="true")
    first = await anext(response.stream)
    assert first == b'{"type":"ADDED"}'
    more.set()
    assert await anext(response.stream) == b'{"type":"MODIFIED"}'
    await response.stream.aclose()


@pytest.mark.parametrize("said", ["a list of 10 MB", "no JSON", "nothing for a minute"])
async def test_a_server_that_talks_nonsense_is_unavailable_and_keeps_nobody_waiting(world, monkeypatch, said):
    monkeypatch.setattr("bareboat.server.aggregation.PATIENCE", 0.3)
    nonsense["said"] = said
    try:
        await register(world)
        found = await condition(world, "FailedDiscoveryCheck")
        async with asyncio.timeout(5):
            while "not been asked" in found.message:
                found = await condition(world, "FailedDiscoveryCheck")
        assert found.message.startswith(f"failing or missing response from {GROUP}: ")
    finally:
        nonsense.clear()


async def test_a_group_goes_with_its_registration(world):
    await register(world)
    await condition(world, "Passed")
    await world.client.delete(apiregistration_v1.APIService, "v1.things.example.com")
    assert (await ask(world, "GET", f"{GROUP}/things")).status == 404


async def test_others_are_told_how_to_recognise_this_server(world):
    async with asyncio.timeout(5):
        while not (found := world.reader.get(core_v1.ConfigMap, CONFIG, "kube-system")):
            await asyncio.sleep(0.02)
    assert found.data["requestheader-client-ca-file"] == "PEM"
    assert json.loads(found.data["requestheader-allowed-names"]) == ["front-proxy-client"]
