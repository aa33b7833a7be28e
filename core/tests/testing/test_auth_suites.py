"""The kernel's own authenticators keep the rules that plugins are held to."""

import hashlib

from bareboat.auth.authenticators import StaticToken, StaticTokenAuthenticator
from bareboat.contracts.auth import Credentials, UserInfo
from bareboat.testing.access_suite import AuthenticatorSuite


class TestStaticTokens(AuthenticatorSuite):
    good, user, bad = Credentials(token="secret"), "jane", Credentials(token="secreT")

    def make(self, reader):
        return StaticTokenAuthenticator([StaticToken(hashlib.sha256(b"secret").hexdigest(), UserInfo(name="jane"))])
