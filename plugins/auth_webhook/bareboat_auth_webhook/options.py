"""The options, strict: every mistake is named with its path when the server starts."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]


class TokenWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name`` in ``authentication`` of the cluster file, ``kubeConfigFile`` where the service is and who we are to it.

    Answers are remembered: users for ``authorizedTTL``, refusals for ``unauthorizedTTL``; ``timeout`` of one call.
    """

    name: Name = "webhook"
    kubeConfigFile: str
    authorizedTTL: str = "2m"
    unauthorizedTTL: str = "30s"
    timeout: str = "10s"


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CEL over ``request``, the spec of the SubjectAccessReview."""

    expression: str


class AccessWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name`` in ``authorization`` of the cluster file, ``kubeConfigFile`` where the service is and who we are to it.

    It is asked where all ``matchConditions`` are true. ``failurePolicy`` says what a failure means: NoOpinion leaves the request to
    the authorizers after it, Deny refuses it.
    """

    name: Name = "webhook"
    kubeConfigFile: str
    authorizedTTL: str = "5m"
    unauthorizedTTL: str = "30s"
    timeout: str = "3s"
    failurePolicy: Literal["NoOpinion", "Deny"] = "NoOpinion"
    matchConditions: list[Condition] = []


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any number of either."""

    authenticators: list[TokenWebhook] = []
    authorizers: list[AccessWebhook] = []


def parse(tree: dict[str, Any]) -> Options:
    """Raises ValueError."""
    try:
        options = msgspec.convert(tree, Options)
    except msgspec.ValidationError as error:
        raise ValueError(f"options: {error}") from error
    for kind in ("authenticators", "authorizers"):
        names = [hook.name for hook in getattr(options, kind)]
        if len(set(names)) < len(names):
            raise ValueError(f"options: {kind}: two of one name: {', '.join(names)}")
        for i, hook in enumerate(getattr(options, kind)):
            for field in ("authorizedTTL", "unauthorizedTTL", "timeout"):
                _check(f"{kind}[{i}].{field}", getattr(hook, field))
    return options


def _check(path: str, text: str) -> None:
    try:
        found = seconds(text)
    except ValueError as error:
        raise ValueError(f"options: {path}: {error}") from error
    if path.endswith("timeout") and not 0 < found <= 30:
        raise ValueError(f"options: {path}: {text!r} must be over 0 and at most 30s")


def seconds(text: str) -> float:
    """Of a duration such as 30s or 1m30s. Raises ValueError."""
    found = _DURATION.findall(text)
    if "".join(number + unit for number, unit in found) != text or not found:
        raise ValueError(f"{text!r} is no duration such as 500ms, 30s or 5m")
    return sum(float(number) * _SECONDS[unit] for number, unit in found)
