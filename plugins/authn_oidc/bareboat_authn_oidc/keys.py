"""The public keys of an issuer: found by discovery, kept, and looked up again when a token names one that is not there (rotation).

Nothing of a token but its key id and algorithm comes in here; where keys are fetched from is the options' alone.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.contracts.auth import AuthHost
from bareboat_authn_oidc.options import Issuer

if TYPE_CHECKING:
    import aiohttp

#: Seconds for which keys are good without a look; between looks because of unknown keys; of one fetch. Bytes of an answer.
FRESH, PAUSE, PATIENCE, LIMIT = 3600.0, 10.0, 10.0, 1 << 20
_KINDS = {"R": "RSA", "P": "RSA", "E": "EC"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


class KeysUnavailable(ValueError):
    """The issuer's keys cannot be had; the text says why."""


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


class KeySet:
    """Of one issuer."""

    def __init__(self, issuer: Issuer, host: AuthHost) -> None:
        self._issuer = issuer
        self._clock = host.clock
        self._keys: list[dict[str, Any]] = []
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def candidates(self, key_id: str, algorithm: str) -> list[Any]:
        """Keys that a token of that header may be signed with. Raises KeysUnavailable."""
        found = self._matching(key_id, algorithm)
        stale = self._clock.monotonic() - self._fetched > FRESH
        if stale or not found:
            try:
                await self._refresh()
            except KeysUnavailable:
                if not found:  # an issuer that is down for a while does not lock its users out
                    raise
            found = self._matching(key_id, algorithm)
        return [key for key in (_loaded(jwk, algorithm) for jwk in found) if key is not None]

    def _matching(self, key_id: str, algorithm: str) -> list[dict[str, Any]]:
        return [jwk for jwk in self._keys if (not key_id or jwk.get("kid") == key_id) and _fits(jwk, algorithm)]

    async def _refresh(self) -> None:
        before = self._fetched
        async with self._lock:
            if self._fetched != before or self._clock.monotonic() - self._tried < PAUSE:
                return
            self._tried = self._clock.monotonic()
            self._keys = await self._fetch()
            self._fetched = self._clock.monotonic()

    async def _fetch(self) -> list[dict[str, Any]]:
        import aiohttp

        where = self._issuer.discoveryURL or self._issuer.url.rstrip("/") + "/.well-known/openid-configuration"
        try:
            trust = ssl.create_default_context(cadata=self._issuer.certificateAuthority or None)
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
                discovery = msgspec.json.decode(await _get(session, where, trust), type=_Discovery)
                if discovery.issuer != self._issuer.url:
                    raise KeysUnavailable(f"{where} speaks for {discovery.issuer!r}, not for {self._issuer.url!r}")
                if not discovery.jwks_uri.startswith("https://"):
                    raise KeysUnavailable(f"{where} names keys at {discovery.jwks_uri!r}, which is not https")
                return msgspec.json.decode(await _get(session, discovery.jwks_uri, trust), type=_KeySet).keys
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            raise KeysUnavailable(f"the keys of {self._issuer.url} cannot be fetched: {type(error).__name__}: {error}") from error


async def _get(session: aiohttp.ClientSession, url: str, trust: ssl.SSLContext) -> bytes:
    async with session.get(url, ssl=trust, allow_redirects=False) as answer:
        data = b""
        while len(data) <= LIMIT and (chunk := await answer.content.read(LIMIT)):
            data += chunk
        if answer.status != 200 or len(data) > LIMIT:
            raise KeysUnavailable(f"{url} answered {answer.status} with {len(data)} bytes")
        return data


def _fits(jwk: dict[str, Any], algorithm: str) -> bool:
    """A public key for signatures, of the kind that the algorithm needs."""
    if jwk.get("kty") != _KINDS[algorithm[0]] or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return False
    return jwk.get("alg", algorithm) == algorithm and jwk.get("crv") == _CURVES.get(algorithm)


def _loaded(jwk: dict[str, Any], algorithm: str) -> Any:
    """None for a key that is none, or too short to prove anything."""
    import jwt

    try:
        found = jwt.PyJWK(jwk, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return None if algorithm[0] != "E" and found.key_size < 2048 else found
