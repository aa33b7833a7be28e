"""Rules of file paths inside objects: absolute or relative, without steps back."""

from __future__ import annotations

import ipaddress

from bareboat.api.kinds.causes import invalid
from bareboat.base.memo import remembered
from bareboat.models.status import Cause

_BACKSTEP = "must not contain '..'"
IP_FAULT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def no_backsteps(field: str, path: str) -> list[Cause]:
    return [invalid(field, path, _BACKSTEP)] if ".." in path.split("/") else []


def descending(field: str, path: str) -> list[Cause]:
    """Below some directory."""
    causes = [invalid(field, path, "must be a relative path")] if path.startswith("/") else []
    return causes + no_backsteps(field, path)


def not_reserved(field: str, path: str) -> list[Cause]:
    """Below some directory, and not among the names that begin with two dots."""
    causes = descending(field, path)
    if path.startswith("..") and not path.startswith("../"):
        causes.append(invalid(field, path, "must not start with '..'"))
    return causes


@remembered(1024)
def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """As Go reads addresses: no zone; zeros in front make it none."""
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def ip_address(field: str, text: str) -> list[Cause]:
    return [] if parse_ip(text) is not None else [invalid(field, text, IP_FAULT)]


def file_mode(field: str, mode: int | None) -> list[Cause]:
    if mode is None or 0 <= mode <= 0o777:
        return []
    return [invalid(field, mode, "must be a number between 0 and 0777 (octal), both inclusive")]
