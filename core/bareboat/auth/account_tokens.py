"""Checking service account tokens: signature, issuer, audience and time, and that account and bound object are still there.

What comes in: a token that ``tokens.Issuer`` made, of a TokenRequest or of a Secret. What goes out: the account as a user, with what
the token is bound to in its extra. The signature of a token is verified once; its objects are looked at on every request, so that a
deleted pod, secret or account takes its tokens along at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bareboat.auth.tokens import ISSUER, LEGACY_ISSUER, Keys, service_account_user
from bareboat.base.clock import Clock
from bareboat.contracts.auth import Authenticated, Authenticator, Credentials, InvalidCredential, Reader, UserInfo
from bareboat.models import core_v1
from bareboat.models.times import parse

#: Verified tokens that are remembered, and seconds that clocks may differ.
REMEMBERED, LEEWAY = 4096, 60
Unchanged = Callable[[], bool]
_INFO = "authentication.kubernetes.io"
_OLD = "kubernetes.io/serviceaccount"
_BOUND: dict[str, Any] = {"pod": core_v1.Pod, "secret": core_v1.Secret, "node": core_v1.Node}
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"


class _Meta(msgspec.Struct):
    uid: str = ""
    deletionTimestamp: str | None = None
    labels: dict[str, str] = {}


class _Object(msgspec.Struct):
    metadata: _Meta


class _Secret(_Object):
    data: dict[str, str] = {}


class _Reference(msgspec.Struct, frozen=True):
    name: str
    uid: str = ""


class _Private(msgspec.Struct, frozen=True):
    namespace: str
    serviceaccount: _Reference
    pod: _Reference | None = None
    secret: _Reference | None = None
    node: _Reference | None = None


class _Verified(msgspec.Struct, frozen=True):
    """A token whose signature is good. ``secret`` is the digest of a Secret's token, b"" for others."""

    private: _Private
    audiences: tuple[str, ...]
    start: float
    end: float
    user: UserInfo
    secret: bytes = b""


class TokenAuthenticator(Authenticator):
    """Knows the tokens that Issuer made."""

    name = "service-account"

    def __init__(self, keys: Keys, reader: Reader, clock: Clock, audiences: tuple[str, ...] = (ISSUER,)) -> None:
        self._keys = keys
        self._reader = reader
        self._clock = clock
        self._audiences = audiences
        self._known: dict[bytes, _Verified] = {}

    def steady(self, credentials: Credentials) -> bool:
        del credentials
        return True

    async def authenticate(self, credentials: Credentials) -> Authenticated | None:
        token = credentials.token
        if token.count(".") != 2:
            return None
        digest = hashlib.sha256(token.encode()).digest()
        found = self._known.get(digest)
        if found is None:
            found = self._verified(token, digest)
            if found is None:
                return None
            if len(self._known) >= REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[digest] = found
        relies = self._check(found)
        asked = credentials.audiences or self._audiences
        audiences = tuple(a for a in asked if a in found.audiences)
        return Authenticated(user=found.user, audiences=audiences, until=found.end, relies=relies)

    def _verified(self, token: str, digest: bytes) -> _Verified | None:
        """None for a token of another issuer. Raises InvalidCredential."""
        import jwt

        try:
            head = jwt.get_unverified_header(token)
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.InvalidTokenError:
            return None
        if issuer not in (ISSUER, LEGACY_ISSUER):
            return None
        key = self._keys.verifying(str(head.get("kid", "")))
        if key is None:
            raise InvalidCredential("no key of this cluster has signed it")
        unchecked = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud")}  # by our own clock, below
        try:
            claims = jwt.decode(token, key[0], algorithms=[key[1]], issuer=issuer, options=unchecked)  # type: ignore[arg-type]
            return _legacy(claims, digest, self._audiences) if issuer == LEGACY_ISSUER else _bound(claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, TypeError, ValueError, KeyError) as error:
            raise InvalidCredential(f"the token is not valid: {type(error).__name__}") from error

    def _check(self, token: _Verified) -> tuple[Unchanged, ...]:
        """What has to stay as it is for the token to stay good. Raises InvalidCredential."""
        now = self._clock.now()
        if now.timestamp() > token.end:
            raise InvalidCredential("the token has expired")
        if now.timestamp() < token.start - LEEWAY:
            raise InvalidCredential("the token is not valid yet")
        private = token.private
        account = self._alive(core_v1.ServiceAccount, private.serviceaccount, private.namespace, now)
        if private.secret is not None and token.secret:
            return account, self._held(private, token.secret, now)
        if private.secret is not None:
            return account, self._alive(core_v1.Secret, private.secret, private.namespace, now)
        if private.pod is not None:
            return account, self._alive(core_v1.Pod, private.pod, private.namespace, now)
        if private.node is not None:
            return account, self._alive(core_v1.Node, private.node, "", now)
        return (account,)

    def _alive(self, cls: Any, reference: _Reference, namespace: str, now: datetime) -> Unchanged:
        found = self._reader.view(cls, _Object, reference.name, namespace)
        if found is None or found.metadata.uid != reference.uid or _gone(found.metadata, now):
            raise InvalidCredential(f"{cls.__name__} {namespace}/{reference.name} of the token is gone")
        return self._mark(cls, reference.name, namespace, found.metadata)

    def _held(self, private: _Private, digest: bytes, now: datetime) -> Unchanged:
        assert private.secret is not None
        found = self._reader.view(core_v1.Secret, _Secret, private.secret.name, private.namespace)
        if found is None or _gone(found.metadata, now):
            raise InvalidCredential(f"Secret {private.namespace}/{private.secret.name} of the token is gone")
        held = hashlib.sha256(base64.b64decode(found.data.get("token", ""))).digest()
        if not hmac.compare_digest(held, digest):
            raise InvalidCredential(f"Secret {private.namespace}/{private.secret.name} holds another token")
        if found.metadata.labels.get(INVALID_SINCE):
            raise InvalidCredential(f"the token of Secret {private.namespace}/{private.secret.name} was not used for long and is invalid")
        return self._mark(core_v1.Secret, private.secret.name, private.namespace, found.metadata)

    def _mark(self, cls: Any, name: str, namespace: str, meta: _Meta) -> Unchanged:
        """What is being deleted stops being good by the clock alone."""
        return self._reader.mark(cls, name, namespace) if meta.deletionTimestamp is None else _never


def _never() -> bool:
    return False


def _gone(meta: _Meta, now: datetime) -> bool:
    return meta.deletionTimestamp is not None and parse(meta.deletionTimestamp) < now - timedelta(seconds=LEEWAY)


def _bound(claims: dict[str, Any]) -> _Verified:
    private = msgspec.convert(claims["kubernetes.io"], _Private)
    account = private.serviceaccount
    if claims.get("sub") != f"system:serviceaccount:{private.namespace}:{account.name}":
        raise ValueError("subject and account differ")
    extra: dict[str, tuple[str, ...]] = {f"{_INFO}/credential-id": (f"JTI={claims['jti']}",)} if claims.get("jti") else {}
    if private.pod is not None:
        extra |= {f"{_INFO}/pod-name": (private.pod.name,), f"{_INFO}/pod-uid": (private.pod.uid,)}
    if private.node is not None:
        extra[f"{_INFO}/node-name"] = (private.node.name,)
        if private.node.uid:
            extra[f"{_INFO}/node-uid"] = (private.node.uid,)
    user = service_account_user(private.namespace, account.name, account.uid, extra)
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    return _Verified(private, tuple(map(str, audiences)), float(claims.get("nbf", 0)), float(claims["exp"]), user)


def _legacy(claims: dict[str, Any], digest: bytes, audiences: tuple[str, ...]) -> _Verified:
    namespace, name = str(claims[f"{_OLD}/namespace"]), str(claims[f"{_OLD}/service-account.name"])
    uid, secret = str(claims[f"{_OLD}/service-account.uid"]), str(claims[f"{_OLD}/secret.name"])
    if claims.get("sub") != f"system:serviceaccount:{namespace}:{name}":
        raise ValueError("subject and account differ")
    private = _Private(namespace, _Reference(name, uid), secret=_Reference(secret))
    return _Verified(private, audiences, 0.0, float("inf"), service_account_user(namespace, name, uid), digest)
