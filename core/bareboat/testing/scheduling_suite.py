"""The conformance suite of scheduling policies: every rule of ``contracts.scheduling`` against the policy that a subclass makes.

    class TestMyPolicy(PolicySuite):
        def make_policy(self):
            return MyPolicy()

A policy is a pure function over arrays of nodes; the suite calls it with empty, small, odd and large clusters. What it is *for* is the
author's to test: ``nodes`` and ``pod`` below make the arguments.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from bareboat.contracts.scheduling import NodeArrays, PodRequest, SchedulingPolicy
from bareboat.models import core_v1, meta_v1

GIB = float(1 << 30)


def nodes(*used: tuple[float, float], cpu: float = 4000.0, memory: float = 8 * GIB, labels: Sequence[Mapping[str, str]] = ()) -> NodeArrays:
    """A cluster of equal nodes; ``used`` is millicores and bytes of each."""
    taken = {"cpu": np.array([u[0] for u in used], float), "memory": np.array([u[1] for u in used], float)}
    size = len(used)
    given = {"cpu": np.full(size, cpu), "memory": np.full(size, memory), "pods": np.full(size, 110.0)}
    return NodeArrays(
        names=[f"n{i}" for i in range(size)],
        allocatable=given,
        requested={**taken, "pods": np.zeros(size)},
        nonzero_requested={name: column.copy() for name, column in taken.items()},
        labels=[dict(labels[i]) if i < len(labels) else {"kubernetes.io/hostname": f"n{i}"} for i in range(size)],
        unschedulable=np.zeros(size, bool),
    )


def pod(cpu: float = 100.0, memory: float = GIB / 8, **fields: Any) -> PodRequest:
    """``fields`` are those of the pod's spec."""
    meta = meta_v1.ObjectMeta(name="p", namespace="default", labels={"app": "web"})
    found = core_v1.Pod(metadata=meta, spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image="i")], **fields))
    return PodRequest(pod=found, requests={"cpu": cpu, "memory": memory}, nonzero={"cpu": cpu or 100.0, "memory": memory or 200 * 2.0**20})


def _random(size: int) -> NodeArrays:
    numbers = np.random.default_rng(7)
    return nodes(*zip(numbers.uniform(0, 4000, size), numbers.uniform(0, 8 * GIB, size), strict=True))


CLUSTERS = {
    "no nodes": nodes(),
    "one empty node": nodes((0, 0)),
    "full and empty nodes": nodes((4000, 8 * GIB), (0, 0), (2000, GIB)),
    "nodes that offer nothing": nodes((0, 0), (0, 0), cpu=0.0, memory=0.0),
    "more requested than there is": nodes((9000, 99 * GIB), (0, 0)),
    "a hundred nodes": _random(100),
}
PODS = {"a pod": pod(), "a pod that asks for nothing": pod(0, 0), "a pod that is too large": pod(1e9, 1e15)}
#: Seconds that a policy may take for 5,000 nodes: the server's loop stands still meanwhile.
SLICE = 0.005


class PolicySuite:
    """``pods`` may be replaced where a policy looks at more than requests."""

    pods: ClassVar[Mapping[str, PodRequest]] = PODS

    def make_policy(self) -> SchedulingPolicy:
        raise NotImplementedError("name your policy: return MyPolicy()")

    @pytest.fixture
    def policy(self) -> SchedulingPolicy:
        return self.make_policy()

    def test_it_is_a_policy_with_a_name_and_a_weight(self, policy: SchedulingPolicy) -> None:
        assert isinstance(policy, SchedulingPolicy)
        assert isinstance(policy.name, str)
        assert policy.name
        assert 0 <= policy.default_weight <= 100

    def test_it_filters_or_scores(self) -> None:
        cls = type(self.make_policy())
        written = [verb for verb in ("filter", "score") if getattr(cls, verb) is not getattr(SchedulingPolicy, verb)]
        assert written, "neither filter nor score is written: the policy has no effect"
        assert not [v for v in written if inspect.iscoroutinefunction(getattr(cls, v))], "policies are synchronous: no `async def`"

    @pytest.mark.parametrize("cluster", CLUSTERS)
    def test_scores_are_one_per_node_from_0_to_100(self, policy: SchedulingPolicy, cluster: str) -> None:
        for what, wanted in self.pods.items():
            score = policy.score(wanted, CLUSTERS[cluster])
            if score is None:
                continue
            assert isinstance(score, np.ndarray), f"{what}: a numpy array is needed, not {type(score).__name__}"
            assert score.shape == (len(CLUSTERS[cluster].names),), f"{what}: one score per node"
            assert np.isfinite(score).all(), f"{what}: not a number: {score}"
            assert ((score >= 0) & (score <= 100)).all(), f"{what}: outside 0..100: {score}"

    @pytest.mark.parametrize("cluster", CLUSTERS)
    def test_a_filter_says_per_node_whether_and_once_why_not(self, policy: SchedulingPolicy, cluster: str) -> None:
        for what, wanted in self.pods.items():
            verdict = policy.filter(wanted, CLUSTERS[cluster])
            if verdict is None:
                continue
            mask, reason = verdict
            assert mask.dtype == np.bool_, f"{what}: a mask of bool is needed, not {mask.dtype}"
            assert mask.shape == (len(CLUSTERS[cluster].names),), f"{what}: one verdict per node"
            assert isinstance(reason, str)
            assert reason or mask.all(), f"{what}: nodes are refused without a reason"

    def test_it_changes_nothing_of_what_it_is_shown(self, policy: SchedulingPolicy) -> None:
        for wanted in self.pods.values():
            for cluster in CLUSTERS.values():
                before = _copy(cluster)
                policy.filter(wanted, cluster)
                policy.score(wanted, cluster)
                assert _same(before, cluster), "the arrays are the scheduler's own: copy before you change them"

    def test_the_same_question_has_the_same_answer(self, policy: SchedulingPolicy) -> None:
        cluster = CLUSTERS["a hundred nodes"]
        for wanted in self.pods.values():
            first, second = policy.score(wanted, cluster), self.make_policy().score(wanted, cluster)
            assert (first is None and second is None) or np.array_equal(first, second)  # type: ignore[arg-type]

    def test_the_order_of_nodes_does_not_matter(self, policy: SchedulingPolicy) -> None:
        cluster = CLUSTERS["full and empty nodes"]
        score = policy.score(pod(), cluster)
        turned = policy.score(pod(), nodes((2000, GIB), (0, 0), (4000, 8 * GIB)))
        if score is not None and turned is not None:
            assert turned[::-1] == pytest.approx(score)

    def test_five_thousand_nodes_are_no_trouble(self, policy: SchedulingPolicy) -> None:
        cluster = _random(5000)
        policy.score(pod(), cluster)
        best = min(_timed(policy, cluster) for _ in range(5))
        assert best < SLICE, f"{best * 1000:.1f} ms for 5,000 nodes; {SLICE * 1000:.0f} ms are allowed: use numpy over all nodes at once"


def _timed(policy: SchedulingPolicy, cluster: NodeArrays) -> float:
    began = time.perf_counter()
    policy.filter(pod(), cluster)
    policy.score(pod(), cluster)
    return time.perf_counter() - began


def _copy(cluster: NodeArrays) -> NodeArrays:
    columns = [{k: v.copy() for k, v in c.items()} for c in (cluster.allocatable, cluster.requested, cluster.nonzero_requested)]
    return NodeArrays(
        names=list(cluster.names),
        allocatable=columns[0],
        requested=columns[1],
        nonzero_requested=columns[2],
        labels=[dict(m) for m in cluster.labels],
        unschedulable=cluster.unschedulable.copy(),
    )


def _same(one: NodeArrays, two: NodeArrays) -> bool:
    pairs = ((one.allocatable, two.allocatable), (one.requested, two.requested), (one.nonzero_requested, two.nonzero_requested))
    equal = all(a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a) for a, b in pairs)
    return equal and one.names == two.names and one.labels == two.labels and np.array_equal(one.unschedulable, two.unschedulable)
