"""semver(), and the comparisons that quantities and semantic versions share."""

from __future__ import annotations

import re
from typing import Any

from bareboat.cel.functions import quantities
from bareboat.cel.functions.function import Function, Opaque, inside, opaque

KIND = "kubernetes.Semver"
_NUMBER = r"(0|[1-9]\d*)"
_PRE = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PRE}(?:\.{_PRE})*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?")


def _made(text: str, normalize: bool = False) -> Opaque:
    wanted = _normal(text) if normalize else text
    if _SEMVER.fullmatch(wanted) is None:
        raise ValueError(f"invalid semantic version: {text}")
    return opaque(KIND, wanted)


def _valid(text: str, normalize: bool = False) -> bool:
    return _SEMVER.fullmatch(_normal(text) if normalize else text) is not None


def _normal(text: str) -> str:
    """Without a leading v and leading zeros, with all three numbers."""
    found = re.fullmatch(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)", text)
    if found is None:
        return text
    return ".".join(str(int(n or 0)) for n in found.groups()[:3]) + found[4]


def _parts(version: Opaque) -> tuple[Any, ...]:
    found = _SEMVER.fullmatch(inside(KIND, version))
    assert found is not None
    major, minor, patch, pre, _ = found.groups()
    return int(major), int(minor), int(patch), _order(pre)


def _order(pre: str | None) -> tuple[Any, ...]:
    """A release comes after its pre-releases; numbers before words."""
    if pre is None:
        return (1,)
    return (0, *((0, int(p), "") if p.isdigit() else (1, 0, p) for p in pre.split(".")))


def _compared(a: Opaque, b: Opaque) -> int:
    if KIND in a:
        return quantities.compare(_parts(a), _parts(b))
    return quantities.compared(a, b)


FUNCTIONS = (
    Function("semver", _made, "string", "map"),
    Function("semver", _made, "string bool", "map"),
    Function("isSemver", _valid, "string", "bool"),
    Function("isSemver", _valid, "string bool", "bool"),
    Function("major", lambda v: _parts(v)[0], "map", "int", member=True),
    Function("minor", lambda v: _parts(v)[1], "map", "int", member=True),
    Function("patch", lambda v: _parts(v)[2], "map", "int", member=True),
    Function("isLessThan", lambda a, b: _compared(a, b) < 0, "map map", "bool", member=True),
    Function("isGreaterThan", lambda a, b: _compared(a, b) > 0, "map map", "bool", member=True),
    Function("compareTo", _compared, "map map", "int", member=True),
)
