"""Syntax checks: what passes and what is said."""

import random

import pytest

from bareboat.models import names


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (names.dns1123_label, "a-1"),
        (names.dns1123_subdomain, "a.b-c.1"),
        (names.dns1035_label, "a1"),
        (names.qualified_name, "example.com/A_b.c"),
        (names.label_value, ""),
        (names.config_map_key, "A.b-c_d"),
        (names.env_var_name, "A_B.c"),
        (names.relaxed_env_var_name, "a b?"),
        (names.port_name, "http-2"),
        (names.percent, "10%"),
        (names.wildcard_dns1123_subdomain, "*.a.b"),
        (names.http_header_name, "X-A"),
        (names.c_identifier, "_a1"),
    ],
)
def test_good_names_have_no_faults(check, good):
    assert check(good) == []


def test_a_trailing_newline_is_no_match():
    assert names.dns1123_label("a\n")
    assert names.label_value("a\n")


def test_a_label_with_dots_is_told_so():
    assert names.dns1123_label("a.b") == ["must not contain dots"]


def test_faults_are_upstreams_words():
    assert names.dns1123_label("A") == [
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
        "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    ]
    assert names.qualified_name("/") == [
        "prefix part must be non-empty",
        "name part must be non-empty",
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
        "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ]
    assert names.label_value("x" * 64) == ["must be no more than 63 bytes"]
    assert names.port_number(0) == ["must be between 1 and 65535, inclusive"]
    assert names.config_map_key("..") == ["must not be '..'"]
    assert names.port_name("-1") == ["must contain at least one letter (a-z)", "must not begin or end with a hyphen"]


def test_the_quick_look_at_a_config_key_says_what_the_long_one_says():
    chance = random.Random(5)
    keys = ["", ".", "..", "..a", ".a", "a..", "a" * 253, "a" * 254, ".\n", "a\n", "é"]
    keys += ["".join(chance.choices(".-_aZ9 \n/", k=chance.randrange(5))) for _ in range(2000)]
    for key in keys:
        assert (names.is_config_map_key(key) is None) == bool(names.config_map_key(key)), repr(key)
