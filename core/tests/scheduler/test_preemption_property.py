"""The quick way to find victims, by amounts alone, finds the same as asking all filters again for every pod; and the search ends as a
naive one does, on random clusters."""

import random
from collections import Counter

import pytest

from bareboat.base.ids import SeededIds
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.nominations import Nominations
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.placement import Placement
from bareboat.scheduler.preemption import Preemption
from bareboat.scheduler.requests import pod_use


def pod(name, cpu, memory, priority, started=""):
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": f"{cpu}m", "memory": f"{memory}Mi"}}}
    spec = {"containers": [container], "priority": priority}
    status = {"startTime": started} if started else {}
    return from_tree(core_v1.Pod, {"metadata": {"name": name, "namespace": "d", "uid": name}, "spec": spec, "status": status})


def cluster(draw):
    columns = Columns(capacity=2)
    for number in range(draw.randint(1, 8)):
        room = {"cpu": "4", "memory": "4Gi", "pods": str(draw.choice([4, 20]))}
        columns.put_node(from_tree(core_v1.Node, {"metadata": {"name": f"n{number}"}, "status": {"allocatable": room}}))
        for nth in range(draw.randint(0, 6)):
            started = f"2026-01-01T00:00:{draw.randint(0, 59):02}Z"
            low = pod(f"p{number}-{nth}", draw.choice([100, 500, 1500]), draw.choice([10, 900]), draw.randint(0, 4), started)
            columns.put_pod(PlacedPod(f"d/{low.metadata.name}", low, pod_use(low), f"n{number}"))
    return columns


@pytest.mark.parametrize("block", range(4))
def test_amounts_find_the_victims_that_the_filters_find(block):
    compared = 0
    for seed in range(block * 100, block * 100 + 100):
        draw = random.Random(seed)
        columns = cluster(draw)
        placement = Placement(columns, [], SeededIds(seed))
        search = Preemption(columns, placement.filters, Nominations(), list, SeededIds(seed))
        high = pod("high", draw.choice([1000, 3500, 5000]), draw.choice([100, 3000]), draw.randint(0, 5))
        asking = placement.filters.ask("d/high", high, pod_use(high))
        verdict = placement.judge(asking)
        before = {name: row.tolist() for name, row in columns.arrays().requested.items()}
        costs = {}
        for i in range(len(columns)):
            lower = sorted((p for p in columns.pods[i].values() if p.priority < asking.priority), key=lambda p: p.importance)
            slow = [] if verdict.hopeless[i] or verdict.fits[i] else search._by_filters(asking, i, lower, Counter())
            if slow:
                compared += 1
                assert [p.key for p in search._by_amounts(asking, i, lower)] == [p.key for p in slow], seed
                victims = sorted(slow, key=lambda p: p.importance)
                costs[columns.names[i]] = (victims[0].priority, sum(p.priority + 2**31 for p in victims), len(victims))
        assert {name: row.tolist() for name, row in columns.arrays().requested.items()} == before
        if not verdict.fits.any():
            outcome = search.find(asking, verdict)
            assert bool(outcome.node) == bool(costs), seed
            assert not costs or costs[outcome.node] == min(costs.values())
    assert compared > 20


def test_reserved_amounts_judge_as_if_the_nominated_were_there():
    for seed in range(100):
        draw = random.Random(seed)
        columns, nominations = cluster(draw), Nominations()
        placement = Placement(columns, [], SeededIds(seed), nominations=nominations)
        for number in range(draw.randint(1, 6)):
            waiting = pod(f"w{number}", draw.choice([500, 2000]), 100, draw.randint(0, 5))
            nominations.put(f"d/w{number}", waiting, pod_use(waiting), f"n{draw.randint(0, 8)}")
        for name in ("w0", "new"):
            asked = pod(name, draw.choice([500, 2000]), 100, draw.randint(0, 5))
            if name == "w0":
                asked.spec.priority = nominations._pods["d/w0"].priority
            asking = placement.filters.ask(f"d/{name}", asked, pod_use(asked))
            quick = placement.judge(asking)
            with columns.changed(with_=nominations.ahead_of(asking.key, asking.priority)):
                slow = placement.filters.run(asking)
            assert quick.fits.tolist() == slow.fits.tolist(), seed
            assert quick.blame == slow.blame
