"""What a registry wants to see before it answers: nothing, a name and password, or a token that another server gives out.

What comes in: the challenge of a 401 answer, and credentials. What goes out: the value of an Authorization header. Passwords go over TLS
or to a registry that itself is plain HTTP, never from the one to the other. Pure but for ``fetch_token``.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import aiohttp
import msgspec

from bareboat.contracts.cri import Credentials
from bareboat_cri_process.failures import RegistryFailure

_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))')
_SCHEME = re.compile(r"^\s*(Basic|Bearer)\b(.*)$", re.IGNORECASE | re.DOTALL)


class Challenge(msgspec.Struct, frozen=True):
    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def challenge_of(headers: list[str]) -> Challenge | None:
    """The best of what a registry offers; a token before a password."""
    found = []
    for header in headers:
        match = _SCHEME.match(header)
        if match:
            values = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(match[2])}
            known = {name: values[name] for name in ("realm", "service", "scope") if name in values}
            found.append(Challenge(match[1].lower(), **known))
    return max(found, key=lambda c: c.scheme == "bearer", default=None)


def basic(credentials: Credentials | None) -> str:
    """ "" without a name."""
    if credentials is None or not credentials.username:
        return ""
    pair = f"{credentials.username}:{credentials.password}".encode()
    return "Basic " + base64.b64encode(pair).decode()


async def authorize(
    session: aiohttp.ClientSession, challenge: Challenge, path: str, credentials: Credentials | None, url: str, **how: Any
) -> str:
    """The header's value. Raises RegistryFailure with status 401."""
    if credentials is not None and credentials.registry_token:
        return f"Bearer {credentials.registry_token}"
    if challenge.scheme == "basic":
        if not basic(credentials):
            raise RegistryFailure("authorization failed: no basic auth credentials", status=401)
        return basic(credentials)
    scope = challenge.scope or f"repository:{path}:pull"
    return "Bearer " + await fetch_token(session, challenge, scope, credentials, plain=url.startswith("http://"), **how)


async def fetch_token(
    session: aiohttp.ClientSession, challenge: Challenge, scope: str, credentials: Credentials | None, *, plain: bool, **how: Any
) -> str:
    password = basic(credentials)
    if password and challenge.realm.startswith("http://") and not plain:
        raise RegistryFailure(f"authorization failed: {challenge.realm} wants a password without TLS", status=401)
    query = {"scope": scope} | ({"service": challenge.service} if challenge.service else {})
    headers = {"Authorization": password} if password else {}
    async with session.get(challenge.realm, params=query, headers=headers, **how) as answer:
        if answer.status != 200:
            kind = "oauth token" if password else "anonymous token"
            message = f"failed to authorize: failed to fetch {kind}: unexpected status: {answer.status} {answer.reason}"
            raise RegistryFailure(message, status=answer.status)
        try:
            body = await answer.json(content_type=None)
            token = str(body.get("token") or body["access_token"])
        except (ValueError, KeyError, AttributeError) as error:
            raise RegistryFailure(f"failed to authorize: {challenge.realm} gave no token", status=401) from error
    return token
