"""Annotations of pods and templates that mean something: profiles of old, the cost of deletion."""

from __future__ import annotations

import re
from typing import Any

from bareboat.api.kinds.causes import forbidden, immutable, invalid
from bareboat.models.status import Cause

COST = "controller.kubernetes.io/pod-deletion-cost"
MIRROR = "kubernetes.io/config.mirror"
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"
_INTEGER = re.compile(r"(0|-?[1-9][0-9]*)", re.ASCII)


def validate_pod_annotations(annotations: dict[str, str], spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for key, value in annotations.items():
        if key == COST:
            causes += _cost(value, f"{at}[{key}]")
        elif key == MIRROR and not spec.nodeName:
            causes.append(invalid(f"{at}[{key}]", spec.nodeName, "must set spec.nodeName if mirror pod annotation is set"))
        elif key.startswith(_APP_ARMOR):
            causes += _app_armor(key, value, spec, f"{at}[{key}]")
        elif key == _SECCOMP_POD or key.startswith(_SECCOMP):
            causes += _seccomp(value, f"{at}.{key}")
    return causes


def _cost(value: str, field: str) -> list[Cause]:
    good = _INTEGER.fullmatch(value) is not None and -(2**31) <= int(value) < 2**31
    return [] if good else [invalid(field, value, "must be a 32bit integer")]


def _app_armor(key: str, value: str, spec: Any, field: str) -> list[Cause]:
    name = key.removeprefix(_APP_ARMOR)
    names = {c.name for c in [*spec.containers, *spec.initContainers, *spec.ephemeralContainers]}
    causes = [] if name in names else [invalid(field, name, "container not found")]
    if value not in ("", "runtime/default", "unconfined") and not value.startswith("localhost/"):
        causes.append(invalid(field, value, f'invalid AppArmor profile name: "{value}"'))
    return causes


def _seccomp(value: str, field: str) -> list[Cause]:
    if value in ("runtime/default", "docker/default", "unconfined") or value.startswith("localhost/"):
        return []
    return [invalid(field, value, "must be a valid seccomp profile")]


def validate_pod_annotation_updates(new: dict[str, str], old: dict[str, str], at: str) -> list[Cause]:
    """Profiles stay as they are; a pod neither becomes nor ceases to be a mirror."""
    causes: list[Cause] = []
    for key in old.keys() | new.keys():
        if key.startswith(_APP_ARMOR) and new.get(key) != old.get(key):
            verb = "remove or update" if key in old else "add"
            causes.append(forbidden(f"{at}[{key}]", f"may not {verb} AppArmor annotations"))
    return causes + immutable(f"{at}[{MIRROR}]", new.get(MIRROR, ""), old.get(MIRROR, ""))
