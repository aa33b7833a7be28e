"""What a proxied server gets of a request, and what the client gets of its answer."""

import pytest
from aiohttp import web

from bareboat.api.request import ApiRequest
from bareboat.base.clock import SystemClock
from bareboat.base.ids import SeededIds
from bareboat.cluster.pki.authority import Authority
from bareboat.contracts.auth import UserInfo
from bareboat.server.agents import Agents
from bareboat.server.proxy import Proxy

PATH = "/api/v1/namespaces/proxy-a/pods/p/proxy"


@pytest.fixture
async def fetch(tmp_path):
    """Asks a server that tells the headers it got in those of its answer."""

    async def answer(request):
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/there?x=1"})
        if request.path == "/page":
            return web.Response(text='<a href="/there">x</a>', content_type="text/html", headers={"Access-Control-Allow-Origin": "*"})
        return web.json_response({name.lower(): value for name, value in request.headers.items()})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    pki = Authority(tmp_path, SystemClock())
    client = pki.client("us", "kube-apiserver-kubelet-client")
    agents = Agents(None, client.certificate, client.key, pki.pair.certificate)
    proxy = Proxy(None, agents, SeededIds(1))

    async def fetch(path, method="GET", body=b"", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = ApiRequest(UserInfo(name="u"), method, PATH + path, body=body, headers=named)
        found = await proxy._fetch(request, f"http://127.0.0.1:{port}{path}", PATH)
        found.body = b"".join([chunk async for chunk in found.stream])
        return found

    yield fetch
    await agents.close()
    await runner.cleanup()


async def test_nothing_is_said_for_a_client_that_it_did_not_say(fetch):
    silent = (await fetch("/", "POST", b"{}")).body
    assert not {name for name in (b"content-type", b"user-agent") if name in silent}
    spoken = (await fetch("/", "POST", b"{}", content_type="a/b", user_agent="me", accept="c/d")).body
    assert b'"content-type": "a/b"' in spoken
    assert b'"user-agent": "me"' in spoken
    assert b'"accept": "c/d"' in spoken


async def test_links_and_redirects_lead_through_the_proxy(fetch):
    page = await fetch("/page")
    assert page.body == f'<a href="{PATH}/there">x</a>'.encode()
    assert "access-control-allow-origin" not in page.headers
    assert (await fetch("/moved")).headers["location"] == f"{PATH}/there?x=1"
