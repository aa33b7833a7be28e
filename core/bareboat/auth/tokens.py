"""Making service account tokens: JSON web tokens, signed by the cluster, bound to an audience, a time and optionally an object.

``Issuer`` answers TokenRequests (KEP-1205) and makes the tokens without an end that Secrets may still hold. Who checks them is
``account_tokens``. PyJWT does the cryptography.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bareboat.base.clock import Clock, rfc3339
from bareboat.base.ids import Ids
from bareboat.contracts.auth import Reader, UserInfo
from bareboat.models import authentication_v1, core_v1
from bareboat.models.status import BadRequest, Conflict, NotFound

ISSUER = "https://kubernetes.default.svc.cluster.local"
#: Of tokens in Secrets, which have no audience and no end.
LEGACY_ISSUER = "kubernetes/serviceaccount"
#: Bounds of a token's life in seconds, and what is given when none is asked for.
SHORTEST, DEFAULT, LONGEST = 600, 3600, 2**32


def service_account_user(namespace: str, name: str, uid: str = "", extra: dict[str, tuple[str, ...]] | None = None) -> UserInfo:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return UserInfo(name=f"system:serviceaccount:{namespace}:{name}", uid=uid, groups=groups, extra=extra or {})


class Keys:
    """The signing key, and public keys that former tokens were signed with; loaded when first used. An EC or RSA key as PEM."""

    def __init__(self, private_pem: bytes, former: Sequence[bytes] = ()) -> None:
        self._pem = private_pem
        self._former = list(former)
        self._private: Any = None
        self._known: dict[str, tuple[Any, str]] = {}

    def load(self) -> None:
        """What the first token would wait for: a hundredth of a second for PyJWT, more for an RSA key. Any thread may do it."""
        importlib.import_module("jwt")
        self._all()

    @property
    def private(self) -> Any:
        if self._private is None:
            from cryptography.hazmat.primitives import serialization

            self._private = serialization.load_pem_private_key(self._pem, None)
        return self._private

    @property
    def algorithm(self) -> str:
        return _algorithm(self.private)

    @property
    def key_id(self) -> str:
        return _key_id(self.private.public_key())

    def verifying(self, key_id: str) -> tuple[Any, str] | None:
        """The public key of that id and the only algorithm that goes with it."""
        return self._all().get(key_id)

    def _all(self) -> dict[str, tuple[Any, str]]:
        if not self._known:
            from cryptography.hazmat.primitives import serialization

            keys = [self.private.public_key(), *(serialization.load_pem_public_key(pem) for pem in self._former)]
            self._known = {_key_id(key): (key, _algorithm(key)) for key in keys}
        return self._known

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON web key set."""
        from jwt.algorithms import ECAlgorithm, RSAAlgorithm

        found = []
        for key_id, (key, algorithm) in self._all().items():
            shown = (RSAAlgorithm if algorithm == "RS256" else ECAlgorithm).to_jwk(key, as_dict=True)
            found.append({"use": "sig", "kid": key_id, "alg": algorithm, **{k: v for k, v in shown.items() if k != "key_ops"}})
        return {"keys": found}

    def sign(self, payload: dict[str, Any]) -> str:
        import jwt

        return jwt.encode(payload, self.private, algorithm=self.algorithm, headers={"kid": self.key_id})


def _algorithm(key: Any) -> str:
    """Raises ValueError for a key that cannot sign tokens."""
    curve = getattr(getattr(key, "curve", None), "name", "")
    found = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}.get(curve, "" if curve else "RS256")
    if not found or (found == "RS256" and key.key_size < 2048):
        raise ValueError("the key of service account tokens must be EC (P-256, P-384, P-521) or RSA of 2048 bits at least")
    return found


def _key_id(public: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:43]


class Issuer:
    """Makes tokens for service accounts."""

    def __init__(self, keys: Keys, reader: Reader, clock: Clock, ids: Ids) -> None:
        self._keys = keys
        self._reader = reader
        self._clock = clock
        self._ids = ids

    def issue(self, namespace: str, name: str, request: authentication_v1.TokenRequest) -> authentication_v1.TokenRequest:
        """Fill in the request's status. Raises NotFound, BadRequest, Conflict."""
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
        claims |= self._bound(namespace, name, request)
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
        expires = rfc3339(self._clock.now() + timedelta(seconds=seconds))
        request.status = authentication_v1.TokenRequestStatus(token=self._keys.sign(payload), expirationTimestamp=expires)
        return request

    def legacy(self, account: core_v1.ServiceAccount, secret: str) -> str:
        """The token of a Secret: good for as long as the Secret holds it."""
        meta, prefix = account.metadata, "kubernetes.io/serviceaccount"
        return self._keys.sign(
            {
                "iss": LEGACY_ISSUER,
                "sub": f"system:serviceaccount:{meta.namespace}:{meta.name}",
                f"{prefix}/namespace": meta.namespace,
                f"{prefix}/secret.name": secret,
                f"{prefix}/service-account.name": meta.name,
                f"{prefix}/service-account.uid": meta.uid,
            }
        )

    def _bound(self, namespace: str, account: str, request: authentication_v1.TokenRequest) -> dict[str, Any]:
        """The claims of the object that the token lives as long as."""
        reference = request.spec.boundObjectRef
        if reference is None:
            return {}
        kinds: dict[str, Any] = {"Pod": core_v1.Pod, "Secret": core_v1.Secret, "Node": core_v1.Node}
        if reference.kind not in kinds or reference.apiVersion != "v1":
            raise BadRequest(f"cannot bind token for serviceaccount to object of type {reference.apiVersion}, Kind={reference.kind}")
        found = self._reader.get(kinds[reference.kind], reference.name, "" if reference.kind == "Node" else namespace)
        if found is None:
            raise NotFound.of(f"{reference.kind.lower()}s", reference.name)
        if reference.uid and reference.uid != found.metadata.uid:
            because = f"the UID in the bound object reference ({reference.uid}) does not match the UID in record"
            raise Conflict.of(f"{reference.kind.lower()}s", reference.name, because=because)
        if reference.kind == "Pod" and (found.spec.serviceAccountName or "default") != account:
            message = f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
            raise BadRequest(message)
        claims: dict[str, Any] = {reference.kind.lower(): {"name": found.metadata.name, "uid": found.metadata.uid}}
        if reference.kind == "Pod" and found.spec.nodeName:
            node = self._reader.get(core_v1.Node, found.spec.nodeName)
            claims["node"] = {"name": found.spec.nodeName, **({"uid": node.metadata.uid} if node else {})}
        return claims
