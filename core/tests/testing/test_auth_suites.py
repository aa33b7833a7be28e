"""The kernel's own authenticators keep the rules that plugins are held to."""

from bareboat.auth.token_file import TokenFileAuthenticator, parsed
from bareboat.contracts.auth import Credentials
from bareboat.testing.access_suite import AuthenticatorSuite


class TestTokenFile(AuthenticatorSuite):
    good, user, bad = Credentials(token="secret"), "jane", Credentials(token="secreT")

    def make(self, reader):
        return TokenFileAuthenticator(parsed("secret,jane,1", "tokens.csv"))
