"""Followers are given every change once and in order, in batches that they share, whoever comes and goes meanwhile."""

import asyncio
import random

import pytest

from bareboat.store.broadcast import Broadcast, SlowSubscriber
from bareboat.store.entry import Change, Entry

PREFIX = "core/pods/default/"


class Follower:
    """Takes what is there, then follows, as a watch does. ``full``: it cannot take more after the next delivery."""

    def __init__(self, broadcast, capacity=1000):
        self.subscription = broadcast.subscribe(PREFIX, capacity)
        self.got = []
        self.batches = []
        self.full = False

    def step(self):
        self.subscription.unfollow()
        self.got += [c.revision for c in self.subscription.take()]
        self.subscription.follow(self.offer, list)

    def offer(self, batch):
        self.batches.append(batch)
        self.got += [c.revision for c in batch]
        return not self.full


class Publisher:
    def __init__(self):
        self.broadcast = Broadcast()
        self.revision = 0

    def publish(self, count=1, name="a"):
        new = range(self.revision + 1, self.revision + count + 1)
        self.revision += count
        key = f"{PREFIX}{name}"
        self.broadcast.publish([Change(key, r, False, Entry(key, r, 1, b"{}"), None) for r in new])

    def all(self):
        return list(range(1, self.revision + 1))


async def settled(publisher):
    async with asyncio.timeout(5):
        while publisher.broadcast._busy:
            await asyncio.sleep(0)


def following(publisher, count):
    found = [Follower(publisher.broadcast) for _ in range(count)]
    for follower in found:
        follower.step()
    return found


async def test_all_are_given_one_and_the_same_batch():
    publisher = Publisher()
    followers = following(publisher, 300)
    publisher.publish(3)
    publisher.publish(2)
    await settled(publisher)
    assert {tuple(f.got) for f in followers} == {(1, 2, 3, 4, 5)}
    assert len({id(f.batches[0]) for f in followers}) == 1


async def test_some_are_served_at_a_time_and_what_comes_meanwhile_is_the_next_batch():
    publisher = Publisher()
    followers = following(publisher, 300)
    publisher.publish()
    await asyncio.sleep(0)
    assert 0 < sum(len(f.got) for f in followers) < 300
    publisher.publish()
    publisher.publish()
    await settled(publisher)
    assert [tuple(len(b) for b in f.batches) for f in followers] == [(1, 2)] * 300


@pytest.mark.parametrize("seed", range(40))
async def test_nothing_is_missed_or_given_twice_whoever_comes_and_goes(seed):
    chance = random.Random(seed)
    publisher = Publisher()
    followers = following(publisher, chance.choice([1, 5, 150]))
    late = []
    for _ in range(200):
        one = chance.choice(followers)
        match chance.randrange(6):
            case 0 | 1:
                publisher.publish(chance.randrange(1, 4))
            case 2:
                one.step()
            case 3:
                one.full = not one.full
            case 4:
                late.append((publisher.revision, Follower(publisher.broadcast)))
                if chance.random() < 0.5:
                    late[-1][1].step()
                followers.append(late[-1][1])
            case 5:
                await asyncio.sleep(0)
    await settled(publisher)
    for follower in followers:
        follower.full = False
        follower.step()
    since = {id(follower): revision for revision, follower in late}
    for follower in followers:
        assert follower.got == publisher.all()[since.get(id(follower), 0) :]


async def test_who_left_in_a_round_is_behind_by_what_it_was_not_given():
    publisher = Publisher()
    followers = following(publisher, 200)
    publisher.publish()
    await asyncio.sleep(0)
    served, unserved = (next(f for f in followers if len(f.got) == n) for n in (1, 0))
    publisher.publish()
    for follower in (served, unserved):
        follower.subscription.unfollow()
    assert (served.subscription.seen, unserved.subscription.seen) == (1, 0)
    assert [[c.revision for c in f.subscription.take()] for f in (served, unserved)] == [[2], [1, 2]]


async def test_who_does_not_come_back_fails_and_holds_nothing():
    publisher = Publisher()
    slow = Follower(publisher.broadcast, capacity=3)
    slow.step()
    slow.full = True
    for _ in range(6):
        publisher.publish()
        await settled(publisher)
    with pytest.raises(SlowSubscriber):
        slow.subscription.take()
    assert slow.subscription.seen == 1
    assert len(publisher.broadcast) == 0
    assert not publisher.broadcast._followers
    assert not publisher.broadcast._told


async def test_nothing_is_kept_when_all_were_served_or_are_gone():
    publisher = Publisher()
    followers = following(publisher, 50)
    publisher.publish(10)
    await settled(publisher)
    [ring] = publisher.broadcast._followers.values()
    assert (len(ring), ring._batch, ring._made, ring._next) == (50, (), (), [])
    publisher.publish()
    for follower in followers:
        follower.subscription.close()
        follower.subscription.close()
    await settled(publisher)
    assert not publisher.broadcast._followers
    assert publisher.broadcast.of(PREFIX) == 0


async def test_a_revision_that_is_still_to_come_is_waited_for():
    publisher = Publisher()
    follower = Follower(publisher.broadcast)
    follower.subscription.replay([], 2)
    follower.step()
    for _ in range(3):
        publisher.publish()
        await settled(publisher)
        follower.step()
    assert follower.got == [3]


async def test_those_of_one_prefix_do_not_keep_others_waiting():
    publisher = Publisher()
    followers = following(publisher, 500)
    other = Follower(publisher.broadcast)
    other.subscription.close()
    other.subscription = publisher.broadcast.subscribe("core/pods/default/b")
    other.step()
    publisher.publish(1, "b")
    turns = 0
    while not other.got:
        publisher.publish(1, "a")
        await asyncio.sleep(0)
        turns += 1
    assert turns < 5
    await settled(publisher)
    assert {tuple(f.got) for f in followers} == {tuple(publisher.all())}
