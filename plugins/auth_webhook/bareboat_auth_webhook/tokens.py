"""Tokens that another service knows: a TokenReview is posted, its answer is the user. No answer is no user."""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any

import msgspec

from bareboat.contracts.auth import Authenticated, Authenticator, AuthHost, Credentials, InvalidCredential, UserInfo
from bareboat_auth_webhook.memory import Memory
from bareboat_auth_webhook.options import TokenWebhook, seconds

log = logging.getLogger("bareboat.auth")
_VERSION = "authentication.k8s.io/v1"


class _User(msgspec.Struct):
    username: str = ""
    uid: str = ""
    groups: list[str] | None = None
    extra: dict[str, list[str]] | None = None


class _Status(msgspec.Struct):
    authenticated: bool = False
    user: _User | None = None
    audiences: list[str] | None = None
    error: str = ""


class _Review(msgspec.Struct):
    apiVersion: str
    kind: str
    status: _Status


class TokenWebhookAuthenticator(Authenticator):
    """See options.TokenWebhook. ``client`` is the service's configuration."""

    def __init__(self, options: TokenWebhook, client: dict[str, Any], host: AuthHost) -> None:
        self.name = options.name
        self._client = client
        self._host = host
        self._timeout = seconds(options.timeout)
        known, unknown = seconds(options.authorizedTTL), seconds(options.unauthorizedTTL)
        self._memory: Memory[Authenticated | None] = Memory(host, lambda found: unknown if found is None else known)
        self._salt = host.ids.token().encode()

    async def authenticate(self, credentials: Credentials) -> Authenticated | None:
        token = credentials.token
        if not token:
            return None
        audiences = credentials.audiences or self._host.audiences
        key = hmac.digest(self._salt, "\0".join((token, *audiences)).encode(), hashlib.sha256)
        try:
            return await self._memory.get(key, lambda: self._ask(token, audiences))
        except ValueError as error:
            log.warning("the token webhook %s failed: %s", self.name, error)
            raise InvalidCredential(f"the webhook failed: {type(error).__name__}") from error

    async def _ask(self, token: str, audiences: tuple[str, ...]) -> Authenticated | None:
        """Raises ValueError."""
        review = {"apiVersion": _VERSION, "kind": "TokenReview", "spec": {"token": token, "audiences": list(audiences)}}
        answer = await self._host.call(self._client, msgspec.json.encode(review), self._timeout)
        try:
            found = msgspec.json.decode(answer, type=_Review)
        except msgspec.DecodeError as error:  # its text may repeat parts of what was sent back
            raise ValueError("the answer is no TokenReview") from error
        if (found.apiVersion, found.kind) != (_VERSION, "TokenReview"):
            raise ValueError(f"the answer is a {found.apiVersion} {found.kind}, not a {_VERSION} TokenReview")
        user = found.status.user
        if not found.status.authenticated or user is None or not user.username:
            return None
        meant = found.status.audiences or self._host.audiences  # a service that knows no audiences speaks for the API server's
        extra = {key: tuple(values) for key, values in (user.extra or {}).items()}
        who = UserInfo(name=user.username, uid=user.uid, groups=tuple(user.groups or ()), extra=extra)
        return Authenticated(user=who, audiences=tuple(a for a in audiences if a in meant))
