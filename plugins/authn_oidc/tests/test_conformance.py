"""The authenticator keeps the rules of the contract."""

from bareboat.auth.host import AuthHost
from bareboat.base.clock import SystemClock
from bareboat.base.ids import SeededIds
from bareboat.testing.access_suite import AuthenticatorSuite
from bareboat_authn_oidc.plugin import bareboat_authenticators

ISSUER = {"issuer": {"url": "https://i.example", "audiences": ["a"]}, "claimMappings": {"username": {"claim": "sub", "prefix": ""}}}


class TestOidc(AuthenticatorSuite):
    def make(self, reader):
        [found] = bareboat_authenticators(AuthHost(reader, SystemClock(), SeededIds(1), ("https://cluster",)), {"jwt": [ISSUER]})
        return found
