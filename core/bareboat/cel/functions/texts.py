"""Regular expressions (find, findAll) and the named formats of strings (`format.dns1123Label().validate(text)`)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from bareboat.cel.functions.function import OPTIONAL, Function, Opaque, inside, opaque, optional
from bareboat.models.names import dns1035_label, dns1123_label, dns1123_subdomain, label_value, qualified_name
from bareboat.models.times import parse

FORMAT = "kubernetes.NamedFormat"


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)


def _find(text: str, pattern: str) -> str:
    found = _compiled(pattern).search(text)
    return "" if found is None else str(found[0])


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [str(m[0]) for m in _compiled(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


def _faults_of(check: Callable[[str], Any], sentence: str) -> Callable[[str], list[str]]:
    def faults(text: str) -> list[str]:
        try:
            check(text)
        except (ValueError, binascii.Error):
            return [sentence]
        return []

    return faults


def _prefixed(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """For the beginning of a generated name: it may end in a dash."""
    return lambda text: check(text[:-1] + "a" if text.endswith("-") else text)


def _uri(text: str) -> None:
    from bareboat.cel.functions.urls import FUNCTIONS as URLS

    URLS[0].impl(text)


def _is_uuid(text: str) -> None:
    import uuid

    uuid.UUID(text)


_FORMATS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": dns1123_label,
    "dns1123Subdomain": dns1123_subdomain,
    "dns1035Label": dns1035_label,
    "qualifiedName": qualified_name,
    "labelValue": label_value,
    "dns1123LabelPrefix": _prefixed(dns1123_label),
    "dns1123SubdomainPrefix": _prefixed(dns1123_subdomain),
    "dns1035LabelPrefix": _prefixed(dns1035_label),
    "uri": _faults_of(_uri, "invalid URI"),
    "uuid": _faults_of(_is_uuid, "does not match the UUID format"),
    "byte": _faults_of(lambda text: base64.b64decode(text, validate=True), "invalid base64"),
    "date": _faults_of(lambda text: parse(f"{text}T00:00:00Z"), "invalid date"),
    "datetime": _faults_of(parse, "invalid datetime"),
}


def _named(name: str) -> Opaque:
    return optional(opaque(FORMAT, name), present=True) if name in _FORMATS else optional(present=False)


def _validate(form: Opaque, text: str) -> Opaque:
    faults = _FORMATS[inside(FORMAT, form)](text)
    return optional(faults, present=bool(faults))


def _value(found: Opaque) -> Any:
    held = inside(OPTIONAL, found)
    if not held:
        raise ValueError("optional.none() dereference")
    return held[0]


def _or_value(found: Opaque, other: Any) -> Any:
    held = inside(OPTIONAL, found)
    return held[0] if held else other


FUNCTIONS = (
    Function("find", _find, "string string", "string", member=True),
    Function("findAll", _find_all, "string string", "list", member=True),
    Function("findAll", _find_all, "string string int", "list", member=True),
    Function("format.named", _named, "string", "map"),
    Function("validate", _validate, "map string", "map", member=True),
    Function("hasValue", lambda found: bool(inside(OPTIONAL, found)), "map", "bool", member=True),
    Function("value", _value, "map", "dyn", member=True),
    Function("orValue", _or_value, "map list", "dyn", member=True),
    *(Function(f"format.{name}", lambda name=name: opaque(FORMAT, name), "", "map") for name in _FORMATS),
)
