"""Who asks: files of tokens, bootstrap tokens, certificates, nobody; and the order in which they are asked."""

import asyncio
import base64

import pytest

from bareboat.auth.authenticators import ANONYMOUS, AnonymousAuthenticator, AuthenticatorChain, CertificateAuthenticator
from bareboat.auth.token_file import TokenFileAuthenticator, TokenFileError
from bareboat.base.clock import rfc3339
from bareboat.contracts.auth import Authenticated, Authenticator, Credentials, InvalidCredential, UserInfo
from bareboat.models import core_v1
from bareboat.models.status import Unauthorized

pytestmark = pytest.mark.virtual_time


class Says(Authenticator):
    def __init__(self, answer):
        self.name, self.answer = "says", answer

    async def authenticate(self, credentials):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_nobody_is_anonymous_and_a_bad_token_is_nobody():
    chain = AuthenticatorChain([CertificateAuthenticator(), AnonymousAuthenticator()])
    assert await chain.authenticate(Credentials()) == ANONYMOUS
    with pytest.raises(Unauthorized):
        await chain.authenticate(Credentials(token="x"))
    named = await chain.authenticate(Credentials(token="x", certificate_name="ann", certificate_organizations=("dev",)))
    assert (named.name, named.groups) == ("ann", ("dev", "system:authenticated"))


async def test_anonymous_only_where_it_may_be():
    chain = AuthenticatorChain([AnonymousAuthenticator(["/healthz"])])
    assert await chain.authenticate(Credentials(path="/healthz")) == ANONYMOUS
    for path in ("/api", "/healthz/", "/healthz/../api"):
        with pytest.raises(Unauthorized):
            await chain.authenticate(Credentials(path=path))


async def test_one_that_refuses_does_not_keep_the_next_from_knowing():
    ann = UserInfo(name="ann")
    chain = AuthenticatorChain([Says(InvalidCredential("no")), Says(None), Says(ann)])
    assert (await chain.authenticate(Credentials(token="x"))).name == "ann"
    with pytest.raises(Unauthorized):
        await AuthenticatorChain([Says(InvalidCredential("no")), Says(None)]).authenticate(Credentials(token="x"))


async def test_audiences_of_those_that_know_none_are_the_servers():
    chain = AuthenticatorChain([Says(UserInfo(name="ann"))], ("api",))
    assert (await chain.identify(Credentials(token="x"))).audiences == ("api",)
    with pytest.raises(Unauthorized):
        await chain.identify(Credentials(token="x", audiences=("vault",)))
    knows = AuthenticatorChain([Says(Authenticated(user=UserInfo(name="ann"), audiences=()))], ("api",))
    with pytest.raises(Unauthorized):
        await knows.identify(Credentials(token="x"))


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


async def test_tokens_of_a_file(tmp_path):
    path = write(tmp_path / "t.csv", '# comment\nsecret-a,ann,1,"dev,ops"\nsecret-b, bob, 2\n')
    users = TokenFileAuthenticator.read(path)
    assert await users.authenticate(Credentials(token="secret-a")) == UserInfo(name="ann", uid="1", groups=("dev", "ops"))
    assert (await users.authenticate(Credentials(token="secret-b"))).name == "bob"
    for token in ("", "secret", "secret-a ", "SECRET-A", "# comment"):
        assert await users.authenticate(Credentials(token=token)) is None
    assert "secret" not in repr(vars(users)), "only hashes are kept"


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("secret-a,ann,1\n", 0o644, "chmod 600"),
        ("secret-a,ann,1\n", 0o640, "chmod 600"),
        ("secret-a,ann\n", 0o600, ":1: 2 columns"),
        ("x,ann,1\n,bob,2\n", 0o600, ":2: the token is empty"),
        ("secret-a,,2\n", 0o600, ":1: the user is empty"),
        ("secret-a,ann,1\nsecret-a,bob,2\n", 0o600, ":2: the token of 'bob' is also that of 'ann'"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, text, mode, words):
    with pytest.raises(TokenFileError) as caught:
        TokenFileAuthenticator.read(write(tmp_path / "t.csv", text, mode))
    assert words in str(caught.value)
    assert "secret-a" not in str(caught.value)


BOOTSTRAP = "abcdef.0123456789abcdef"


async def bootstrap(world, **change):
    data = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true", **change}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in data.items() if value is not None}
    metadata = {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    return await world.put(core_v1.Secret, metadata=metadata, type="bootstrap.kubernetes.io/token", data=data)


async def test_a_bootstrap_token(world):
    await bootstrap(world, **{"auth-extra-groups": "system:bootstrappers:a,system:bootstrappers:b:c"})
    user = await world.who(BOOTSTRAP)
    assert user.name == "system:bootstrap:abcdef"
    assert user.groups == ("system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b:c", "system:authenticated")
    await world.refused("abcdef.0123456789abcdee")
    await world.refused("abcdeg.0123456789abcdef")
    await world.client.delete(core_v1.Secret, "bootstrap-token-abcdef", "kube-system")
    await world.refused(BOOTSTRAP)


async def test_a_bootstrap_token_ends(world):
    from datetime import timedelta

    await bootstrap(world, expiration=rfc3339(world.kernel.clock.now() + timedelta(seconds=60)))
    assert await world.who(BOOTSTRAP)
    await asyncio.sleep(61)
    await world.refused(BOOTSTRAP)


@pytest.mark.parametrize(
    "change",
    [
        {"usage-bootstrap-authentication": "false"},
        {"usage-bootstrap-authentication": None},
        {"token-id": "aaaaaa"},
        {"token-secret": ""},
        {"expiration": "tomorrow"},
        {"auth-extra-groups": "system:masters"},
        {"auth-extra-groups": "system:bootstrappers:a,system:nodes"},
        {"auth-extra-groups": "system:bootstrappers:"},
        {"auth-extra-groups": "system:bootstrappers:a\n"},
    ],
    ids=str,
)
async def test_a_bootstrap_token_that_gives_nothing(world, change):
    await bootstrap(world, **change)
    await world.refused(BOOTSTRAP)


async def test_a_secret_of_another_type_is_no_bootstrap_token(world):
    data = {
        "token-id": "YWJjZGVm",
        "token-secret": base64.b64encode(b"0123456789abcdef").decode(),
        "usage-bootstrap-authentication": "dHJ1ZQ==",
    }
    await world.put(core_v1.Secret, metadata={"name": "bootstrap-token-abcdef", "namespace": "kube-system"}, data=data)
    await world.refused(BOOTSTRAP)
