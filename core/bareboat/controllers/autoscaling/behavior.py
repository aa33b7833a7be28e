"""How fast and how nervously the number of replicas may move: stabilization windows, rate policies, limits."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from bareboat.controllers.autoscaling.proposal import Tolerance
from bareboat.models import autoscaling_v2
from bareboat.models.quantity import Quantity

_POLICY = autoscaling_v2.HPAScalingPolicy
_UP = [_POLICY(type="Pods", value=4, periodSeconds=15), _POLICY(type="Percent", value=100, periodSeconds=15)]
_DOWN = [_POLICY(type="Percent", value=100, periodSeconds=15)]
DOWN_WINDOW = 300


class Rules(NamedTuple):
    window: int
    select: str
    policies: list[autoscaling_v2.HPAScalingPolicy]


class Verdict(NamedTuple):
    """The replicas, and the (reason, message) of being stabilized and of being limited, empty where it is neither."""

    replicas: int
    stabilized: tuple[str, str]
    limited: tuple[str, str]


def rules_of(autoscaler: Any) -> tuple[Rules, Rules]:
    """For scaling up and down."""
    behavior = autoscaler.spec.behavior
    up = behavior.scaleUp if behavior is not None else None
    down = behavior.scaleDown if behavior is not None else None
    return _rules(up, 0, _UP), _rules(down, DOWN_WINDOW, _DOWN)


def _rules(given: autoscaling_v2.HPAScalingRules | None, window: int, policies: list[autoscaling_v2.HPAScalingPolicy]) -> Rules:
    if given is None:
        return Rules(window, "Max", policies)
    own = given.stabilizationWindowSeconds
    return Rules(window if own is None else own, given.selectPolicy or "Max", given.policies or policies)


def tolerance_of(autoscaler: Any) -> Tolerance:
    behavior = autoscaler.spec.behavior
    found = [r.tolerance if r is not None else None for r in ((behavior.scaleDown, behavior.scaleUp) if behavior is not None else ())]
    down, up = (0.1 if t is None else Quantity.parse(t).milli() / 1000 for t in found or (None, None))
    return Tolerance(down, up)


class History:
    """Of one autoscaler: what was recommended and how it scaled, with the moment of each."""

    def __init__(self) -> None:
        self._recommended: list[tuple[float, int]] = []
        self._changes: list[tuple[float, int]] = []

    def scaled(self, now: float, change: int) -> None:
        self._changes = [(t, c) for t, c in self._changes if now - t <= 3600.0] + [(now, change)]

    def changed(self, now: float, seconds: float) -> int:
        """By how much it grew (or shrank, negative) within the last ``seconds``."""
        return sum(c for t, c in self._changes if now - t < seconds)

    def stabilize(self, desired: int, current: int, up: Rules, down: Rules, now: float) -> tuple[int, tuple[str, str]]:
        """The most careful of the recent recommendations."""
        if not self._recommended:
            self._recommended.append((now, current))
        lowest, highest = desired, desired
        for moment, replicas in self._recommended:
            if now - moment < up.window:
                lowest = min(lowest, replicas)
            if now - moment < down.window:
                highest = max(highest, replicas)
        longest = max(up.window, down.window)
        self._recommended = [(t, r) for t, r in self._recommended if now - t < longest] + [(now, desired)]
        found = min(max(current, lowest), highest)
        if found > desired:
            why = "recent recommendations were higher than current one, applying the highest recent recommendation"
            return found, ("ScaleDownStabilized", why)
        if found < desired:
            why = "recent recommendations were lower than current one, applying the lowest recent recommendation"
            return found, ("ScaleUpStabilized", why)
        return found, ("", "")


def decide(desired: int, current: int, least: int, most: int, autoscaler: Any, history: History, now: float) -> Verdict:
    up, down = rules_of(autoscaler)
    wanted, stabilized = history.stabilize(desired, current, up, down, now)
    if wanted > current:
        fastest = max(current, _limit(up, current, history, now, growing=True))
        if wanted > min(most, fastest):
            reason = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
            if fastest < most:
                reason = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
            return Verdict(min(most, fastest), stabilized, reason)
    elif wanted < current:
        slowest = min(current, _limit(down, current, history, now, growing=False))
        if wanted < max(least, slowest):
            reason = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
            if slowest > least:
                reason = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
            return Verdict(max(least, slowest), stabilized, reason)
    return Verdict(wanted, stabilized, ("", ""))


def _limit(rules: Rules, current: int, history: History, now: float, *, growing: bool) -> int:
    if rules.select == "Disabled":
        return current
    proposals = []
    for policy in rules.policies:
        start = current - history.changed(now, policy.periodSeconds)
        change: float = policy.value if policy.type == "Pods" else start * policy.value / 100
        proposals.append(math.ceil(start + change) if growing else math.trunc(start - change))
    boldest = (rules.select == "Max") == growing
    return max(proposals) if boldest else min(proposals)
