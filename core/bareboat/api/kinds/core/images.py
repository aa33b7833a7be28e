"""Names of container images, as far as the default of the pull policy needs them."""

from __future__ import annotations

import re

from bareboat.base.memo import remembered

_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_DOMAIN = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
    r"|\[[a-fA-F0-9:]+\])(?::[0-9]+)?",
    re.ASCII,
)
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}", re.ASCII)
_ID = re.compile("[a-f0-9]{64}")


@remembered(1024)
def pull_policy(image: str) -> str:
    """Always for what is named or taken to be ``latest``; IfNotPresent for the rest, and for what is no name."""
    return "Always" if _tag(image) == "latest" else "IfNotPresent"


def _tag(image: str) -> str:
    if _ID.fullmatch(image):
        return ""
    name, at, digest = image.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return ""
    base, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        base, tag, colon = name, "", ""
    if (colon and not _TAG.fullmatch(tag)) or not _named(base):
        return ""
    return tag if colon else "" if at else "latest"


def _named(name: str) -> bool:
    first, slash, rest = name.partition("/")
    is_domain = bool(slash) and (any(c in first for c in ".:") or first == "localhost" or first != first.lower())
    if is_domain:
        return bool(_DOMAIN.fullmatch(first)) and bool(_PATH.fullmatch(rest))
    return bool(_PATH.fullmatch(name)) and len(name) <= 245
