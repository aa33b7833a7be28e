"""The entry point: contributes the policies; which of them run, and with what weight, is the cluster file's choice."""

from __future__ import annotations

from bareboat.contracts.hooks import hookimpl
from bareboat.contracts.scheduling import SchedulingPolicy


@hookimpl
def bareboat_scheduling_policies() -> list[SchedulingPolicy]:
    from bareboat_sched_policies.allocation import BalancedAllocation, LeastAllocated

    return [LeastAllocated(), BalancedAllocation()]
