"""Bootstrap tokens as Secrets: made, listed, deleted. What they let in is bound by RBAC to their group."""

from __future__ import annotations

import base64
import re
import secrets
import string
from datetime import timedelta

import msgspec

from bareboat.auth.bootstrap_tokens import NAMESPACE, PREFIX, TOKEN, TYPE, faulty_group
from bareboat.base.clock import Clock, rfc3339
from bareboat.client.client import Client
from bareboat.cluster.errors import ClusterError
from bareboat.controllers.tokens.bootstrap import token_of
from bareboat.models import core_v1, meta_v1
from bareboat.models.status import AlreadyExists, NotFound

#: What a token of ``bareboat init`` and ``token create`` is a member of, and how long it is good.
JOINERS, TTL = "system:bootstrappers:bareboat:default-node-token", "24h"
_ALPHABET = string.ascii_lowercase + string.digits
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class TokenRow(msgspec.Struct, kw_only=True):
    """Without the secret half: a list may be shown to others."""

    token: str
    expires: str
    usages: list[str]
    groups: list[str]
    description: str


def new_token() -> str:
    def word(length: int) -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(length))

    return f"{word(6)}.{word(16)}"


def checked(token: str) -> tuple[str, str]:
    """ID and secret. Raises ClusterError, which does not repeat the token."""
    found = TOKEN.fullmatch(token)
    if found is None:
        raise ClusterError("a token has the form abcdef.0123456789abcdef: six and sixteen lower-case letters or digits")
    return found[1], found[2]


def duration(text: str) -> timedelta | None:
    """``24h``, ``1d12h``; None for ``0``, which is for ever. Raises ClusterError."""
    found = _DURATION.fullmatch(text)
    if text == "0":
        return None
    if found is None or not any(found.groups()):
        raise ClusterError(f"{text!r} is no time to live: write 30m, 24h, 7d, or 0 for ever")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def secret_of(token: str, clock: Clock, *, ttl: str = TTL, groups: list[str] | None = None, description: str = "") -> core_v1.Secret:
    """Raises ClusterError."""
    token_id, secret = checked(token)
    groups = [JOINERS] if groups is None else groups
    wrong = faulty_group(tuple(groups))
    if wrong:
        raise ClusterError(f"{wrong!r} is no group that a token may give: it must begin with system:bootstrappers:")
    life = duration(ttl)
    plain = {"token-id": token_id, "token-secret": secret, "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true"}
    plain |= {"expiration": rfc3339(clock.now() + life)} if life is not None else {}
    plain |= {"auth-extra-groups": ",".join(groups)} if groups else {}
    plain |= {"description": description} if description else {}
    return core_v1.Secret(
        metadata=meta_v1.ObjectMeta(name=PREFIX + token_id, namespace=NAMESPACE),
        type=TYPE,
        data={key: base64.b64encode(value.encode()).decode() for key, value in plain.items()},
    )


async def create(client: Client, secret: core_v1.Secret) -> None:
    """Raises ClusterError if there is one of that id."""
    try:
        await client.create(secret)
    except AlreadyExists as error:
        raise ClusterError(f"there is a token {secret.metadata.name.removeprefix(PREFIX)} already") from error


async def listed(client: Client) -> list[TokenRow]:
    rows = []
    for secret in (await client.list(core_v1.Secret, NAMESPACE, fields=f"type={TYPE}")).items:
        token = token_of(secret)
        if token is None:
            continue
        usages = [name for name, on in (("authentication", token.authentication), ("signing", token.signing)) if on]
        rows.append(
            TokenRow(
                token=token.token_id,
                expires=token.expiration,
                usages=usages,
                groups=list(token.groups),
                description=token.description,
            )
        )
    return rows


async def delete(client: Client, name: str) -> None:
    """By id or whole token. Raises ClusterError."""
    token_id = name.partition(".")[0]
    try:
        await client.delete(core_v1.Secret, PREFIX + token_id, NAMESPACE)
    except NotFound as error:
        raise ClusterError(f"there is no token {token_id}") from error
