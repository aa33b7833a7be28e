"""Sets of taints by node: asked once per set, true for every node, and not kept for ever."""

from bareboat.models import core_v1
from bareboat.scheduler.taints import TaintSets


def taint(value):
    return core_v1.Taint(key="k", value=value, effect="NoSchedule")


def values(sets, nodes):
    return sets.each(lambda taints: taints[0].value if taints else "-", nodes).tolist()


def test_every_node_has_what_was_put_last():
    sets = TaintSets(2)
    sets.put(0, [taint("a")])
    sets.put(1, [taint("b")])
    sets.put(0, [taint("b")])
    assert values(sets, 2) == ["b", "b"]
    sets.grow(4)
    sets.put(3, [taint("a")])
    assert values(sets, 4) == ["b", "b", "-", "a"]
    sets.move(3, 0)
    sets.clear(3)
    assert values(sets, 4) == ["a", "b", "-", "-"]


def test_one_set_is_judged_once():
    sets = TaintSets(100)
    for node in range(100):
        sets.put(node, [taint("same")])
    judged = []
    sets.each(lambda taints: judged.append(taints) or 1, 100)
    assert len(judged) == 2


def test_sets_of_the_past_are_forgotten():
    sets = TaintSets(2)
    sets.put(0, [taint("stays")])
    for number in range(1000):
        sets.put(1, [taint(str(number))])
    judged = []
    sets.each(lambda taints: judged.append(taints) or 1, 2)
    assert len(judged) < 100
    assert values(sets, 2) == ["stays", "999"]
