"""Service account tokens: JSON web tokens, signed by the cluster, bound to an audience, a time and optionally an object.

``Issuer`` makes them (TokenRequest, KEP-1205); ``TokenAuthenticator`` checks signature, issuer, audience and time, and that
the account, and the pod or secret that the token is bound to, still exist with the same uid. PyJWT does the cryptography.
"""

from __future__ import annotations

import hashlib
from typing import Any

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.contracts.auth import Authenticator, Credentials, InvalidCredential, Reader, UserInfo
from bareboat.models import authentication_v1, core_v1
from bareboat.models.status import BadRequest, Conflict, NotFound

ALGORITHM = "ES256"
ISSUER = "https://kubernetes.default.svc.cluster.local"
#: Bounds of a token's life in seconds, and what is given when none is asked for.
SHORTEST, DEFAULT, LONGEST = 600, 3600, 2**32
#: A verified token is trusted this long before its objects are looked at again.
CACHE_SECONDS = 10.0


def service_account_user(namespace: str, name: str, uid: str = "", extra: dict[str, tuple[str, ...]] | None = None) -> UserInfo:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return UserInfo(name=f"system:serviceaccount:{namespace}:{name}", uid=uid, groups=groups, extra=extra or {})


class Keys:
    """The signing key and its public side, loaded when first used."""

    def __init__(self, private_pem: bytes) -> None:
        self._pem = private_pem
        self._private: Any = None

    @property
    def private(self) -> Any:
        if self._private is None:
            from cryptography.hazmat.primitives import serialization

            self._private = serialization.load_pem_private_key(self._pem, None)
        return self._private

    @property
    def public(self) -> Any:
        return self.private.public_key()

    @property
    def key_id(self) -> str:
        return hashlib.sha256(self._pem).hexdigest()[:16]

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON web key set."""
        from jwt.algorithms import ECAlgorithm

        key = ECAlgorithm.to_jwk(self.public, as_dict=True)
        return {"keys": [{**key, "use": "sig", "kid": self.key_id, "alg": ALGORITHM}]}


class Issuer:
    """Makes tokens for service accounts."""

    def __init__(self, keys: Keys, reader: Reader, clock: Clock, ids: Ids) -> None:
        self._keys = keys
        self._reader = reader
        self._clock = clock
        self._ids = ids

    def issue(self, namespace: str, name: str, request: authentication_v1.TokenRequest) -> authentication_v1.TokenRequest:
        """Fill in the request's status. Raises NotFound, BadRequest, Conflict."""
        import jwt

        account = self._reader.get(core_v1.ServiceAccount, name, namespace)
        if account is None:
            raise NotFound.of("serviceaccounts", name)
        spec = request.spec
        spec.audiences = spec.audiences or [ISSUER]
        seconds = DEFAULT if spec.expirationSeconds is None else spec.expirationSeconds
        if not SHORTEST <= seconds <= LONGEST:
            raise BadRequest(f"spec.expirationSeconds: Invalid value: {seconds}: may not specify a duration less than 10 minutes")
        spec.expirationSeconds = seconds
        now = int(self._clock.now().timestamp())
        claims: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": account.metadata.uid}}
        claims |= self._bound(namespace, request)
        payload = {
            "iss": ISSUER,
            "aud": spec.audiences,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": self._ids.uid(),
            "kubernetes.io": claims,
        }
        token = jwt.encode(payload, self._keys.private, algorithm=ALGORITHM, headers={"kid": self._keys.key_id})
        from datetime import timedelta

        from bareboat.base.clock import rfc3339

        expires = rfc3339(self._clock.now() + timedelta(seconds=seconds))
        request.status = authentication_v1.TokenRequestStatus(token=token, expirationTimestamp=expires)
        return request

    def _bound(self, namespace: str, request: authentication_v1.TokenRequest) -> dict[str, Any]:
        """The claims of the object that the token lives as long as."""
        reference = request.spec.boundObjectRef
        if reference is None:
            return {}
        kinds: dict[str, Any] = {"Pod": core_v1.Pod, "Secret": core_v1.Secret, "Node": core_v1.Node}
        if reference.kind not in kinds:
            raise BadRequest(f"cannot bind token for serviceaccount to object of type {reference.apiVersion}, Kind={reference.kind}")
        found = self._reader.get(kinds[reference.kind], reference.name, "" if reference.kind == "Node" else namespace)
        if found is None:
            raise NotFound.of(f"{reference.kind.lower()}s", reference.name)
        if reference.uid and reference.uid != found.metadata.uid:
            because = f"the UID in the bound object reference ({reference.uid}) does not match the UID in record"
            raise Conflict.of(f"{reference.kind.lower()}s", reference.name, because=because)
        claims: dict[str, Any] = {reference.kind.lower(): {"name": found.metadata.name, "uid": found.metadata.uid}}
        if reference.kind == "Pod" and found.spec.nodeName:
            node = self._reader.get(core_v1.Node, found.spec.nodeName)
            claims["node"] = {"name": found.spec.nodeName, **({"uid": node.metadata.uid} if node else {})}
        return claims


class TokenAuthenticator(Authenticator):
    """Knows the tokens that Issuer made."""

    name = "service-account"

    def __init__(self, keys: Keys, reader: Reader, clock: Clock, audiences: tuple[str, ...] = (ISSUER,)) -> None:
        self._keys = keys
        self._reader = reader
        self._clock = clock
        self._audiences = audiences
        self._known: dict[bytes, tuple[float, UserInfo]] = {}

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        if credentials.token.count(".") != 2:
            return None
        digest = hashlib.sha256(credentials.token.encode()).digest()
        known = self._known.get(digest)
        now = self._clock.monotonic()
        if known is not None and known[0] > now:
            return known[1]
        user = self.check(credentials.token, self._audiences)
        if len(self._known) > 4096:
            self._known.clear()
        self._known[digest] = (now + CACHE_SECONDS, user)
        return user

    def check(self, token: str, audiences: tuple[str, ...]) -> UserInfo:
        """Raises InvalidCredential."""
        import jwt

        try:
            claims = jwt.decode(
                token,
                self._keys.public,
                algorithms=[ALGORITHM],
                audience=list(audiences),
                issuer=ISSUER,
                options={"require": ["exp", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidCredential(str(error)) from error
        return self._user(claims)

    def _user(self, claims: dict[str, Any]) -> UserInfo:
        private = claims.get("kubernetes.io") or {}
        namespace = private.get("namespace", "")
        account = private.get("serviceaccount") or {}
        self._alive(core_v1.ServiceAccount, account, namespace)
        extra: dict[str, tuple[str, ...]] = {"authentication.kubernetes.io/credential-id": (f"JTI={claims.get('jti', '')}",)}
        for kind, cls in (("pod", core_v1.Pod), ("secret", core_v1.Secret)):
            if kind in private:
                self._alive(cls, private[kind], namespace)
        if "pod" in private:
            extra["authentication.kubernetes.io/pod-name"] = (private["pod"]["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (private["pod"]["uid"],)
        if "node" in private:
            extra["authentication.kubernetes.io/node-name"] = (private["node"]["name"],)
        return service_account_user(namespace, account["name"], account["uid"], extra)

    def _alive(self, cls: Any, claim: dict[str, str], namespace: str) -> None:
        found = self._reader.get(cls, claim.get("name", ""), namespace)
        if found is None or found.metadata.uid != claim.get("uid"):
            raise InvalidCredential(f"{cls.__name__} {namespace}/{claim.get('name')} is gone")
