"""The entry point: contributes the policies; which of them run, and with what weight, is the cluster file's choice."""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.contracts.hooks import hookimpl
from bareboat.contracts.scheduling import SchedulingPolicy
from bareboat_sched_policies.options import Options


@hookimpl
def bareboat_scheduling_policies(options: dict[str, Any]) -> list[SchedulingPolicy]:
    from bareboat_sched_policies.allocation import BalancedAllocation, LeastAllocated, MostAllocated, RequestedToCapacity

    chosen = msgspec.convert(options, Options)
    return [LeastAllocated(chosen), MostAllocated(chosen), RequestedToCapacity(chosen), BalancedAllocation(chosen)]
