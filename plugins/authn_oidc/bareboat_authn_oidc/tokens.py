"""Checking tokens of the configured issuers: signature, algorithm, issuer, audience, time; then mapping them to users.

The token says which issuer and key; the options say which issuers, algorithms and places there are. A token of no configured issuer is
somebody else's.
"""

from __future__ import annotations

from typing import Any

from bareboat.contracts.auth import Authenticator, AuthHost, Credentials, InvalidCredential, UserInfo
from bareboat_authn_oidc.keys import KeySet, KeysUnavailable
from bareboat_authn_oidc.mapping import UserMapping
from bareboat_authn_oidc.options import Jwt, Options

#: Seconds by which an issuer's clock may be ahead.
LEEWAY = 300


class _Known:
    """One issuer."""

    def __init__(self, jwt: Jwt, host: AuthHost) -> None:
        self.issuer = jwt.issuer
        self.keys = KeySet(jwt.issuer, host)
        self.mapping = UserMapping(jwt, host)


class OidcAuthenticator(Authenticator):
    """All issuers of the options."""

    name = "oidc"

    def __init__(self, options: Options, host: AuthHost) -> None:
        """Raises ValueError for an expression that does not compile."""
        self._clock = host.clock
        self._issuers = {}
        for i, jwt in enumerate(options.jwt):
            try:
                self._issuers[jwt.issuer.url] = _Known(jwt, host)
            except ValueError as error:
                raise ValueError(f"options: jwt[{i}].{error}") from error

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        if credentials.token.count(".") != 2 or not self._issuers:
            return None
        import jwt

        try:
            head = jwt.get_unverified_header(credentials.token)
            told = jwt.decode(credentials.token, options={"verify_signature": False}).get("iss")
        except jwt.InvalidTokenError:
            return None
        known = self._issuers.get(told) if isinstance(told, str) else None
        if known is None:
            return None
        claims = await self._verified(credentials.token, head, known)
        self._check_time(claims)
        return known.mapping.user(claims)

    async def _verified(self, token: str, head: dict[str, Any], known: _Known) -> dict[str, Any]:
        """The claims of a token with a good signature, for one of the audiences. Raises InvalidCredential."""
        import jwt

        algorithm, key_id = head.get("alg"), head.get("kid", "")
        if algorithm not in known.issuer.signingAlgorithms or not isinstance(key_id, str):
            raise InvalidCredential("the token is not signed in a way that is allowed")
        try:
            keys = await known.keys.candidates(key_id, algorithm)
        except KeysUnavailable as error:
            raise InvalidCredential(str(error)) from error
        options: Any = {"require": ["exp", "iss", "aud"]}
        options |= {f"verify_{claim}": False for claim in ("exp", "nbf", "iat")}  # by our own clock, afterwards
        for key in keys:
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    issuer=known.issuer.url,
                    audience=known.issuer.audiences,
                    options=options,
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidTokenError as error:
                raise InvalidCredential(f"the token is not valid: {type(error).__name__}") from error
        raise InvalidCredential("no key of the issuer has signed the token")

    def _check_time(self, claims: dict[str, Any]) -> None:
        """Raises InvalidCredential."""
        now = self._clock.now().timestamp()
        try:
            end, start = float(claims["exp"]), float(claims.get("nbf", 0))
        except (TypeError, ValueError) as error:
            raise InvalidCredential("the token's times are no numbers") from error
        if not now < end:
            raise InvalidCredential("the token has expired")
        if not start <= now + LEEWAY:
            raise InvalidCredential("the token is not valid yet")
