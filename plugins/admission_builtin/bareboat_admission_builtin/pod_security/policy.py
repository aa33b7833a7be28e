"""Which level in which version a namespace asks for: from its labels and the defaults, with what is wrong with the labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from bareboat.models.status import Cause, quote
from bareboat_admission_builtin.options import Level

LEVELS = ("privileged", "baseline", "restricted")
PREFIX = "pod-security.kubernetes.io/"
LATEST = 1 << 30
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")


class Target(NamedTuple):
    """``version`` is the minor one; LATEST for latest."""

    level: str
    version: int

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.version == LATEST else f'v1.{self.version}'}"

    @property
    def rank(self) -> int:
        return LEVELS.index(self.level)


class Policy(NamedTuple):
    enforce: Target
    audit: Target
    warn: Target

    @property
    def idle(self) -> bool:
        """Whether every level is the first, which asks for nothing."""
        return self.enforce.level == self.audit.level == self.warn.level == LEVELS[0]


def version(text: str) -> int | None:
    """None for what is none."""
    if text == "latest":
        return LATEST
    found = _VERSION.fullmatch(text)
    return int(found[1]) if found is not None else None


def defaults(level: Level) -> Policy:
    """Raises ValueError for levels and versions that are none."""
    targets = []
    for mode in Policy._fields:
        name, number = getattr(level, mode), version(getattr(level, f"{mode}_version"))
        if name not in LEVELS or number is None:
            raise ValueError(f"podSecurity.defaults.{mode}: {name}:{getattr(level, f'{mode}_version')} is no level and version")
        targets.append(Target(name, number))
    return Policy(*targets)


def policy_of(labels: Mapping[str, str], default: Policy) -> tuple[Policy, list[Cause]]:
    """Levels that cannot be understood are restricted when enforced and privileged otherwise; versions that cannot be are the latest."""
    causes: list[Cause] = []
    found = {mode: _target(labels, mode, getattr(default, mode), causes) for mode in Policy._fields}
    if f"{PREFIX}enforce" in labels and f"{PREFIX}warn" not in labels and found["enforce"].rank > found["warn"].rank:
        found["warn"] = found["enforce"]
    return Policy(**found), causes


def _target(labels: Mapping[str, str], mode: str, default: Target, causes: list[Cause]) -> Target:
    level, number = default
    text = labels.get(f"{PREFIX}{mode}")
    if text is not None:
        level = text
        if text not in LEVELS:
            level = "restricted" if mode == "enforce" else "privileged"
            causes.append(_invalid(mode, text, f"must be one of {', '.join(LEVELS)}"))
        number = LATEST
    wanted = labels.get(f"{PREFIX}{mode}-version")
    if wanted is not None:
        known = version(wanted)
        number = LATEST if known is None else known
        if known is None:
            causes.append(_invalid(f"{mode}-version", wanted, 'must be "latest" or "v1.x"'))
    return Target(level, number)


def _invalid(label: str, value: str, because: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {quote(value)}: {because}", f"metadata.labels[{PREFIX}{label}]")
