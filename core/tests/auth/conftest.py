"""A kernel with the real chain, RBAC and node authorizer in virtual time; tokens made by its issuer."""

import pytest

from bareboat.auth.account_tokens import TokenAuthenticator
from bareboat.auth.authenticators import AnonymousAuthenticator, AuthenticatorChain, CertificateAuthenticator, holds
from bareboat.auth.bootstrap_tokens import BootstrapTokenAuthenticator
from bareboat.auth.tokens import ISSUER, Issuer, Keys
from bareboat.cluster.pki.authority import key_pem
from bareboat.contracts.auth import Credentials
from bareboat.models import authentication_v1, core_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import Unauthorized
from bareboat.server.virtual import Virtual
from bareboat.testing.kernel import Kernel


class World:
    """``token`` makes one, ``who`` says whose it is, ``refused`` that it is nobody's."""

    def __init__(self):
        from cryptography.hazmat.primitives.asymmetric import ec

        self.kernel = Kernel()
        #: the answers so far, which may be used again for as long as they say
        self.lasting = {}
        self.client = self.kernel.client
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.keys = Keys(key_pem(self.key))
        reader, clock = self.kernel.reader, self.kernel.clock
        self.issuer = Issuer(self.keys, reader, clock, self.kernel.ids)
        self.accounts = TokenAuthenticator(self.keys, reader, clock)
        self.chain = AuthenticatorChain(
            [CertificateAuthenticator(), self.accounts, BootstrapTokenAuthenticator(reader, clock), AnonymousAuthenticator()], (ISSUER,)
        )
        Virtual(self.kernel.service, self.chain, self.kernel.authority, self.issuer)

    async def put(self, cls, **tree):
        return await self.client.create(from_tree(cls, tree))

    async def account(self, name="bot"):
        return await self.put(core_v1.ServiceAccount, metadata={"name": name, "namespace": "default"})

    async def pod(self, name="p", account="bot", node=""):
        spec = {"containers": [{"name": "c", "image": "x"}], "serviceAccountName": account, "nodeName": node}
        return await self.put(core_v1.Pod, metadata={"name": name, "namespace": "default"}, spec=spec)

    def request(self, account="bot", *, audiences=(), seconds=3600, bound=None):
        """The answered TokenRequest."""
        reference = None
        if bound is not None:
            kind, meta = type(bound).__name__, bound.metadata
            reference = authentication_v1.BoundObjectReference(kind=kind, apiVersion="v1", name=meta.name, uid=meta.uid)
        spec = authentication_v1.TokenRequestSpec(audiences=list(audiences), expirationSeconds=seconds, boundObjectRef=reference)
        return self.issuer.issue("default", account, authentication_v1.TokenRequest(spec=spec))

    def token(self, account="bot", **more):
        return self.request(account, **more).status.token

    async def who(self, token, *audiences):
        found = await self.chain.identify(Credentials(token=token, audiences=audiences))
        self.lasting[token, audiences] = found
        return found.user

    async def refused(self, token, *audiences):
        before = self.lasting.pop((token, audiences), None)
        assert before is None or not holds(before, self.kernel.clock), "whoever remembers the answer takes it for good"
        with pytest.raises(Unauthorized) as caught:
            await self.who(token, *audiences)
        assert str(caught.value) == "Unauthorized"


@pytest.fixture
async def world():
    found = World()
    await found.kernel.start(("default", "kube-system", "kube-public"))
    yield found
    await found.kernel.stop()
