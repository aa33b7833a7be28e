"""The kernel's authenticators keep the rules of the contract."""

import base64

from bareboat.auth.account_tokens import TokenAuthenticator
from bareboat.auth.authenticators import CertificateAuthenticator
from bareboat.auth.bootstrap_tokens import BootstrapTokenAuthenticator
from bareboat.auth.tokens import Keys
from bareboat.base.clock import SystemClock
from bareboat.cluster.pki.authority import key_pem
from bareboat.contracts.auth import Credentials
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.testing.access_suite import AuthenticatorSuite


class TestCertificate(AuthenticatorSuite):
    good, user = Credentials(certificate_name="ann", certificate_organizations=("dev",)), "ann"

    def make(self, reader):
        return CertificateAuthenticator()


class TestServiceAccount(AuthenticatorSuite):
    bad = Credentials(token="eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMuZGVmYXVsdC5zdmMuY2x1c3Rlci5sb2NhbCJ9.")

    def make(self, reader):
        from cryptography.hazmat.primitives.asymmetric import ec

        return TokenAuthenticator(Keys(key_pem(ec.generate_private_key(ec.SECP256R1()))), reader, SystemClock())


class TestBootstrapToken(AuthenticatorSuite):
    good, user = Credentials(token="abcdef.0123456789abcdef"), "system:bootstrap:abcdef"
    bad = Credentials(token="abcdef.0123456789abcdee")

    def make(self, reader):
        return BootstrapTokenAuthenticator(reader, SystemClock())

    async def prepare(self, kernel):
        plain = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
        data = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        metadata = {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
        await kernel.client.create(from_tree(core_v1.Secret, {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "data": data}))
