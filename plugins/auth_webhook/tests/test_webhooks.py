"""A real service behind TLS that answers reviews, well or badly."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bareboat.auth.host import AuthHost
from bareboat.base.clock import SystemClock
from bareboat.base.ids import SeededIds
from bareboat.client import kubeconfig
from bareboat.cluster.pki.authority import Authority
from bareboat.contracts.auth import Attributes, Credentials, InvalidCredential, Required, UserInfo
from bareboat_auth_webhook.plugin import bareboat_authenticators, bareboat_authorizers

AUDIENCE = "https://cluster"
ANN = {"username": "ann", "uid": "1", "groups": ["dev"], "extra": {"example.com/team": ["a"]}}


class Service:
    """``answer`` is a status, or a function from the review to bytes."""

    def __init__(self, directory):
        self.ca = Authority(directory, SystemClock())
        self.serving_pair = self.ca.serving("hook", "hook", ["127.0.0.1"])
        self.client_pair = self.ca.client("us", "kube-apiserver")
        self.reviews, self.peers = [], []
        self.answer = {}
        self.delay = 0.0
        self.kubeconfig = directory / "kubeconfig"
        self.host = AuthHost(None, SystemClock(), SeededIds(1), (AUDIENCE,))

    @asynccontextmanager
    async def serving(self):
        app = web.Application()
        app.add_routes([web.post("/review", self._review)])
        runner = web.AppRunner(app)
        await runner.setup()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.serving_pair.certificate, self.serving_pair.key)
        tls.load_verify_locations(self.ca.pair.certificate)
        tls.verify_mode = ssl.CERT_REQUIRED
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        url = f"https://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/review"
        pair = self.client_pair
        kubeconfig.write(self.kubeconfig, server=url, ca=self.ca.certificate_pem, certificate=pair.certificate_pem, key=pair.key_pem)
        yield self
        await self.host.close()
        await runner.cleanup()

    async def _review(self, request):
        review = await request.json()
        self.reviews.append(review)
        self.peers.append(request.transport.get_extra_info("peercert")["subject"])
        await asyncio.sleep(self.delay)
        if callable(self.answer):
            return web.Response(body=self.answer(review), content_type="application/json")
        return web.json_response({**review, "status": self.answer})

    def authenticator(self, **options):
        [found] = bareboat_authenticators(self.host, {"authenticators": [{"kubeConfigFile": str(self.kubeconfig), **options}]})
        return found

    def authorizer(self, **options):
        [found] = bareboat_authorizers(self.host, {"authorizers": [{"kubeConfigFile": str(self.kubeconfig), **options}]})
        return found


@pytest.fixture
async def service(tmp_path):
    async with Service(tmp_path).serving() as found:
        yield found


def token(text="t", *audiences):
    return Credentials(token=text, audiences=audiences)


async def test_a_token_that_the_service_knows(service):
    service.answer = {"authenticated": True, "user": ANN}
    found = await service.authenticator().authenticate(token())
    assert found.user == UserInfo(name="ann", uid="1", groups=("dev",), extra={"example.com/team": ("a",)})
    assert found.audiences == (AUDIENCE,)
    assert service.reviews[0]["spec"] == {"token": "t", "audiences": [AUDIENCE]}
    assert service.peers == [((("commonName", "kube-apiserver"),),)], "the service knows who asks"


async def test_a_token_that_it_does_not_know(service):
    service.answer = {"authenticated": False, "error": "who?"}
    assert await service.authenticator().authenticate(token()) is None
    service.answer = {"authenticated": True, "user": {"username": ""}}
    assert await service.authenticator().authenticate(token()) is None


async def test_audiences_of_the_answer(service):
    service.answer = {"authenticated": True, "user": ANN, "audiences": ["vault"]}
    hook = service.authenticator()
    assert (await hook.authenticate(token("t", "vault", "x"))).audiences == ("vault",)
    assert (await hook.authenticate(token("t", AUDIENCE))).audiences == ()


async def test_answers_are_remembered_and_asked_for_once(service):
    service.answer, service.delay = {"authenticated": True, "user": ANN}, 0.05
    hook = service.authenticator()
    await asyncio.gather(*(hook.authenticate(token()) for _ in range(20)))
    await hook.authenticate(token())
    assert len(service.reviews) == 1
    await hook.authenticate(token("other"))
    assert len(service.reviews) == 2


async def test_answers_are_forgotten(service):
    service.answer = {"authenticated": True, "user": ANN}
    hook = service.authenticator(authorizedTTL="1ms")
    await hook.authenticate(token())
    await asyncio.sleep(0.01)
    service.answer = {"authenticated": False}
    assert await hook.authenticate(token()) is None


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: b"",
        lambda _: b"{",
        lambda _: b"[" * 100_000,
        lambda _: b'{"apiVersion":"v1","kind":"Pod","status":{"authenticated":true,"user":{"username":"root"}}}',
        lambda _: b'{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":"yes"}}',
        lambda _: b" " * (10 << 20),
    ],
    ids=["nothing", "no JSON", "depth", "another kind", "another type", "10 MB"],
)
async def test_a_service_that_lies_lets_nobody_in(service, answer, caplog):
    service.answer = answer
    with pytest.raises(InvalidCredential):
        await service.authenticator().authenticate(token("very-secret-token"))
    assert "very-secret-token" not in caplog.text


async def test_a_service_that_hangs_lets_nobody_in(service):
    service.delay = 0.4
    with pytest.raises(InvalidCredential):
        await service.authenticator(timeout="50ms").authenticate(token())


async def test_a_failure_is_not_remembered(service):
    service.answer = lambda _: b""
    hook = service.authenticator()
    with pytest.raises(InvalidCredential):
        await hook.authenticate(token())
    service.answer = {"authenticated": True, "user": ANN}
    assert (await hook.authenticate(token())).user.name == "ann"


ASKED = Attributes(
    user=UserInfo(name="ann", groups=("dev",)), verb="list", group="apps", version="v1", resource="deployments", namespace="default",
    fields=(Required("metadata.name", "In", ("a",)),), labels=(Required("app", "Exists"),),
)  # fmt: skip


async def test_what_the_service_is_asked(service):
    service.answer = {"allowed": True, "reason": "because"}
    decision = await service.authorizer().authorize(ASKED)
    assert (decision.verdict, decision.reason) == ("Allow", "because")
    about = {"namespace": "default", "verb": "list", "group": "apps", "version": "v1", "resource": "deployments"}
    about |= {"fieldSelector": {"requirements": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}}
    about |= {"labelSelector": {"requirements": [{"key": "app", "operator": "Exists"}]}}
    assert service.reviews[0]["spec"] == {"user": "ann", "groups": ["dev"], "resourceAttributes": about}
    await service.authorizer().authorize(Attributes(user=UserInfo(name="ann"), verb="get", path="/metrics"))
    assert service.reviews[1]["spec"]["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [({"allowed": True}, "Allow"), ({"denied": True}, "Deny"), ({}, "NoOpinion"), ({"allowed": True, "denied": True}, "NoOpinion")],
)
async def test_what_it_says(service, status, verdict):
    service.answer = status
    assert (await service.authorizer().authorize(ASKED)).verdict == verdict


@pytest.mark.parametrize(("policy", "verdict"), [("NoOpinion", "NoOpinion"), ("Deny", "Deny")])
async def test_a_failure_means_what_the_policy_says(service, policy, verdict):
    service.answer = lambda _: b"{"
    assert (await service.authorizer(failurePolicy=policy).authorize(ASKED)).verdict == verdict


async def test_it_is_asked_where_the_conditions_hold(service):
    service.answer = {"allowed": True}
    conditions = [{"expression": "has(request.resourceAttributes)"}, {"expression": "request.resourceAttributes.namespace == 'other'"}]
    hook = service.authorizer(matchConditions=conditions)
    assert (await hook.authorize(ASKED)).verdict == "NoOpinion"
    assert (await hook.authorize(Attributes(user=UserInfo(name="ann"), verb="get", path="/x"))).verdict == "NoOpinion"
    assert service.reviews == []
    other = Attributes(user=UserInfo(name="ann"), verb="get", resource="pods", namespace="other")
    assert (await hook.authorize(other)).verdict == "Allow"


async def test_a_condition_that_fails_is_a_failure(service):
    conditions = [{"expression": "request.nowhere.x == 1"}]
    assert (await service.authorizer(matchConditions=conditions, failurePolicy="Deny").authorize(ASKED)).verdict == "Deny"
    assert (await service.authorizer(matchConditions=conditions).authorize(ASKED)).verdict == "NoOpinion"


async def test_rules_cannot_be_listed(service):
    assert service.authorizer().rules_for(UserInfo(name="ann"), "default") == ([], [], True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kubeConfigFile": "/nowhere"}, "kubeConfigFile"),
        ({"timeout": "31s"}, "at most 30s"),
        ({"timeout": "soon"}, "no duration"),
        ({"failurePolicy": "Allow"}, "failurePolicy"),
        ({"matchConditions": [{"expression": "1 +"}]}, ""),
        ({"matchConditions": [{"expression": "1 + 1"}]}, "must evaluate to bool"),
        ({"ttl": "1s"}, "unknown field"),
    ],
)
async def test_options_are_checked_at_start(service, change, words):
    with pytest.raises(ValueError) as caught:
        service.authorizer(**change)
    assert words in str(caught.value)


async def test_tokens_go_nowhere_without_tls(service):
    text = service.kubeconfig.read_text()
    service.kubeconfig.write_text(text.replace("https://127.0.0.1", "http://192.0.2.1"))
    with pytest.raises(ValueError, match="must be https"):
        service.authenticator()
