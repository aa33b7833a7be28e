"""Tokens of service accounts: what they are good for, and every way in which they are not."""

import asyncio
import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bareboat.auth.tokens import ISSUER, Keys
from bareboat.cluster.pki.authority import key_pem
from bareboat.models import core_v1
from bareboat.models.status import BadRequest, Conflict, NotFound

pytestmark = pytest.mark.virtual_time
INFO = "authentication.kubernetes.io"


async def test_a_token_is_its_account_and_what_it_is_bound_to(world):
    account = await world.account()
    node = await world.put(core_v1.Node, metadata={"name": "n1"})
    pod = await world.pod(node="n1")
    user = await world.who(world.token(bound=pod))
    assert (user.name, user.uid) == ("system:serviceaccount:default:bot", account.metadata.uid)
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    extra = {key.removeprefix(f"{INFO}/"): value for key, value in user.extra.items()}
    assert extra.pop("credential-id")[0].startswith("JTI=")
    assert extra == {"pod-name": ("p",), "pod-uid": (pod.metadata.uid,), "node-name": ("n1",), "node-uid": (node.metadata.uid,)}


async def test_a_token_ends(world):
    await world.account()
    token = world.token(seconds=600)
    await asyncio.sleep(590)
    assert await world.who(token)
    await asyncio.sleep(11)
    await world.refused(token)


async def test_a_token_ends_with_its_pod(world):
    await world.account()
    token = world.token(bound=await world.pod())
    assert await world.who(token)
    await world.client.delete(core_v1.Pod, "p", "default", grace_seconds=0)
    await world.refused(token)
    await world.pod()
    await world.refused(token)


async def test_a_token_ends_with_its_secret(world):
    await world.account()
    secret = await world.put(core_v1.Secret, metadata={"name": "s", "namespace": "default"})
    token = world.token(bound=secret)
    assert await world.who(token)
    await world.client.delete(core_v1.Secret, "s", "default")
    await world.refused(token)


async def test_a_token_ends_with_its_node(world):
    await world.account()
    token = world.token(bound=await world.put(core_v1.Node, metadata={"name": "n1"}))
    assert await world.who(token)
    await world.client.delete(core_v1.Node, "n1")
    await world.refused(token)


async def test_a_token_ends_with_its_account_and_does_not_come_back(world):
    await world.account()
    token = world.token()
    assert await world.who(token)
    await world.client.delete(core_v1.ServiceAccount, "bot", "default")
    await world.refused(token)
    await world.account()
    await world.refused(token)


async def test_a_pod_that_is_long_gone_but_held_by_a_finalizer(world):
    await world.account()
    spec = {"containers": [{"name": "c", "image": "x"}], "serviceAccountName": "bot"}
    pod = await world.put(core_v1.Pod, metadata={"name": "p", "namespace": "default", "finalizers": ["example.com/hold"]}, spec=spec)
    token = world.token(bound=pod)
    await world.client.delete(core_v1.Pod, "p", "default", grace_seconds=0)
    assert await world.who(token)
    await asyncio.sleep(62)
    await world.refused(token)


async def test_a_token_for_another_audience(world):
    await world.account()
    token = world.token(audiences=["vault"])
    await world.refused(token)
    assert await world.who(token, "vault", "other")


async def test_a_forged_signature(world):
    await world.account()
    head, body, signature = world.token().split(".")
    await world.refused(f"{head}.{body}.{signature[:-4]}AAAA")
    claims = jwt.decode(world.token(), options={"verify_signature": False})
    other = ec.generate_private_key(ec.SECP256R1())
    await world.refused(jwt.encode(claims, other, algorithm="ES256", headers={"kid": world.keys.key_id}))
    claims["sub"] = "system:serviceaccount:kube-system:admin"
    await world.refused(f"{head}.{part(claims)}.{signature}")


def part(tree):
    return base64.urlsafe_b64encode(json.dumps(tree).encode()).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", None, 7])
async def test_no_algorithm(world, algorithm):
    await world.account()
    _, body, _ = world.token().split(".")
    await world.refused(f"{part({'alg': algorithm, 'kid': world.keys.key_id})}.{body}.")


async def test_the_public_key_as_a_shared_secret(world):
    await world.account()
    _, body, _ = world.token().split(".")
    public = world.key.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(world.keys.jwks()["keys"][0]).encode(),
    ):
        for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
            head = part({"alg": algorithm, "kid": world.keys.key_id})
            mac = base64.urlsafe_b64encode(hmac.new(secret, f"{head}.{body}".encode(), digest).digest()).decode().rstrip("=")
            await world.refused(f"{head}.{body}.{mac}")


async def test_tricks_with_the_key_id(world):
    await world.account()
    claims = jwt.decode(world.token(), options={"verify_signature": False})
    own = ec.generate_private_key(ec.SECP256R1())
    from jwt.algorithms import ECAlgorithm

    shown = ECAlgorithm.to_jwk(own.public_key(), as_dict=True)
    for headers in ({"kid": "../../../dev/null"}, {"kid": ""}, {"kid": "x' or '1'='1"}, {"jwk": shown}, {"kid": world.keys.key_id, "jwk": shown},
                    {"jku": "https://attacker.example/keys"}, {"x5u": "https://attacker.example"}):  # fmt: skip
        await world.refused(jwt.encode(claims, own, algorithm="ES256", headers=headers))


async def test_claims_that_do_not_go_together(world):
    """Signed by the cluster's own key, as if by a bug: still nobody's."""
    account = await world.account()
    good = jwt.decode(world.token(), options={"verify_signature": False})
    for change in (
        {"sub": "system:serviceaccount:kube-system:bot"},
        {"sub": "admin"},
        {"iss": "https://elsewhere"},
        {"exp": None},
        {"aud": None},
        {"kubernetes.io": None},
        {"kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "bot"}}},
        {"kubernetes.io": {"namespace": "kube-system", "serviceaccount": {"name": "bot", "uid": account.metadata.uid}}},
    ):
        await world.refused(world.keys.sign({key: value for key, value in {**good, **change}.items() if value is not None}))


async def test_a_token_not_valid_yet(world):
    await world.account()
    good = jwt.decode(world.token(), options={"verify_signature": False})
    await world.refused(world.keys.sign({**good, "nbf": good["nbf"] + 600, "exp": good["exp"] + 600}))


@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "." * 2, "eyJhbGciOiJFUzI1NiJ9..", "é.ö.ü", "a" * 100_000, "." * 100_000])
async def test_what_is_no_token_is_not_anonymous(world, token):
    await world.refused(token)


async def test_a_token_of_another_account_than_the_pods(world):
    await world.account()
    await world.account("strong")
    pod = await world.pod(account="bot")
    with pytest.raises(BadRequest) as caught:
        world.token("strong", bound=pod)
    assert caught.value.message == 'cannot bind token for serviceaccount "strong" to pod running with different serviceaccount name.'


async def test_a_token_bound_to_what_is_not_there(world):
    await world.account()
    pod = await world.pod()
    pod.metadata.uid = "another"
    with pytest.raises(Conflict):
        world.token(bound=pod)
    pod.metadata.name = "none"
    with pytest.raises(NotFound):
        world.token(bound=pod)


async def test_tokens_of_a_former_key(world):
    await world.account()
    token = world.token()
    old = world.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    fresh = key_pem(rsa.generate_private_key(65537, 2048))
    world.accounts._known.clear()
    world.accounts._keys = Keys(fresh, [old])
    assert await world.who(token)
    assert [key["alg"] for key in world.accounts._keys.jwks()["keys"]] == ["RS256", "ES256"]
    assert not any("d" in key for key in world.accounts._keys.jwks()["keys"])
    world.accounts._known.clear()  # as in a server that starts anew
    world.lasting.clear()
    world.accounts._keys = Keys(fresh)
    await world.refused(token)


async def test_the_token_of_a_secret(world):
    account = await world.account()
    token = world.issuer.legacy(account, "s")
    await world.refused(token)
    data = {"token": base64.b64encode(token.encode()).decode()}
    notes = {"kubernetes.io/service-account.name": "bot"}
    tree = {"metadata": {"name": "s", "namespace": "default", "annotations": notes}, "type": "kubernetes.io/service-account-token"}
    secret = await world.put(core_v1.Secret, **tree, data=data)
    assert (await world.who(token)).name == "system:serviceaccount:default:bot"
    await world.refused(token, "vault")
    secret.data = {"token": base64.b64encode(b"another").decode()}
    secret = await world.client.update(secret)
    await world.refused(token)
    secret.data = data
    secret.metadata.labels = {"kubernetes.io/legacy-token-invalid-since": "2026-01-01"}
    await world.client.update(secret)
    await world.refused(token)
    await world.client.delete(core_v1.Secret, "s", "default")
    await world.refused(token)


async def test_a_refusal_says_why_in_the_log_and_never_the_token(world, caplog):
    caplog.set_level("DEBUG", logger="bareboat")
    await world.account()
    token = world.token(audiences=["vault"])
    bootstrap = "abcdef.0123456789abcdef"
    for secret in (token, token[:-4] + "AAAA", bootstrap):
        await world.refused(secret)
    assert "meant for another audience" in caplog.text
    assert "there is no bootstrap token abcdef" in caplog.text
    for secret in (token, token.split(".")[1], token.split(".")[2], bootstrap, "0123456789abcdef"):
        assert secret not in caplog.text


async def test_reviews_tell_audiences(world):
    await world.account()
    for audiences, expected in (([], [ISSUER]), (["vault"], None), ([ISSUER, "vault"], [ISSUER])):
        spec = {"token": world.token(), "audiences": audiences}
        tree = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": spec}
        status = (await world.client.post("/apis/authentication.k8s.io/v1/tokenreviews", tree))["status"]
        assert status.get("authenticated", False) == (expected is not None)
        assert status.get("audiences") == expected
