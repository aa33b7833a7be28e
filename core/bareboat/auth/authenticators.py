"""Authenticators of the kernel that need no object: client certificate and anonymous; and the chain that asks all in order."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import inf

import msgspec

from bareboat.base.clock import Clock
from bareboat.contracts.auth import Authenticated, Authenticator, Credentials, InvalidCredential, UserInfo
from bareboat.models.status import Unauthorized

log = logging.getLogger("bareboat.auth")
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
ANONYMOUS = UserInfo(name="system:anonymous", groups=(UNAUTHENTICATED,))


class CertificateAuthenticator(Authenticator):
    """CN is the user, every O a group. The TLS layer has verified the certificate against the cluster's CA."""

    name = "certificate"

    def steady(self, credentials: Credentials) -> bool:
        del credentials
        return True

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        if not credentials.certificate_name:
            return None
        return UserInfo(name=credentials.certificate_name, groups=credentials.certificate_organizations)


class AnonymousAuthenticator(Authenticator):
    """Knows everybody who shows nothing; with ``paths`` only there."""

    name = "anonymous"

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self._paths = frozenset(paths)

    def steady(self, credentials: Credentials) -> bool:
        del credentials
        return not self._paths

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        shown = credentials.token or credentials.certificate_name
        return None if shown or (self._paths and credentials.path not in self._paths) else ANONYMOUS


class AuthenticatorChain:
    """Asks in order; the first that knows the credential decides. A credential that is wrong is never anonymous."""

    def __init__(self, authenticators: Sequence[Authenticator], audiences: Sequence[str] = ()) -> None:
        self._authenticators = list(authenticators)
        self.audiences = tuple(audiences)

    async def authenticate(self, credentials: Credentials) -> UserInfo:
        """Raises Unauthorized for a credential that nobody knows, or that is wrong."""
        return (await self.identify(credentials)).user

    async def identify(self, credentials: Credentials) -> Authenticated:
        """The user, which of the asked audiences the credential is for, and for how long that holds. Raises Unauthorized."""
        asked = credentials.audiences or self.audiences
        if credentials.audiences != asked:
            credentials = msgspec.structs.replace(credentials, audiences=asked)
        faults = []
        for authenticator in self._authenticators:
            try:
                found = self._answer(await authenticator.authenticate(credentials), asked)
            except InvalidCredential as error:
                faults.append(f"{authenticator.name}: {error}")
                continue
            if found is not None:
                lasts = found.until > 0.0 and all(a.steady(credentials) for a in self._authenticators)
                return found if lasts else msgspec.structs.replace(found, until=0.0)
        if faults:
            log.warning("a credential was refused: %s", "; ".join(faults))
        raise Unauthorized

    def _answer(self, found: UserInfo | Authenticated | None, asked: tuple[str, ...]) -> Authenticated | None:
        """Raises InvalidCredential for one that is meant for others."""
        if found is None:
            return None
        if isinstance(found, UserInfo):
            found = Authenticated(user=found, audiences=tuple(a for a in asked if a in self.audiences), until=inf)
        if asked and not found.audiences:
            raise InvalidCredential(f"the credential of {found.user.name!r} is meant for another audience")
        return msgspec.structs.replace(found, user=_authenticated(found.user))


def holds(who: Authenticated, clock: Clock) -> bool:
    """Whether a lasting answer is still good."""
    if clock.seconds() > who.until:
        return False
    for unchanged in who.relies:  # noqa: SIM110  asked for each request: a generator costs more than the question
        if not unchanged():
            return False
    return True


def _authenticated(user: UserInfo) -> UserInfo:
    if AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups:
        return user
    return msgspec.structs.replace(user, groups=(*user.groups, AUTHENTICATED))
