"""Where a service is and who we are to it: a kubeconfig becomes the client configuration of a webhook."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bareboat.client import kubeconfig


def client_of(path: str) -> dict[str, Any]:
    """Raises ValueError, also for a plain connection to elsewhere: what is sent are tokens."""
    try:
        client = kubeconfig.webhook(Path(path))
    except kubeconfig.KubeconfigError as error:
        raise ValueError(f"kubeConfigFile: {error}") from error
    parts = urlsplit(client["url"])
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(parts.hostname or "")):
        raise ValueError(f"kubeConfigFile: {path}: server {client['url']!r} must be https://…")
    return client


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
