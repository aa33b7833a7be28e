"""Rates over samples, and what is made of them for those who look."""

import asyncio

import msgspec
import pytest

from bareboat.base.clock import LoopClock
from bareboat.contracts import cri
from bareboat.node import cadvisor, exposition
from bareboat.node.machine import Machine, interfaces, look
from bareboat.node.stats import EVERY, NodeStats
from bareboat.node.summary import summary

MACHINE = Machine(
    booted=1, cpu_nanos=0, memory_total=8 << 30, memory_available=6 << 30, memory_usage=3 << 30, swap_usage=0, memory_rss=1 << 30, faults=(700, 7),
    disk_total=100, disk_available=40, inodes=10, inodes_free=4, interfaces={},
)  # fmt: skip
SANDBOX = cri.Sandbox(id="s", config=cri.SandboxConfig(name="web", namespace="ns", uid="u", attempt=0), state="READY", created_at=1)


def container(clock):
    config = cri.ContainerConfig(name="c", image="i")
    at = int(clock.now().timestamp() * 1e9)
    return cri.Container(id="c1", sandbox_id="s", config=config, state="RUNNING", image_id="i", created_at=at, started_at=at)


class Runtime(cri.StatsMixin):
    """One container that burns half a core."""

    def __init__(self, clock, *, reachable=True):
        self.clock = clock
        self.capabilities = cri.Capabilities(reachable=reachable)
        self.container = container(clock)

    async def container_stats(self):
        now = int(self.clock.now().timestamp() * 1e9)
        spent = (now - self.container.started_at) // 2
        return [cri.Stats(id="c1", timestamp=now, cpu_nanos=spent, memory_working_set=5 << 20, memory_usage=6 << 20, pids=2)]


class State:
    def __init__(self, runtime):
        self.runtime = runtime

    def uids(self):
        return {"u"}

    async def of(self, uid):
        return [SANDBOX], [self.runtime.container]


def stats_of(runtime, clock):
    def machine():
        return msgspec.structs.replace(MACHINE, cpu_nanos=int(clock.monotonic() * 2e9))

    return NodeStats(runtime, State(runtime), clock, machine)


@pytest.mark.virtual_time
async def test_a_rate_is_over_the_last_two_samples_and_a_node_has_the_machine_s():
    clock = LoopClock()
    stats = stats_of(Runtime(clock), clock)
    sampling = asyncio.ensure_future(stats.run())
    await clock.sleep(EVERY * 2 + 1)
    found = await stats.current()
    sampling.cancel()
    assert found.pods[0].rate == pytest.approx(500_000_000, rel=0.01)
    assert found.rate == pytest.approx(2_000_000_000, rel=0.01)
    assert found.working_set == 2 << 30


@pytest.mark.virtual_time
async def test_a_first_sample_has_a_rate_over_the_container_s_life():
    clock = LoopClock()
    stats = stats_of(Runtime(clock), clock)
    await clock.sleep(4)
    assert (await stats.current()).pods[0].rate == pytest.approx(500_000_000, rel=0.01)


@pytest.mark.virtual_time
async def test_a_node_that_is_data_uses_what_its_pods_use():
    clock = LoopClock()
    stats = stats_of(Runtime(clock, reachable=False), clock)
    await clock.sleep(4)
    found = await stats.current()
    assert (found.rate, found.working_set) == (found.pods[0].rate, 5 << 20)


@pytest.mark.virtual_time
async def test_summary_and_metrics_name_the_pod_and_its_container():
    clock = LoopClock()
    stats = stats_of(Runtime(clock), clock)
    await clock.sleep(4)
    snapshot = await stats.current()
    told = summary("n1", snapshot)
    assert told["pods"][0]["podRef"] == {"name": "web", "namespace": "ns", "uid": "u"}
    assert told["pods"][0]["containers"][0]["memory"]["workingSetBytes"] == 5 << 20
    memory = told["node"]["memory"]
    assert (memory["rssBytes"], memory["pageFaults"], memory["majorPageFaults"]) == (1 << 30, 700, 7)
    text = exposition.text(exposition.of_resources([snapshot])).decode()
    assert 'container_cpu_usage_seconds_total{container="c",namespace="ns",pod="web"} 2.0' in text
    assert 'pod_memory_working_set_bytes{namespace="ns",pod="web"} 5.24288e+06' in text
    assert "resource_scrape_error 0.0" in text


@pytest.mark.virtual_time
async def test_dashboards_find_containers_under_cadvisor_s_names():
    clock = LoopClock()
    stats = stats_of(Runtime(clock), clock)
    text = exposition.text(cadvisor.families([await stats.current()], 4)).decode()
    labels = 'container="c",id="c1",image="i",name="c1",namespace="ns",pod="web"'
    assert f"container_memory_working_set_bytes{{{labels}}} 5.24288e+06" in text
    assert f"container_processes{{{labels}}} 2.0" in text
    assert "machine_cpu_cores 4.0" in text


def test_this_machine_can_be_looked_at(tmp_path):
    found = look(tmp_path)
    assert found.cpu_nanos > 0
    assert 0 < found.working_set < found.memory_total
    assert 0 < found.memory_rss < found.memory_total
    assert found.faults[0] > found.faults[1] >= 0
    assert interfaces(2**22 + 1) == {}
