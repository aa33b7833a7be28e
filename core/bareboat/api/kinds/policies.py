"""PodDisruptionBudget."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import at_most_all, int_or_percent, invalid, non_negative, one_of
from bareboat.api.kinds.names import path_segment
from bareboat.api.kinds.selectors import validate_selector
from bareboat.api.strategy import Strategy, SubresourceStrategy
from bareboat.models.status import Cause

_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


class BudgetStatus(SubresourceStrategy):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return [cause for name in _COUNTS for cause in non_negative(f"status.{name}", getattr(new.status, name))]


class DisruptionBudgetStrategy(KindStrategy):
    allow_unconditional_update = False
    subresources = {"status": BudgetStatus()}

    def validate_name(self, name: str) -> list[str]:
        """Upstream checks no more than what every path needs."""
        return path_segment(name)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes: list[Cause] = []
        if spec.minAvailable is not None and spec.maxUnavailable is not None:
            causes.append(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
        for name in ("minAvailable", "maxUnavailable"):
            value = getattr(spec, name)
            if value is not None:
                causes += int_or_percent(f"spec.{name}", value) + at_most_all(f"spec.{name}", value)
        causes += validate_selector(spec.selector, "spec.selector")
        if spec.unhealthyPodEvictionPolicy is not None:
            field = "spec.unhealthyPodEvictionPolicy"
            causes += one_of(field, spec.unhealthyPodEvictionPolicy, ("AlwaysAllow", "IfHealthyBudget"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


STRATEGIES: dict[str, type[Strategy]] = {"policy/poddisruptionbudgets": DisruptionBudgetStrategy}
