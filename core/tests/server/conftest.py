"""A real server on a real port: TLS, tokens that say who asks, the gate, the deadlines. Requests are bytes or simple calls."""

import asyncio
import ssl
import time
from types import SimpleNamespace

import msgspec
import pytest

from bareboat.auth.authenticators import AuthenticatorChain
from bareboat.auth.authority import Authority as RulesAuthority
from bareboat.base.clock import SystemClock
from bareboat.base.tasks import Tasks
from bareboat.cluster.pki.authority import Authority
from bareboat.contracts.auth import ALLOW, NO_OPINION, Authenticated, Authenticator, Authorizer, UserInfo
from bareboat.server.app import App
from bareboat.server.audit.auditor import AuditIds, Auditor
from bareboat.server.audit.logfile import LogBackend, LogOptions
from bareboat.server.deadlines import Deadlines
from bareboat.server.edge import Edge, Streams
from bareboat.server.fairness.gate import Fairness
from bareboat.server.fairness.width import Widths
from bareboat.server.health import Health
from bareboat.server.limits import Limits
from bareboat.server.listening import Listener
from bareboat.server.proxy import Proxy
from bareboat.server.shell import Shell
from bareboat.testing.kernel import Kernel

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
POST = f"POST {CONFIGMAPS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer tenant-a\r\nContent-Type: application/json\r\n"


class Tokens(Authenticator):
    """The token is the name; one that begins with "tenant" is a service account, "admin" may do everything."""

    name = "tokens"

    async def authenticate(self, credentials):
        if credentials.token == "admin":
            return UserInfo(name="admin", groups=("system:masters",))
        if credentials.token.startswith("tenant"):
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{credentials.token}")
            return UserInfo(name=f"system:serviceaccount:{credentials.token}:default", groups=groups)
        return UserInfo(name=credentials.token)


class Steady(Authenticator):
    """The token is the name. Its answers may be used again, until ``revoked`` or ``until``."""

    name = "steady"

    def __init__(self):
        self.revoked = False
        self.until = time.time() + 60
        self.asked = 0

    def steady(self, credentials):
        return True

    async def authenticate(self, credentials):
        self.asked += 1
        if self.revoked:
            return None
        user = UserInfo(name=credentials.token, groups=("system:masters",) if credentials.token == "admin" else ())
        return Authenticated(user=user, until=self.until, relies=(lambda: not self.revoked,))


class Names(Authorizer):
    """Everybody may get what ``allowed`` says: everything, nothing, or one name."""

    name = "names"

    def __init__(self, allowed):
        self.allowed, self.changes, self.asked = allowed, 0, 0

    async def authorize(self, attributes):
        self.asked += 1
        return ALLOW if self.allowed == "everything" or (attributes.name and attributes.name == self.allowed) else NO_OPINION

    def stamp(self, user):
        return self.changes


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    pki = Authority(tmp_path_factory.mktemp("pki"), SystemClock())
    return pki.pair.certificate, pki.serving("server", "kube-apiserver", ["localhost", "127.0.0.1"])


class Answer(SimpleNamespace):
    """``status``, ``headers`` in lower case, ``body``."""

    @property
    def json(self):
        return msgspec.json.decode(self.body)


class Server:
    """``kernel`` behind a listener. Options: seats, patience, timeout, limits, admission."""

    def __init__(self, certificates, **options):
        self.options = options
        self.ca, self.pair = certificates
        self.kernel = Kernel(clock=SystemClock(), admission=options.get("admission", ()), authority=options.get("authority"))
        self.tasks = Tasks()
        self.context = ssl.create_default_context(cafile=str(self.ca))

    async def start(self):
        kernel = await self.kernel.start()
        options = self.options
        widths = Widths(kernel.service)
        self.fairness = Fairness(kernel.reader, widths, kernel.clock, total=options.get("seats", 600), patience=options.get("patience", 15))
        self.streams = Streams()
        ids = AuditIds(kernel.ids)
        self.edge = Edge(self.fairness, Deadlines(kernel.clock, options.get("timeout", 60)), self.streams, kernel.clock, ids)
        if "policy" in options:
            backends = [LogBackend(LogOptions(path=str(options["log"])), kernel.clock)]
            self.edge.auditor = kernel.service.recorder = Auditor(options["policy"], backends, kernel.clock, ids)
            for backend in backends:
                self.tasks.spawn(backend.run())
        self.tasks.spawn(self.edge.deadlines.run())
        self.health = Health()
        shell = Shell(dict, "issuer", lambda: b"", list)
        Proxy(kernel.reader, options.get("agents"), kernel.ids).register(kernel.service)
        app = App(
            kernel.service,
            AuthenticatorChain([options.get("authenticator", Tokens())]),
            kernel.authority,
            self.health,
            None,
            shell,
            self.edge,
        )
        files = {"certificate": self.pair.certificate, "key": self.pair.key, "client_ca": self.ca}
        self.listener = Listener(app, **files, limits=options.get("limits", Limits()), immediate=app.immediate)
        self.port = await self.listener.start("127.0.0.1", 0)
        return self

    async def stop(self):
        self.listener.close()
        await self.streams.close()
        await self.listener.stop()
        await self.tasks.cancel()
        await self.kernel.stop()

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, server_hostname="localhost")

    async def raw(self, data, seconds=10):
        """Everything that comes back until the connection ends, or until nothing has come for a while."""
        reader, writer = await self.connect()
        try:
            writer.write(data)
            async with asyncio.timeout(seconds):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()

    next_answer = staticmethod(lambda reader: answer(reader))

    async def ask(self, method, path, token="tenant-a", tree=None, body=None, headers=(), connection=None, media="application/json"):
        """One request. Without ``connection`` on one of its own."""
        reader, writer = connection or await self.connect()
        try:
            data = body if body is not None else msgspec.json.encode(tree) if tree is not None else b""
            lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"]
            lines += [f"Content-Length: {len(data)}", f"Content-Type: {media}"] if data else []
            lines += [f"{k}: {v}" for k, v in headers]
            writer.write("\r\n".join([*lines, "", ""]).encode() + data)
            return await answer(reader)
        finally:
            if connection is None:
                writer.transport.abort()


async def answer(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = b""
    return Answer(status=int(head[0].split()[1]), headers=headers, body=body)


@pytest.fixture
async def serve(certificates):
    """Starts a server with the options that the test wants."""
    servers = []

    async def start(known=False, **options):
        """``known``: whom ``Steady`` knows, who may do what ``Names`` says."""
        who, rules = Steady(), Names("everything")
        if known:
            options |= {"authenticator": who, "authority": lambda _: RulesAuthority([rules])}
        server = await Server(certificates, **options).start()
        server.who, server.rules = who, rules
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def server(serve):
    return await serve()


async def fine(server):
    """Somebody else is served as ever, and soon."""
    began = time.perf_counter()
    assert (await server.ask("GET", CONFIGMAPS, "tenant-b")).status == 200
    assert time.perf_counter() - began < 2
