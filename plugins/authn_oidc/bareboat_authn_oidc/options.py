"""The options: upstream's AuthenticationConfiguration, its part ``jwt``. Strict: every mistake is named when the server starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec

#: Signatures by a private key; never a shared secret, never none.
Algorithm = Literal["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
_KEY = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+/[a-z0-9._~!$&'()*+,;=:@%-]+")


class Issuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``url`` as in the claim ``iss``; its keys are found at ``discoveryURL`` or url + /.well-known/openid-configuration, whose server
    ``certificateAuthority`` (PEM; none: the machine's) vouches for. A token must be for one of ``audiences``."""

    url: str
    audiences: list[str]
    discoveryURL: str = ""
    certificateAuthority: str = ""
    audienceMatchPolicy: Literal["", "MatchAny"] = ""
    signingAlgorithms: list[Algorithm] = msgspec.field(default_factory=lambda: list(ALGORITHMS))


class ClaimRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either ``claim`` with its ``requiredValue``, or an ``expression`` over ``claims`` that must be true, and what to say if not."""

    claim: str = ""
    requiredValue: str = ""
    expression: str = ""
    message: str = ""


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either a ``claim`` with the ``prefix`` of its value (to be named, if only as ""), or an ``expression`` over ``claims``."""

    claim: str = ""
    prefix: str | None = None
    expression: str = ""


class Plain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    claim: str = ""
    expression: str = ""


class Extra(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``key`` is a path below a domain, such as example.com/team."""

    key: str
    valueExpression: str


class Mappings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    username: Mapping
    groups: Mapping = Mapping()
    uid: Plain = Plain()
    extra: list[Extra] = []


class UserRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An ``expression`` over ``user`` (username, uid, groups, extra) that must be true, and what to say if not."""

    expression: str
    message: str = ""


class Jwt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One issuer and what is made of its tokens."""

    issuer: Issuer
    claimMappings: Mappings
    claimValidationRules: list[ClaimRule] = []
    userValidationRules: list[UserRule] = []


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any number of issuers."""

    jwt: list[Jwt] = []


def parse(tree: dict[str, Any], reserved: tuple[str, ...]) -> Options:
    """``reserved`` are issuers of the cluster itself. Raises ValueError with every fault."""
    try:
        options = msgspec.convert(tree, Options)
    except msgspec.ValidationError as error:
        raise ValueError(f"options: {error}") from error
    faults = [f"jwt[{i}].{fault}" for i, jwt in enumerate(options.jwt) for fault in _faults(jwt, reserved)]
    urls = [jwt.issuer.url for jwt in options.jwt]
    places = [jwt.issuer.discoveryURL for jwt in options.jwt if jwt.issuer.discoveryURL]
    faults += [
        f"jwt: two issuers with {what} {url!r}" for what, known in (("url", urls), ("discoveryURL", places)) for url in _twice(known)
    ]
    if faults:
        raise ValueError(f"options: {'; '.join(faults)}")
    return options


def _twice(values: list[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})


def _faults(jwt: Jwt, reserved: tuple[str, ...]) -> Iterator[str]:
    yield from _issuer_faults(jwt.issuer, reserved)
    for i, rule in enumerate(jwt.claimValidationRules):
        if bool(rule.claim) == bool(rule.expression):
            yield f"claimValidationRules[{i}]: either claim or expression must be there"
        if (rule.requiredValue and rule.expression) or (rule.message and rule.claim):
            yield f"claimValidationRules[{i}]: requiredValue goes with claim, message with expression"
    yield from _mapping_faults(jwt.claimMappings)
    yield from _email_faults(jwt)


def _issuer_faults(issuer: Issuer, reserved: tuple[str, ...]) -> Iterator[str]:
    for field, url in (("url", issuer.url), ("discoveryURL", issuer.discoveryURL)):
        parts = urlsplit(url)
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        if (url or field == "url") and not (parts.scheme == "https" and parts.netloc and plain):
            yield f"issuer.{field}: {url!r} must be an https URL without user, query and fragment"
    if issuer.url in reserved:
        yield f"issuer.url: {issuer.url!r} is the cluster's own issuer"
    if issuer.discoveryURL and issuer.discoveryURL.rstrip("/") == issuer.url.rstrip("/"):
        yield "issuer.discoveryURL: must not be the url; leave it out"
    if not issuer.audiences or not all(issuer.audiences) or _twice(issuer.audiences):
        yield "issuer.audiences: at least one is needed, none empty, each once"
    if len(issuer.audiences) > 1 and issuer.audienceMatchPolicy != "MatchAny":
        yield "issuer.audienceMatchPolicy: must be MatchAny for several audiences"
    if not issuer.signingAlgorithms:
        yield f"issuer.signingAlgorithms: at least one of {', '.join(ALGORITHMS)}"


def _mapping_faults(mappings: Mappings) -> Iterator[str]:
    if bool(mappings.username.claim) == bool(mappings.username.expression):
        yield "claimMappings.username: either claim or expression must be there"
    for name, found in (("username", mappings.username), ("groups", mappings.groups)):
        if found.claim and found.expression:
            yield f"claimMappings.{name}: claim and expression exclude each other"
        if (found.claim != "") != (found.prefix is not None):
            yield f'claimMappings.{name}.prefix: goes with claim, and must be named beside it (prefix: "" for none)'
    if mappings.uid.claim and mappings.uid.expression:
        yield "claimMappings.uid: claim and expression exclude each other"
    keys = [extra.key for extra in mappings.extra]
    for i, key in enumerate(keys):
        domain = key.partition("/")[0]
        if not _KEY.fullmatch(key):
            yield f"claimMappings.extra[{i}].key: {key!r} must be a lower-case path below a domain, such as example.com/team"
        elif any(domain == own or domain.endswith(f".{own}") for own in ("kubernetes.io", "k8s.io")):
            yield f"claimMappings.extra[{i}].key: {key!r} is reserved for Kubernetes"
        if keys.index(key) != i:
            yield f"claimMappings.extra[{i}].key: {key!r} stands twice"


def _email_faults(jwt: Jwt) -> Iterator[str]:
    """An address that nobody verified is no name."""
    mappings = jwt.claimMappings
    if not re.search(r"\bclaims\.email\b", mappings.username.expression):
        return
    rules = [rule.expression for rule in jwt.claimValidationRules]
    looks = [mappings.username.expression, *rules, *(extra.valueExpression for extra in mappings.extra)]
    if not any("claims.email_verified" in text or "claims.?email_verified" in text for text in looks):
        yield "claimMappings.username.expression: uses claims.email, so that claims.email_verified must be looked at, here or in a rule"
