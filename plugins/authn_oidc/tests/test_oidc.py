"""Tokens of an issuer that really serves its keys over TLS: who gets in, who does not, and as whom."""

import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager

import jwt as pyjwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from bareboat.auth.host import AuthHost
from bareboat.base.clock import SystemClock
from bareboat.base.ids import SeededIds
from bareboat.cluster.pki.authority import Authority
from bareboat.contracts.auth import Credentials, InvalidCredential
from bareboat_authn_oidc.plugin import bareboat_authenticators


class Issuer:
    """Serves discovery and keys; signs what it is told to."""

    def __init__(self, directory):
        self.ca = Authority(directory, SystemClock())
        self.pair = self.ca.serving("issuer", "issuer", ["127.0.0.1"])
        self.keys = {"a": rsa.generate_private_key(65537, 2048)}
        self.fetches = 0
        self.url = ""
        self.said = {}

    @asynccontextmanager
    async def serving(self):
        import ssl

        app = web.Application()
        app.add_routes([web.get("/.well-known/openid-configuration", self._discovery), web.get("/keys", self._keys)])
        runner = web.AppRunner(app)
        await runner.setup()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.pair.certificate, self.pair.key)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.url = f"https://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        yield self
        await runner.cleanup()

    async def _discovery(self, _request):
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.said})

    async def _keys(self, _request):
        self.fetches += 1
        return web.json_response({"keys": [self.jwk(kid) for kid in self.keys]})

    def jwk(self, kid):
        key = self.keys[kid].public_key()
        kind = RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else ECAlgorithm
        return {**kind.to_jwk(key, as_dict=True), "kid": kid, "use": "sig"}

    def token(self, kid="a", algorithm="RS256", key=None, headers=None, **claims):
        now = int(SystemClock().now().timestamp())
        tree = {"iss": self.url, "aud": "k8s", "sub": "ann", "iat": now, "exp": now + 600, **claims}
        return pyjwt.encode(
            {k: v for k, v in tree.items() if v is not None},
            key or self.keys[kid],
            algorithm=algorithm,
            headers={"kid": kid, **(headers or {})},
        )

    def options(self, issuer=None, **more):
        issuer = {"url": self.url, "audiences": ["k8s"], "certificateAuthority": self.ca.certificate_pem.decode(), **(issuer or {})}
        return {
            "jwt": [
                {
                    "issuer": issuer,
                    "claimMappings": {"username": {"claim": "sub", "prefix": "o:"}, "groups": {"claim": "groups", "prefix": "o:"}},
                    **more,
                }
            ]
        }

    def authenticator(self, **more):
        [found] = bareboat_authenticators(host(), self.options(**more))
        return found


def host():
    return AuthHost(None, SystemClock(), SeededIds(1), ("https://cluster",))


async def who(authenticator, token):
    return await authenticator.authenticate(Credentials(token=token))


async def refused(authenticator, token):
    with pytest.raises(InvalidCredential) as caught:
        await who(authenticator, token)
    assert token not in str(caught.value)
    return str(caught.value)


@pytest.fixture
async def issuer(tmp_path):
    async with Issuer(tmp_path).serving() as found:
        yield found


async def test_a_user_of_the_issuer(issuer):
    user = await who(issuer.authenticator(), issuer.token(groups=["dev", "ops"]))
    assert (user.name, user.groups, user.uid) == ("o:ann", ("o:dev", "o:ops"), "")
    assert (await who(issuer.authenticator(), issuer.token(groups="dev"))).groups == ("o:dev",)


async def test_a_token_of_nobody_that_is_configured_is_somebody_elses(issuer):
    assert await who(issuer.authenticator(), issuer.token(iss="https://elsewhere")) is None
    assert await who(issuer.authenticator(), "not.a.token") is None
    assert await who(issuer.authenticator(), "") is None


async def test_expired_early_and_for_others(issuer):
    oidc = issuer.authenticator()
    now = int(SystemClock().now().timestamp())
    assert "expired" in await refused(oidc, issuer.token(exp=now - 1))
    assert "not valid yet" in await refused(oidc, issuer.token(nbf=now + 3600))
    assert "InvalidAudience" in await refused(oidc, issuer.token(aud="other"))
    assert "MissingRequiredClaim" in await refused(oidc, issuer.token(exp=None))
    assert "MissingRequiredClaim" in await refused(oidc, issuer.token(aud=None))


async def test_a_signature_by_another_key(issuer):
    assert "no key" in await refused(issuer.authenticator(), issuer.token(key=rsa.generate_private_key(65537, 2048)))


async def test_no_algorithm_and_a_shared_secret(issuer):
    oidc = issuer.authenticator()
    head, body, _ = issuer.token().split(".")

    def part(tree):
        return base64.urlsafe_b64encode(json.dumps(tree).encode()).decode().rstrip("=")

    for algorithm in ("none", "None", "NONE", ""):
        await refused(oidc, f"{part({'alg': algorithm, 'kid': 'a'})}.{body}.")
    public = issuer.keys["a"].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = part({"alg": "HS256", "kid": "a", "typ": "JWT"})
    mac = base64.urlsafe_b64encode(hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest()).decode().rstrip("=")
    assert "not signed in a way" in await refused(oidc, f"{head}.{body}.{mac}")


async def test_key_ids_are_only_looked_up(issuer):
    oidc = issuer.authenticator()
    own = rsa.generate_private_key(65537, 2048)
    await refused(oidc, issuer.token(key=own, headers={"jwk": RSAAlgorithm.to_jwk(own.public_key(), as_dict=True)}))
    await refused(oidc, issuer.token(key=own, headers={"jku": "https://attacker.example/keys"}))
    for kid in ("../../etc/passwd", "'; drop table keys", "https://attacker.example"):
        await refused(oidc, issuer.token(key=own, headers={"kid": kid}))
    assert issuer.fetches <= 2, "unknown key ids must not make it ask the issuer again and again"


async def test_only_allowed_algorithms(issuer):
    issuer.keys["e"] = ec.generate_private_key(ec.SECP256R1())
    assert (await who(issuer.authenticator(), issuer.token(kid="e", algorithm="ES256"))).name == "o:ann"
    oidc = issuer.authenticator(issuer={"signingAlgorithms": ["RS256"]})
    assert "not signed in a way" in await refused(oidc, issuer.token(kid="e", algorithm="ES256"))
    assert "not signed in a way" in await refused(oidc, issuer.token(algorithm="RS512"))


async def test_rotated_keys_are_found(issuer, monkeypatch):
    monkeypatch.setattr("bareboat_authn_oidc.keys.PAUSE", 0.0)
    oidc = issuer.authenticator()
    assert await who(oidc, issuer.token())
    old = issuer.token()
    issuer.keys = {"b": rsa.generate_private_key(65537, 2048)}
    assert (await who(oidc, issuer.token(kid="b"))).name == "o:ann"
    await refused(oidc, old)


async def test_a_discovery_that_speaks_for_another(issuer):
    issuer.said = {"issuer": "https://other"}
    assert "speaks for" in await refused(issuer.authenticator(), issuer.token())


async def test_keys_only_over_https(issuer):
    issuer.said = {"jwks_uri": "http://127.0.0.1:1/keys"}
    assert "not https" in await refused(issuer.authenticator(), issuer.token())


async def test_an_issuer_that_nobody_vouches_for(issuer, tmp_path):
    other = Authority(tmp_path / "other", SystemClock()).certificate_pem.decode()
    assert "cannot be fetched" in await refused(issuer.authenticator(issuer={"certificateAuthority": other}), issuer.token())


async def test_mapping_by_expressions(issuer):
    mappings = {
        "username": {"expression": "'x:' + claims.email"},
        "groups": {"expression": "claims.roles.filter(r, r != 'secret')"},
        "uid": {"expression": "claims.sub"},
        "extra": [{"key": "example.com/team", "valueExpression": "claims.team"}],
    }
    rules = [{"expression": "claims.email_verified == true", "message": "verify it"}, {"claim": "hd", "requiredValue": "example.com"}]
    user_rules = [{"expression": "!user.username.startsWith('x:root')", "message": "not root"}]
    oidc = issuer.authenticator(claimMappings=mappings, claimValidationRules=rules, userValidationRules=user_rules)
    claims = {"email": "ann@x", "email_verified": True, "roles": ["dev", "secret"], "team": ["a", "b"], "hd": "example.com"}
    user = await who(oidc, issuer.token(**claims))
    assert (user.name, user.groups, user.uid, user.extra) == ("x:ann@x", ("dev",), "ann", {"example.com/team": ("a", "b")})
    assert await refused(oidc, issuer.token(**{**claims, "email_verified": False})) == "verify it"
    assert "required value" in await refused(oidc, issuer.token(**{**claims, "hd": "evil.example"}))
    assert await refused(oidc, issuer.token(**{**claims, "email": "root@x"})) == "not root"
    assert "failed" in await refused(oidc, issuer.token(**{k: v for k, v in claims.items() if k != "email"}))


async def test_an_unverified_address_is_no_name(issuer):
    oidc = issuer.authenticator(claimMappings={"username": {"claim": "email", "prefix": ""}})
    assert (await who(oidc, issuer.token(email="a@x"))).name == "a@x"
    assert "not verified" in await refused(oidc, issuer.token(email="a@x", email_verified=False))
    assert "not verified" in await refused(oidc, issuer.token(email="a@x", email_verified="true"))


BASE = {"issuer": {"url": "https://i.example", "audiences": ["a"]}, "claimMappings": {"username": {"claim": "sub", "prefix": ""}}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"issuer": {"url": "http://i.example", "audiences": ["a"]}}, "must be an https URL"),
        ({"issuer": {"url": "https://cluster", "audiences": ["a"]}}, "the cluster's own issuer"),
        ({"issuer": {"url": "https://i.example", "audiences": []}}, "at least one is needed"),
        ({"issuer": {"url": "https://i.example", "audiences": ["a", "b"]}}, "MatchAny"),
        ({"issuer": {"url": "https://i.example", "audiences": ["a"], "signingAlgorithms": ["HS256"]}}, "HS256"),
        ({"issuer": {"url": "https://i.example", "audiences": ["a"], "x": 1}}, "unknown field"),
        ({"claimMappings": {"username": {"claim": "sub"}}}, "prefix"),
        ({"claimMappings": {"username": {"claim": "sub", "prefix": "", "expression": "claims.sub"}}}, "either claim or expression"),
        ({"claimMappings": {"username": {"expression": "claims.email"}}}, "email_verified"),
        ({"claimMappings": {"username": {"expression": "claims."}}}, "claimMappings.username.expression"),
        ({"claimMappings": {"username": {"expression": "1 + 1"}}}, "gives int, not string"),
        ({"claimMappings": {**BASE["claimMappings"], "extra": [{"key": "kubernetes.io/x", "valueExpression": "claims.x"}]}}, "reserved"),
        ({"claimMappings": {**BASE["claimMappings"], "extra": [{"key": "Team", "valueExpression": "claims.x"}]}}, "lower-case path"),
        ({"claimValidationRules": [{"claim": "a", "expression": "true"}]}, "either claim or expression"),
    ],
)  # fmt: skip
def test_options_are_checked_at_start(change, words):
    with pytest.raises(ValueError) as caught:
        bareboat_authenticators(host(), {"jwt": [{**BASE, **change}]})
    assert words in str(caught.value)


def test_two_issuers_must_differ():
    with pytest.raises(ValueError, match="two issuers with url"):
        bareboat_authenticators(host(), {"jwt": [BASE, BASE]})
