"""Calls to webhooks over real TLS: a URL, a Service's endpoint, what is trusted, and how failures read."""

import base64
import ssl

import pytest
from aiohttp import web

from bareboat.base.clock import SystemClock
from bareboat.base.ids import SystemIds
from bareboat.client.webhooks import WebhookCaller, WebhookFailed
from bareboat.cluster.pki.authority import Authority
from bareboat.models import core_v1, discovery_v1
from bareboat.models.codec import from_tree


class Objects:
    """A reader of one Service with one endpoint."""

    def __init__(self, port, ready=True):
        service = {"metadata": {"name": "hook", "namespace": "ns"}, "spec": {"ports": [{"name": "h", "port": 443}]}}
        piece = {
            "metadata": {"name": "hook-x", "namespace": "ns", "labels": {"kubernetes.io/service-name": "hook"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": ready}}],
            "ports": [{"name": "h", "port": port}],
        }
        self.service, self.piece = from_tree(core_v1.Service, service), from_tree(discovery_v1.EndpointSlice, piece)

    def get(self, cls, name, namespace=""):
        return self.service if name == "hook" else None

    def list(self, cls, namespace=None):
        return [self.piece]


@pytest.fixture
async def hook(tmp_path):
    """A server that answers with what it got; its certificate names localhost and the Service."""
    pki = Authority(tmp_path, SystemClock())
    pair = pki.serving("hook", "hook", ["localhost", "hook.ns.svc"])

    async def answer(request):
        if request.path == "/broken":
            return web.Response(status=503)
        return web.Response(body=request.path.encode() + b" " + await request.read())

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    yield port, base64.b64encode(pki.certificate_pem).decode()
    await runner.cleanup()


async def post(objects, client):
    webhooks = WebhookCaller(objects, SystemIds())
    try:
        return await webhooks.post(client, b"review")
    finally:
        await webhooks.close()


def service(port=443, name="hook", path="/convert"):
    return {"service": {"name": name, "namespace": "ns", "port": port, "path": path}}


async def test_a_url_is_called(hook):
    port, bundle = hook
    assert await post(Objects(port), {"url": f"https://localhost:{port}/x?y=1", "caBundle": bundle}) == b"/x review"


async def test_a_service_is_reached_through_its_endpoints(hook):
    port, bundle = hook
    assert await post(Objects(port), service() | {"caBundle": bundle}) == b"/convert review"


@pytest.mark.parametrize(
    ("client", "ready", "said"),
    [
        (service(name="other"), True, 'service "other" not found'),
        (service(port=80), True, 'no service port 80 found for service "hook"'),
        (service(), False, 'no endpoints available for service "hook"'),
        (service(path="broken"), True, "status 503"),
        ({"url": "https://localhost:1/x"}, True, 'Post "https://localhost:1/x.timeout=30s": '),
    ],
)
async def test_a_failure_says_what_went_wrong(hook, client, ready, said):
    port, bundle = hook
    with pytest.raises(WebhookFailed, match=said):
        await post(Objects(port, ready), {**client, "caBundle": bundle})


async def test_a_certificate_that_nobody_vouches_for_is_refused(hook):
    port, _ = hook
    with pytest.raises(WebhookFailed, match="certificate verify failed"):
        await post(Objects(port), service())


async def test_a_bundle_without_certificates_is_told(hook):
    port, _ = hook
    with pytest.raises(WebhookFailed, match="unable to load root certificates"):
        await post(Objects(port), service() | {"caBundle": base64.b64encode(b"nothing").decode()})
