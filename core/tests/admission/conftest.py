"""A kernel with its own admission plugins, and a real HTTPS server that answers reviews as a test tells it to."""

import asyncio
import base64
import datetime
import ipaddress
import json
import ssl

import pytest
from aiohttp import web

from bareboat.admission.builtin import builtin
from bareboat.api.request import ApiRequest
from bareboat.models.codec import from_tree
from bareboat.models.status import ApiError
from bareboat.testing.kernel import ADMIN, Kernel


def certificates(names):
    """(CA in PEM, certificate in PEM, key in PEM) of a server with these names."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [x509.DNSName(n) if not n[0].isdigit() else x509.IPAddress(ipaddress.ip_address(n)) for n in names]
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, secret


class Hook:
    """``answers`` by path: a function of the review's request that gives the response, or raw bytes, or a coroutine of either."""

    def __init__(self):
        self.answers = {}
        self.asked = []

    async def start(self, folder):
        pem, key = certificates(["127.0.0.1", "hook.default.svc"])
        (folder / "tls.pem").write_bytes(pem + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.pem")
        self.ca = base64.b64encode(pem).decode()
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/{path}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def stop(self):
        await self._runner.cleanup()

    async def _answer(self, request):
        review = await request.json()
        path = request.match_info["path"]
        self.asked.append((path, review["request"]))
        found = self.answers[path](review["request"])
        if hasattr(found, "__await__"):
            found = await found
        if isinstance(found, bytes):
            return web.Response(body=found, content_type="application/json")
        if isinstance(found, web.Response):
            return found
        response = {"uid": review["request"]["uid"], **found}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    def client(self, path):
        return {"url": f"https://127.0.0.1:{self.port}/{path}", "caBundle": self.ca}


class World:
    def __init__(self):
        self.kernel = Kernel(admission=builtin)
        self.client = self.kernel.client

    async def create(self, cls, tree, **more):
        metadata = {"namespace": "default", **tree.get("metadata", {})}
        if not self.kernel.scheme.by_type(cls).namespaced:
            metadata.pop("namespace")
        return await self.client.create(from_tree(cls, {**tree, "metadata": metadata}), **more)

    async def send(self, method, path, tree=None, content_type="application/json", **query):
        body = json.dumps(tree).encode() if tree is not None else b""
        asked = {k: [v] for k, v in query.items()}
        return await self.kernel.service.handle(ApiRequest(ADMIN, method, path, asked, body, content_type))

    async def established(self, path):
        while "Established" not in str(json.loads((await self.send("GET", path)).body)["status"].get("conditions")):
            await asyncio.sleep(0.01)

    async def refused(self, doing):
        with pytest.raises(ApiError) as caught:
            await doing
        return caught.value


@pytest.fixture
async def world():
    world = World()
    await world.kernel.start()
    yield world
    await world.kernel.stop()


@pytest.fixture
async def hook(tmp_path):
    hook = Hook()
    await hook.start(tmp_path)
    yield hook
    await hook.stop()
