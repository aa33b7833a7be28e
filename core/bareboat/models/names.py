"""Syntax of names, labels and keys. In: a text. Out: what is wrong with it, in the words that clients of the API know; [] if nothing."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_UNDERSCORED_LABEL: Final = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORED: Final = rf"{_UNDERSCORED_LABEL}(\.{_UNDERSCORED_LABEL})*"
_WILDCARD: Final = rf"\*\.{_SUBDOMAIN}"
_KEY: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = f"({_KEY})?"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"
_ENV_NAME: Final = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_C_IDENTIFIER: Final = "[A-Za-z_][A-Za-z0-9_]*"
_HEADER: Final = "[-A-Za-z0-9]+"
_PERCENT: Final = "[0-9]+%"
_HTTP_PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"

_is_subdomain: Final = re.compile(_SUBDOMAIN, re.ASCII).fullmatch
_KEY_RULE: Final = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
_KEY_EXAMPLES: Final = ("MyName", "my.name", "123-abc")


def dns1123_label(value: str) -> list[str]:
    faults = _too_long(value, 63)
    if not _is(_LABEL, value):
        if _is(_SUBDOMAIN, value):
            return [*faults, "must not contain dots"]
        rule = (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character"
        )
        faults.append(pattern_fault(rule, _LABEL, "my-name", "123-abc"))
    return faults


def dns1123_subdomain(value: str) -> list[str]:
    if len(value) <= 253 and _is_subdomain(value) is not None:
        return []
    rule = (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
        "and must start and end with an alphanumeric character"
    )
    return _too_long(value, 253) + _pattern(value, rule, _SUBDOMAIN, "example.com")


def dns1123_subdomain_with_underscore(value: str) -> list[str]:
    rule = (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
        "and must start and end with an alphanumeric character"
    )
    return _too_long(value, 253) + _pattern(value, rule, _UNDERSCORED, "example.com")


def wildcard_dns1123_subdomain(value: str) -> list[str]:
    rule = (
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
        "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
    )
    return _too_long(value, 253) + _pattern(value, rule, _WILDCARD, "*.example.com")


def dns1035_label(value: str) -> list[str]:
    rule = (
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
        "and end with an alphanumeric character"
    )
    return _too_long(value, 63) + _pattern(value, rule, _LABEL_1035, "my-name", "abc-123")


def qualified_name(value: str) -> list[str]:
    """A label key: an optional DNS prefix and a name."""
    *prefixes, name = value.split("/")
    if len(prefixes) > 1:
        fault = pattern_fault(_KEY_RULE, _KEY, *_KEY_EXAMPLES)
        return [f"a valid label key {fault} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    faults = []
    if prefixes:
        found = dns1123_subdomain(prefixes[0]) if prefixes[0] else [EMPTY]
        faults += [f"prefix part {fault}" for fault in found]
    if not name:
        faults.append(f"name part {EMPTY}")
    faults += [f"name part {fault}" for fault in _over(name, 63) + _pattern(name, _KEY_RULE, _KEY, *_KEY_EXAMPLES)]
    return faults


label_key = qualified_name


def label_value(value: str) -> list[str]:
    rule = (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
        "and must start and end with an alphanumeric character"
    )
    return _over(value, 63) + _pattern(value, rule, _VALUE, "MyValue", "my_value", "12345")


def config_map_key(value: str) -> list[str]:
    rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    faults = _too_long(value, 253) + _pattern(value, rule, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name")
    return faults + _dots(value)


#: The same as a test: None for a key that is none, or that only ``config_map_key`` can judge.
is_config_map_key = re.compile(rf"(?!\.\.|\.\Z){_CONFIG_KEY[:-1]}{{1,253}}", re.ASCII).fullmatch


def env_var_name(value: str) -> list[str]:
    rule = (
        "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit"
    )
    return _pattern(value, rule, _ENV_NAME, "my.env-name", "MY_ENV.NAME", "MyEnvName1") + _dots(value)


def relaxed_env_var_name(value: str) -> list[str]:
    faults = [] if value else [f"environment variable name {EMPTY}"]
    if any(not " " <= char <= "~" or char == "=" for char in value):
        faults.append("a valid environment variable name must consist only of printable ASCII characters other than '='")
    return faults


def c_identifier(value: str) -> list[str]:
    rule = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'"
    return _pattern(value, rule, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")


def http_header_name(value: str) -> list[str]:
    return _pattern(value, "a valid HTTP header must consist of alphanumeric characters or '-'", _HEADER, "X-Header-Name")


def percent(value: str) -> list[str]:
    return _pattern(value, "a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%")


def http_path(value: str) -> list[str]:
    return _pattern(value, "Invalid path", _HTTP_PATH)


def port_number(value: int) -> list[str]:
    return in_range(value, 1, 65535)


def in_range(value: int, low: int, high: int) -> list[str]:
    return [] if low <= value <= high else [f"must be between {low} and {high}, inclusive"]


def port_name(value: str) -> list[str]:
    faults = _too_long(value, 15)
    if not _is("[-a-z0-9]+", value):
        faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if re.search("[a-z]", value) is None:
        faults.append("must contain at least one letter (a-z)")
    if "--" in value:
        faults.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        faults.append("must not begin or end with a hyphen")
    return faults


EMPTY: Final = "must be non-empty"


def pattern_fault(rule: str, pattern: str, *examples: str) -> str:
    """The sentence about a text that does not match, with examples of such that do."""
    if not examples:
        return f"{rule} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {shown}regex used for validation is '{pattern}')"


def _pattern(value: str, rule: str, pattern: str, *examples: str) -> list[str]:
    return [] if _is(pattern, value) else [pattern_fault(rule, pattern, *examples)]


def _is(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def _too_long(value: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} characters"] if len(value.encode()) > limit else []


def _over(value: str, limit: int) -> list[str]:
    """Label keys and values are counted in bytes, and say so."""
    return [f"must be no more than {limit} bytes"] if len(value.encode()) > limit else []


def _dots(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []
