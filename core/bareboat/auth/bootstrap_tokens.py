"""Bootstrap tokens: short-lived secrets ``ID.SECRET`` with which a machine asks for its first certificate.

Each is a Secret ``kube-system/bootstrap-token-ID`` of type bootstrap.kubernetes.io/token. A change of it acts on the next request.
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime

import msgspec

from bareboat.base.clock import Clock
from bareboat.contracts.auth import Authenticator, Credentials, InvalidCredential, Reader, UserInfo
from bareboat.models import core_v1
from bareboat.models.times import parse

NAMESPACE, TYPE, PREFIX = "kube-system", "bootstrap.kubernetes.io/token", "bootstrap-token-"
GROUP = "system:bootstrappers"
TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class _Meta(msgspec.Struct):
    name: str = ""
    deletionTimestamp: str | None = None


class _Secret(msgspec.Struct):
    metadata: _Meta
    type: str = ""
    data: dict[str, str] = {}


class BootstrapToken(msgspec.Struct, frozen=True):
    """What the Secret says, decoded."""

    token_id: str
    secret: str
    expiration: str
    authentication: bool
    signing: bool
    groups: tuple[str, ...]
    description: str

    def expired(self, now: datetime) -> bool:
        """A time that is none has passed."""
        if not self.expiration:
            return False
        try:
            return parse(self.expiration) <= now
        except ValueError:
            return True


def decoded(data: dict[str, str]) -> BootstrapToken:
    """Of a Secret's data. Raises ValueError for what is no text."""
    plain = {key: base64.b64decode(value or "").decode() for key, value in data.items()}
    return BootstrapToken(
        token_id=plain.get("token-id", ""),
        secret=plain.get("token-secret", ""),
        expiration=plain.get("expiration", ""),
        authentication=plain.get("usage-bootstrap-authentication") == "true",
        signing=plain.get("usage-bootstrap-signing") == "true",
        groups=tuple(group for group in plain.get("auth-extra-groups", "").split(",") if group),
        description=plain.get("description", ""),
    )


def faulty_group(groups: tuple[str, ...]) -> str:
    """The first group that no bootstrap token may give; "" if there is none."""
    return next((group for group in groups if not _GROUP.fullmatch(group)), "")


class BootstrapTokenAuthenticator(Authenticator):
    name = "bootstrap-token"

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock

    def steady(self, credentials: Credentials) -> bool:
        """Of what has not the form of its tokens it never knows anything."""
        return TOKEN.fullmatch(credentials.token) is None

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        form = TOKEN.fullmatch(credentials.token)
        if form is None:
            return None
        found = self._reader.view(core_v1.Secret, _Secret, PREFIX + form[1], NAMESPACE)
        if found is None or found.metadata.deletionTimestamp or found.type != TYPE:
            raise InvalidCredential(f"there is no bootstrap token {form[1]}")
        try:
            token = decoded(found.data)
        except ValueError as error:
            raise InvalidCredential(f"bootstrap token {form[1]} is no text") from error
        fault = self._fault(token, form[1], form[2])
        if fault:
            raise InvalidCredential(f"bootstrap token {form[1]} {fault}")
        return UserInfo(name=f"system:bootstrap:{form[1]}", groups=(GROUP, *token.groups))

    def _fault(self, token: BootstrapToken, token_id: str, secret: str) -> str:
        if not hmac.compare_digest(token.secret.encode(), secret.encode()):
            return "has another secret"
        if token.token_id != token_id:
            return "has another id than its Secret's name"
        if token.expired(self._clock.now()):
            return f"expired at {token.expiration}"
        if not token.authentication:
            return "is not for authentication"
        wrong = faulty_group(token.groups)
        return f"gives the group {wrong!r}, which is none of {GROUP}:*" if wrong else ""
