"""Authenticators of the kernel: client certificate, bearer tokens kept as hashes, and the chain that asks them in order."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bareboat.contracts.auth import Authenticator, Credentials, InvalidCredential, UserInfo
from bareboat.models.status import Unauthorized

AUTHENTICATED = "system:authenticated"
ANONYMOUS = UserInfo(name="system:anonymous", groups=("system:unauthenticated",))


class CertificateAuthenticator(Authenticator):
    """CN is the user, every O a group. The TLS layer has verified the certificate against the cluster's CA."""

    name = "certificate"

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        if not credentials.certificate_name:
            return None
        return UserInfo(name=credentials.certificate_name, groups=credentials.certificate_organizations)


class StaticToken(msgspec.Struct, frozen=True):
    """``digest`` is the SHA-256 of the token, hexadecimal."""

    digest: str
    user: UserInfo


class StaticTokenAuthenticator(Authenticator):
    """Tokens from a file that holds only their hashes."""

    name = "static"

    def __init__(self, tokens: Sequence[StaticToken]) -> None:
        self._tokens = list(tokens)

    @classmethod
    def from_file(cls, path: Path) -> StaticTokenAuthenticator:
        """A JSON list of {digest, user}; a missing file is an empty one."""
        return cls(msgspec.json.decode(path.read_bytes(), type=list[StaticToken]) if path.exists() else [])

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        if not credentials.token:
            return None
        digest = hashlib.sha256(credentials.token.encode()).hexdigest()
        for known in self._tokens:
            if hmac.compare_digest(known.digest, digest):
                return known.user
        return None


class AuthenticatorChain:
    """Asks in order; the first that knows the credential decides. No credential at all is the anonymous user."""

    def __init__(self, authenticators: Sequence[Authenticator]) -> None:
        self._authenticators = list(authenticators)

    async def authenticate(self, credentials: Credentials) -> UserInfo:
        """Raises Unauthorized for a credential that nobody knows, or that is wrong."""
        if not credentials.token and not credentials.certificate_name:
            return ANONYMOUS
        try:
            for authenticator in self._authenticators:
                user = await authenticator.authenticate(credentials)
                if user is not None:
                    return _authenticated(user)
        except InvalidCredential as error:
            raise Unauthorized from error
        raise Unauthorized


def _authenticated(user: UserInfo) -> UserInfo:
    if AUTHENTICATED in user.groups:
        return user
    return msgspec.structs.replace(user, groups=(*user.groups, AUTHENTICATED))
