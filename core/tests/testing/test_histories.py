"""The checker finds every lie: a true store passes, and each way of lying is caught."""

import random

import pytest

from bareboat.testing.histories import History, Operation, Seen, Watched, check


class Honest:
    """A store in a dict, recorded op by op; subclasses lie in one way."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.revision, self.time = 0, 0.0
        self.live = {}
        self.log = []
        self.history = History(operations=[], watches=[Watched(0, []), Watched(20, [])])
        self.known = {}

    def record(self, **fields):
        self.time += 2
        self.history.operations.append(Operation(begin=self.time, end=self.time + 1, **fields))

    def commit(self, key, value, deleted=False):
        self.revision += 1
        if deleted:
            del self.live[key]
        else:
            self.live[key] = (self.revision, value)
        self.log.append(Seen(key, self.revision, value, deleted))
        return self.revision

    def write(self, key, value):
        at, expect = self.live.get(key, (0, ""))[0], self.known.get(key, 0)
        kind = "update" if expect else "create"
        if at != expect:
            self.refuse(key, value, kind, expect)
            self.known[key] = at
            return
        revision = self.known[key] = self.commit(key, value)
        self.record(kind=kind, key=key, value=value, expect=expect, outcome="ok", revision=revision)

    def refuse(self, key, value, kind, expect):
        self.record(kind=kind, key=key, value=value, expect=expect, outcome="refused")

    def unknown(self, key, value):
        expect = self.live.get(key, (0, ""))[0]
        if self.random.random() < 0.5:
            self.commit(key, value)
        self.time += 2
        kind = "update" if expect else "create"
        self.history.operations.append(Operation(begin=self.time, key=key, value=value, expect=expect, kind=kind))

    def read(self, key):
        revision, value = self.live.get(key, (0, ""))
        self.known[key] = revision
        self.record(kind="get", key=key, outcome="ok", revision=revision, value=value)

    def list(self):
        self.record(kind="list", outcome="ok", revision=self.revision, items=dict(self.live))

    def delete(self, key):
        if key in self.live:
            self.commit(key, self.live[key][1], deleted=True)
            self.record(kind="delete", key=key, outcome="ok")

    def told(self, watched):
        return [e for e in self.log if e.revision > watched.start]

    def run(self):
        for number in range(400):
            key, value = f"k{self.random.randrange(5)}", f"v{number}"
            what = self.random.random()
            if what < 0.55:
                self.write(key, value)
            elif what < 0.6:
                self.unknown(key, value)
            elif what < 0.8:
                self.read(key)
            elif what < 0.9:
                self.list()
            else:
                self.delete(key)
        for watched in self.history.watches:
            watched.events = self.told(watched)
        self.history.final = dict(self.live)
        return check(self.history)


class LosesAWrite(Honest):
    def run(self):
        self.lose = 300
        return super().run()

    def write(self, key, value):
        super().write(key, value)
        if self.history.operations[-1].outcome == "ok" and self.lose and len(self.history.operations) > self.lose:
            self.lose = 0
            self.log.pop()
            del self.live[key]


class ReadsStale(Honest):
    def read(self, key):
        older = [e for e in self.log if e.key == key and not e.deleted]
        if len(older) > 3 and key in self.live:
            return self.record(kind="get", key=key, outcome="ok", revision=older[-3].revision, value=older[-3].value)
        return super().read(key)


class ListsStale(Honest):
    def list(self):
        if len(self.log) > 100:
            self.record(kind="list", outcome="ok", revision=self.kept[0], items=self.kept[1])
        else:
            self.kept = (self.revision, dict(self.live))
            super().list()


class ListsTorn(Honest):
    def list(self):
        items = dict(self.live)
        if len(items) > 2:
            items.pop(next(k for k in items))
        self.record(kind="list", outcome="ok", revision=self.revision, items=items)

    def delete(self, key):
        """None, so that absence has no excuse."""


class LeavesAGap(Honest):
    def told(self, watched):
        events = super().told(watched)
        return events[:30] + events[31:]


class Repeats(Honest):
    def told(self, watched):
        events = super().told(watched)
        return events[:30] + events[29:]


class Reorders(Honest):
    def told(self, watched):
        events = super().told(watched)
        return [*events[:30], events[31], events[30], *events[32:]]


class AppliesTheRefused(Honest):
    def refuse(self, key, value, kind, expect):
        super().refuse(key, value, kind, expect)
        self.commit(key, value)


class RefusesTooSoon(Honest):
    """Because of writes that others cannot see yet."""

    def read(self, key):
        if key in self.live:
            self.refuse(key, f"too soon {self.time}", "update", self.live[key][0])
        super().read(key)


class LosesUpdates(Honest):
    def write(self, key, value):
        expect = self.known.get(key, 0)
        if expect and key in self.live and self.live[key][0] > expect:
            revision = self.commit(key, value)
            self.record(kind="update", key=key, value=value, expect=expect, outcome="ok", revision=revision)
        else:
            super().write(key, value)


class MakesUp(Honest):
    def unknown(self, key, value):
        self.commit(key, value + " and more")


class AppliesTwice(Honest):
    def write(self, key, value):
        super().write(key, value)
        if self.history.operations[-1].outcome == "ok":
            self.commit(key, value)


class GoesBack(Honest):
    """After half of the time it forgets the last revisions and gives them out again."""

    def list(self):
        super().list()
        if self.revision > 100 and not getattr(self, "done", False):
            self.done = True
            self.revision -= 10


LIES = [LosesAWrite, ReadsStale, ListsStale, ListsTorn, LeavesAGap, Repeats, Reorders]
LIES += [AppliesTheRefused, RefusesTooSoon, LosesUpdates, MakesUp, AppliesTwice, GoesBack]


@pytest.mark.parametrize("seed", range(20))
def test_an_honest_store_passes(seed):
    assert Honest(seed).run() == []


@pytest.mark.parametrize("lie", LIES, ids=lambda c: c.__name__)
def test_a_store_that_lies_is_caught(lie):
    assert all(lie(seed).run() for seed in range(5))


def test_a_value_cannot_be_read_before_it_is_written():
    write = Operation(kind="create", begin=5, end=6, key="k", value="v", expect=0, outcome="ok", revision=1)
    read = Operation(kind="get", begin=1, end=2, key="k", value="v", outcome="ok", revision=1)
    assert "a read of k shows 'v' before it was written" in check(History([write, read]))


def test_operations_that_overlap_may_be_in_either_order():
    first = Operation(kind="create", begin=0, end=10, key="k", value="v", expect=0, outcome="ok", revision=1)
    early = Operation(kind="get", begin=1, end=9, key="k", outcome="ok")
    late = Operation(kind="get", begin=2, end=3, key="k", value="v", outcome="ok", revision=1)
    assert check(History([first, early, late])) == []
