"""Every policy keeps the rules of the contract."""

from bareboat.testing.scheduling_suite import PolicySuite
from bareboat_sched_policies.allocation import BalancedAllocation, LeastAllocated, MostAllocated, RequestedToCapacity


class TestLeastAllocated(PolicySuite):
    def make_policy(self):
        return LeastAllocated()


class TestMostAllocated(PolicySuite):
    def make_policy(self):
        return MostAllocated()


class TestBalancedAllocation(PolicySuite):
    def make_policy(self):
        return BalancedAllocation()


class TestRequestedToCapacity(PolicySuite):
    def make_policy(self):
        return RequestedToCapacity()
