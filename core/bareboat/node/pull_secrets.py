"""The keyring of a pod: which of its pull secrets fit an image, after upstream's rules. Pure.

What comes in: Secrets of the types kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg. What goes out: Credentials, the most
specific first, all of which are to be tried. A key of such a file is a registry, perhaps with ``*`` in parts of its name, perhaps
with a path.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from bareboat.contracts.cri import Credentials
from bareboat.models import core_v1
from bareboat.node import image_names

_JSON, _PLAIN = "kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"
_DEFAULT = "index.docker.io"


class Keyring:
    """Of the entries of several secrets."""

    def __init__(self, secrets: Iterable[core_v1.Secret]) -> None:
        self._entries: dict[str, list[Credentials]] = {}
        for secret in secrets:
            for location, entry in _entries(secret).items():
                key, credentials = _key(location), _credentials(entry)
                if key and credentials is not None:
                    self._entries.setdefault(key, []).append(credentials)

    def lookup(self, image: str) -> list[Credentials]:
        """For an image as people write it."""
        repository = image_names.repository(image)
        found = [c for key in sorted(self._entries, reverse=True) if _matches(key, repository) for c in self._entries[key]]
        if not found and repository.startswith(f"{image_names.HUB}/"):
            found = self._entries.get(_DEFAULT, [])
        return list(dict.fromkeys(found))


def _entries(secret: core_v1.Secret) -> Mapping[str, Any]:
    """What a secret says by location; one that makes no sense says nothing."""
    field = {_JSON: ".dockerconfigjson", _PLAIN: ".dockercfg"}.get(secret.type, "")
    try:
        content = json.loads(base64.b64decode(secret.data.get(field, "")))
    except ValueError:
        return {}
    entries = content.get("auths") if isinstance(content, dict) and secret.type == _JSON else content
    return entries if isinstance(entries, dict) else {}


def _key(location: str) -> str:
    """Host and path, without the version of the registry's API."""
    try:
        url = urlsplit(location if location.startswith(("https://", "http://")) else f"https://{location}")
    except ValueError:
        return ""
    path = url.path[3:] if url.path.startswith(("/v1/", "/v2/")) else url.path
    return url.netloc + (path if path != "/" else "")


def _credentials(entry: Any) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            username, colon, password = base64.b64decode(str(entry["auth"]).strip()).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if not colon:
            return None
        password = password.rstrip("\0")
    return Credentials(username=username, password=password)


def _matches(key: str, repository: str) -> bool:
    """Each part of the host by itself, the same port, and the beginning of the path."""
    host, _, path = key.partition("/")
    target, _, target_path = repository.partition("/")
    name, _, port = host.partition(":")
    target_name, _, target_port = target.partition(":")
    parts, target_parts = name.split("."), target_name.split(".")
    if port != target_port or len(parts) != len(target_parts) or not target_path.startswith(path):
        return False
    return all(fnmatch.fnmatchcase(part, pattern) for pattern, part in zip(parts, target_parts, strict=True))
