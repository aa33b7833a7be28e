"""Formats that a schema may ask of a string. A format that is not known is not checked, as upstream."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from bareboat.models.names import dns1123_label, dns1123_subdomain, label_value, qualified_name
from bareboat.models.times import parse

_HOST = re.compile(
    r"^([a-zA-Z0-9\u00a1-\uffff]([a-zA-Z0-9\u00a1-\uffff-]{0,61}[a-zA-Z0-9\u00a1-\uffff])?\.)*[a-zA-Z0-9\u00a1-\uffff]([a-zA-Z0-9\u00a1-\uffff-]{0,61}[a-zA-Z0-9\u00a1-\uffff])?\.?$"
)
_DURATION = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$|^[-+]?0$")
_SPELLED = re.compile(r"^(\d+)\s*(ns|us|µs|ms|s|m|h|d|w|nanoseconds?|microseconds?|milliseconds?|seconds?|minutes?|hours?|days?|weeks?)$")
_EMAIL = re.compile(r"^[^@\s<>]+@[^@\s<>]+$")
_HEX = "[0-9a-fA-F]"


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.search(text) is not None


def _raises(check: Callable[[str], Any]) -> Callable[[str], bool]:
    def valid(text: str) -> bool:
        try:
            check(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return valid


def _uuid(version: str = f"{_HEX}") -> Callable[[str], bool]:
    return _matches(f"^{_HEX}{{8}}-?{_HEX}{{4}}-?{version}{_HEX}{{3}}-?{_HEX}{{4}}-?{_HEX}{{12}}$")


def _is_uri(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme) or text.startswith("/")


def _is_cidr(text: str) -> bool:
    return "/" in text and _raises(lambda t: ipaddress.ip_network(t, strict=False))(text)


def _is_duration(text: str) -> bool:
    return bool(_DURATION.match(text) or _SPELLED.match(text))


def _digits(text: str) -> str:
    return re.sub(r"[ -]", "", text)


FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches("^[0-9a-fA-F]{24}$"),
    "uri": _is_uri,
    "email": lambda text: _EMAIL.match(text) is not None,
    "hostname": lambda text: len(text) < 256 and _HOST.match(text) is not None,
    "ipv4": lambda text: "." in text and _raises(ipaddress.IPv4Address)(text),
    "ipv6": lambda text: ":" in text and _raises(ipaddress.IPv6Address)(text),
    "cidr": _is_cidr,
    "mac": _matches("^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$|^([0-9a-fA-F]{4}\\.){2}[0-9a-fA-F]{4}$"),
    "uuid": _uuid(),
    "uuid3": _uuid("3"),
    "uuid4": _matches(f"^{_HEX}{{8}}-?{_HEX}{{4}}-?4{_HEX}{{3}}-?[89abAB]{_HEX}{{3}}-?{_HEX}{{12}}$"),
    "uuid5": _matches(f"^{_HEX}{{8}}-?{_HEX}{{4}}-?5{_HEX}{{3}}-?[89abAB]{_HEX}{{3}}-?{_HEX}{{12}}$"),
    "isbn10": lambda text: len(_digits(text)) == 10,
    "isbn13": lambda text: len(_digits(text)) == 13,
    "isbn": lambda text: len(_digits(text)) in (10, 13),
    "creditcard": lambda text: 13 <= len(_digits(text)) <= 19 and _digits(text).isdigit(),
    "ssn": _matches(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$"),
    "hexcolor": _matches("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"),
    "rgbcolor": _matches(r"^rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)$"),
    "byte": _raises(lambda text: base64.b64decode(text, validate=True)),
    "date": _raises(date.fromisoformat),
    "datetime": _raises(parse),
    "date-time": _raises(parse),
    "duration": _is_duration,
    "k8s-short-name": lambda text: not dns1123_label(text),
    "k8s-long-name": lambda text: not dns1123_subdomain(text),
    "k8s-label-key": lambda text: not qualified_name(text),
    "k8s-label-value": lambda text: not label_value(text),
}
