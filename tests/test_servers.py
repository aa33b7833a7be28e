"""Three servers over one PostgreSQL: a leader that hangs, one that is killed, connections that are cut, a database that hangs."""

import asyncio
import signal
import time

import pytest

from bareboat.models import apps_v1, core_v1, discovery_v1, meta_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import ApiError, Conflict
from bareboat.testing.etcd import etcd
from bareboat.testing.histories import History, check
from bareboat.testing.postgres import postgres
from bareboat.testing.torture.workload import Workload
from tests.conftest import BAREBOAT, run
from tests.servers import Servers

__all__ = ["etcd", "postgres"]
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def servers(tmp_path, postgres):
    postgres.sql("DROP SCHEMA IF EXISTS bareboat CASCADE")
    found = await asyncio.to_thread(Servers, tmp_path, 3, use="postgres", url=postgres.url, timeout=2)
    yield found
    await found.stop()


def deployment(replicas):
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return from_tree(apps_v1.Deployment, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})


class Writer:
    """Creates ConfigMaps through whichever server answers, and remembers which were acknowledged."""

    def __init__(self, servers):
        self._servers = servers
        self.acknowledged, self.number, self.longest = [], 0, 0.0

    async def run(self):
        while True:
            self.number += 1
            made = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=f"c{self.number}", namespace="default"))
            server = self._servers[self.number % len(self._servers)]
            began = time.monotonic()
            try:
                async with asyncio.timeout(10):
                    await server.client.create(made)
            except (ApiError, TimeoutError, OSError):
                continue
            self.longest = max(self.longest, time.monotonic() - began)
            self.acknowledged.append(made.metadata.name)
            await asyncio.sleep(0.01)

    async def lost(self, through):
        there = {c.metadata.name for c in (await through.client.list(core_v1.ConfigMap, "default")).items}
        return [name for name in self.acknowledged if name not in there]


async def pods(server):
    return [p for p in (await server.client.list(core_v1.Pod, "default")).items if not p.metadata.deletionTimestamp]


async def scaled(server, replicas, seconds):
    """Scale and wait until there are so many pods; how long that took."""
    began = time.monotonic()
    await server.client.patch(apps_v1.Deployment, "web", {"spec": {"replicas": replicas}}, "default")
    while len(await pods(server)) != replicas:
        assert time.monotonic() - began < seconds, f"no {replicas} pods after {seconds} s"
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def ready(server, seconds):
    async with asyncio.timeout(seconds):
        while (await server.ask("/readyz"))[0] != 200:
            await asyncio.sleep(0.1)


async def test_when_the_leader_hangs_or_is_killed_another_takes_over_and_nothing_is_lost_or_made_twice(servers):
    await servers.all[0].client.create(deployment(5))
    await scaled(servers.all[1], 10, 20)
    first = servers.leader((await servers.lease(servers.all[0])).holderIdentity)
    rest = [s for s in servers.all if s is not first]
    writer = Writer(rest)
    writing = asyncio.ensure_future(writer.run())

    first.signal(signal.SIGSTOP)
    hung = await scaled(rest[0], 15, 30)
    first.signal(signal.SIGCONT)
    await ready(first, 10)  # until it has looked, it takes the store for lost: nothing was answered in time
    second = servers.leader((await servers.lease(rest[0])).holderIdentity)
    assert second is not first
    await scaled(first, 12, 10)
    assert (await servers.lease(first)).holderIdentity == (await servers.lease(second)).holderIdentity

    second.signal(signal.SIGKILL)
    second.process.wait()
    living = [s for s in servers.all if s is not second]
    took = await scaled(living[0], 20, 30)
    print(f"another server took over {hung:.1f} s after the leader hung, {took:.1f} s after it was killed")
    assert max(hung, took) < 22, "15 to 17 s, and what a busy machine takes"
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)

    for server in living:
        assert await writer.lost(server) == []
        names = [(p.metadata.name, p.metadata.uid) for p in await pods(server)]
        assert len(names) == len(set(names)) == 20
        assert len((await server.client.list(apps_v1.ReplicaSet, "default")).items) == 1
    assert len(writer.acknowledged) > 100
    async with asyncio.timeout(40):  # a server is given up some time after its last word
        while len((await living[0].client.list(discovery_v1.EndpointSlice, "default")).items) != 2:
            await asyncio.sleep(0.2)


async def test_whoever_is_asked_gives_the_newest_and_watches_tell_one_story_while_connections_are_cut(servers, postgres):
    seen = [[] for _ in servers.all]

    made = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="x", namespace="default"), data={"n": "0"})
    made = await servers.all[0].client.create(made)

    async def watch(number):
        after = made.metadata.resourceVersion
        while True:
            try:
                async for event in servers.all[number].client.watch(core_v1.ConfigMap, "default", resource_version=after, bookmarks=False):
                    after = event.object.metadata.resourceVersion
                    if event.object.metadata.name == "x":
                        seen[number].append((after, event.object.data["n"]))
            except ApiError:
                await asyncio.sleep(0.1)

    watching = [asyncio.ensure_future(watch(number)) for number in range(3)]
    done = 0
    for turn in range(60):
        server, other = servers.all[turn % 3], servers.all[(turn + 1) % 3]
        if turn % 15 == 7:
            await asyncio.to_thread(postgres.cut)
        for _ in range(50):
            try:
                found = await server.client.get(core_v1.ConfigMap, "x", "default")
                assert int(found.data["n"]) >= done, "a read is older than an answer before it"
                found.data["n"] = str(turn + 1)
                await server.client.update(found)
                done = turn + 1
                break
            except Conflict:  # its answer was lost, and it was written
                continue
            except ApiError:
                await asyncio.sleep(0.1)
        assert (await again(other)).data["n"] == str(turn + 1)
    await asyncio.sleep(2)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    assert seen[0] == seen[1] == seen[2]
    assert [n for _, n in seen[0]] == [str(n) for n in range(1, 61)]


async def again(server):
    for _ in range(50):
        try:
            return await server.client.get(core_v1.ConfigMap, "x", "default")
        except ApiError:
            await asyncio.sleep(0.1)
    raise AssertionError("the server does not recover")


async def test_while_the_database_hangs_servers_say_so_serve_what_they_have_and_recover_by_themselves(servers, postgres):
    one = servers.all[0]
    made = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="a", namespace="default"))
    await one.client.create(made)
    postgres.pause()
    try:
        began = time.monotonic()
        with pytest.raises(ApiError) as refused:
            await one.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="b", namespace="default")))
        assert refused.value.code in (503, 504)
        assert time.monotonic() - began < 8
        began = time.monotonic()
        status, text = await one.ask("/api/v1/namespaces/default/configmaps/a")
        assert (status, "the store cannot be read now" in text) == (503, True)
        assert time.monotonic() - began < 1, "once it is known, nobody waits for it"
        assert (await one.ask("/api/v1/namespaces/default/configmaps/a", resourceVersion="0"))[0] == 200
        status, text = await one.ask("/readyz")
        assert status == 500
        assert "store failed" in text
    finally:
        postgres.resume()
    await ready(one, 10)
    await one.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="c", namespace="default")))


async def test_a_server_with_keys_of_its_own_is_refused_and_told_what_to_copy(servers, postgres, tmp_path):
    """The cluster's authority is published by its controllers."""
    made = servers.all[0].client
    async with asyncio.timeout(20):
        while True:
            try:
                await made.get(core_v1.ConfigMap, "kube-root-ca.crt", "kube-system")
                break
            except ApiError:
                await asyncio.sleep(0.1)
    command = [*BAREBOAT, "server", "--data-dir", str(tmp_path / "stranger"), "--port", "0", "--store", "postgres"]
    done = await asyncio.to_thread(run, *command, "--store-option", f"url={postgres.url}", check=False, timeout=60)
    assert done.returncode != 0
    assert "copy that folder from a server of the cluster" in done.stderr


async def test_servers_over_etcd_answer_as_one_and_outlive_a_crash_of_it(tmp_path, etcd):
    found = await asyncio.to_thread(Servers, tmp_path, 2, use="etcd", endpoints=f"[{etcd.url}]", timeout=2)
    one, two = found.all
    try:
        await one.client.create(deployment(3))
        assert await scaled(two, 5, 20) < 20
        etcd.kill()
        with pytest.raises(ApiError) as refused:
            await two.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="a", namespace="default")))
        assert refused.value.code in (503, 504)
        await asyncio.to_thread(etcd.start)
        await ready(two, 10)
        assert await scaled(one, 7, 30) < 30
        assert len(await pods(two)) == 7
    finally:
        await found.stop()


class Face:
    """One of several servers, as torture's clients want to know it."""

    def __init__(self, server):
        self.url, self.tls = server.client.transport.server, server.client.transport.tls
        self.up = asyncio.Event()
        self.up.set()


@pytest.mark.slow
async def test_no_fault_makes_three_servers_over_etcd_lie(tmp_path, etcd):
    """Over PostgreSQL: test_torture."""
    servers = await asyncio.to_thread(Servers, tmp_path, 3, use="etcd", endpoints=f"[{etcd.url}]", prefix="/lies", timeout=2)

    async def strike():
        etcd.pause()
        await asyncio.sleep(3)
        etcd.resume()
        await asyncio.sleep(2)
        servers.all[1].signal(signal.SIGSTOP)
        await asyncio.sleep(2)
        servers.all[1].signal(signal.SIGCONT)
        await asyncio.sleep(1)
        servers.all[0].signal(signal.SIGKILL)
        await asyncio.sleep(2)
        etcd.kill()
        await asyncio.to_thread(etcd.start)

    try:
        await tortured(servers, strike)
    finally:
        await servers.stop()


async def tortured(servers, strike):
    """Clients of all servers work against each other while ``strike`` runs; then the checker speaks."""
    history = History()
    works = [Workload(Face(s), seed=seed, clients=3, watchers=1, history=history) for seed, s in enumerate(servers.all, 1)]
    running = [asyncio.ensure_future(work.run()) for work in works]
    await asyncio.sleep(1)
    await strike()
    await asyncio.sleep(3)
    for work in works:
        work.stop()
    async with asyncio.timeout(60):
        await asyncio.gather(*running)
        await works[2].settle()
    done = sum(work.counts.ok for work in works)
    unanswered = sum(work.counts.failed + work.counts.unknown for work in works)
    print(f"{done} operations, {unanswered} without an answer, {sum(work.counts.events for work in works)} events")
    assert check(history) == []
    assert done > 200
