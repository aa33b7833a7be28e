"""Containers over time: they outlive the agent, are held by their limits, end when they should, and leave nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bareboat.contracts.cri import ContainerConfig, Resources, SandboxConfig, Size
from bareboat.contracts.errors import NotFound
from bareboat.testing.cri_suite_features import everything, log_entries, until_output
from bareboat.testing.host import FakeHost
from bareboat_cri_process import monitors
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.plugin import ProcessRuntime

pytestmark = pytest.mark.root


def agent(directory, script, count=1):
    command = [sys.executable, str(Path(__file__).with_name("agent.py")), str(directory), script, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def pss(pid):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def kill(process):
    process.kill()
    process.wait()
    process.stdout.close()


class TestAgentKilled:
    async def test_containers_go_on_and_nothing_of_their_output_or_end_is_lost(self, tmp_path, pods):
        script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; [ $((i%100)) = 0 ] && sleep 0.01; done; exit 5"
        process = agent(tmp_path, script)
        container = process.stdout.readline().strip()
        kill(process)
        assert (await pods.container(container)).state == "RUNNING"
        ended = await pods.ended(container)
        assert (ended.exit_code, ended.reason) == (5, "Error")
        assert ended.finished_at > ended.started_at
        texts = [text for _, tag, text in log_entries(tmp_path / "logs" / "0.log") if tag == b"F"]
        assert texts == [f"line {i}".encode() for i in range(1, 3001)]

    async def test_what_runs_on_can_be_entered_stopped_and_is_told(self, tmp_path, pods):
        process = agent(tmp_path, "trap 'exit 3' TERM; while :; do sleep 0.02; done")
        container = process.stdout.readline().strip()
        kill(process)
        await pods.driver.close()
        await pods.driver.open()
        assert await pods.exec(container, "echo in") == (0, b"in\n", b"")
        told = asyncio.ensure_future(anext(aiter(pods.driver.events())))
        await asyncio.sleep(0.05)
        await pods.driver.stop_container(container, 5)
        assert await asyncio.wait_for(told, 5) == container
        assert (await pods.container(container)).exit_code == 3

    @pytest.mark.parametrize("milliseconds", [0, 2, 4, 6, 8, 10, 13, 17, 22, 30])
    async def test_killed_between_any_two_steps_leaves_only_what_can_be_listed_and_removed(self, tmp_path, pods, milliseconds):
        process = agent(tmp_path, "sleep 1000", count=50)
        process.stdout.readline()
        await asyncio.sleep(milliseconds / 1000)
        kill(process)
        await pods.driver.close()
        await pods.driver.open()
        sandboxes = {s.id for s in await pods.driver.list_pod_sandbox()}
        containers = await pods.driver.list_containers()
        assert {c.sandbox_id for c in containers} <= sandboxes
        assert containers[0].state in ("CREATED", "RUNNING")
        again = [await pods.driver.run_pod_sandbox(s.config) for s in await pods.driver.list_pod_sandbox()]
        assert {s.id for s in again} == sandboxes
        assert {s.state for s in again} == {"READY"}
        # the fixture removes everything and counts what is left

    async def test_an_exec_ends_with_the_agent(self, tmp_path, pods):
        container = await pods.run("sleep 1000")
        streams = await pods.driver.exec(container, ("sleep", "5432"))
        assert b"sleep\x005432" in await listing(pods, container)
        streams._socket.close()  # what the kernel does for a killed process
        await asyncio.sleep(0.1)
        assert b"sleep\x005432" not in await listing(pods, container)
        await streams.close()


async def listing(pods, container):
    return (await pods.driver.exec_sync(container, ("sh", "-c", "cat /proc/[0-9]*/cmdline"), 5))[1]


class TestLeaks:
    async def test_fifty_pods_come_and_go_without_a_trace(self, pods):
        def machine():
            """Of what this driver could leave: others on the machine come and go too."""
            mounts = Path("/proc/self/mountinfo").read_text().count(str(pods.directory))
            return mounts, len(os.listdir("/proc/self/fd")), len({os.readlink(p) for p in namespaces()})

        def namespaces():
            for path in Path("/proc").glob("[0-9]*/ns/net"):
                try:
                    if pods.host.instance in (path.parent.parent / "cgroup").read_text():
                        os.readlink(path)
                        yield path
                except OSError:
                    continue

        await cycle(pods, 0)
        before = machine()
        for number in range(50):
            await cycle(pods, number)
        assert set((await pods.driver.leftovers()).values()) <= {0, len(pods.driver.engine.cgroups.roots()), 1}
        assert machine() == before
        assert (await pods.driver.leftovers())["processes"] == 0

    async def test_what_a_pod_costs_in_memory_is_little(self, pods):
        container = await pods.run("sleep 1000")
        sandbox = (await pods.driver.list_pod_sandbox())[0]
        monitor = monitors.holder(pods.driver.engine.records.path(container))
        assert pss(sandbox.pid) + pss(monitor) < 400  # KiB

    async def test_a_killed_monitor_takes_its_container_along(self, pods):
        container = await pods.run("sleep 1000")
        pid = (await pods.container(container)).pid
        os.kill(monitors.holder(pods.driver.engine.records.path(container)), signal.SIGKILL)
        ended = await pods.ended(container)
        assert (ended.exit_code, ended.reason) == (137, "Error")
        assert "monitor" in ended.message
        await asyncio.sleep(0.1)
        stat = Path(f"/proc/{pid}/stat")
        assert not stat.exists() or " Z " in stat.read_text()

    async def test_a_killed_pause_process_is_seen(self, pods):
        sandbox = await pods.sandbox()
        os.kill(sandbox.pid, signal.SIGKILL)
        await asyncio.sleep(0.05)
        assert [s.state for s in await pods.driver.list_pod_sandbox()] == ["NOTREADY"]


async def cycle(pods, number):
    sandbox = await pods.sandbox(f"p{number}")
    container = await pods.run("sleep 1000", sandbox=sandbox)
    await pods.exec(container, "true")
    await pods.driver.remove_pod_sandbox(sandbox.id)


class TestLimits:
    async def test_too_much_memory_is_an_oom_kill(self, pods):
        resources = Resources(memory_limit=32 << 20)
        ended = await pods.ended(
            await pods.run("", command=("python3", "-c", "x = bytearray(200 << 20); print(len(x))"), resources=resources)
        )
        assert (ended.exit_code, ended.reason) == (137, "OOMKilled")

    async def test_a_fork_bomb_is_held(self, pods):
        bomb = "import os\nn = 0\ntry:\n while 1:\n  n += 1\n  os.fork() or os.kill(os.getpid(), 19)\nexcept OSError: print(n)"
        text, _ = await pods.output("", command=("python3", "-c", bomb), resources=Resources(pids_limit=20))
        assert text == "20"

    async def test_limits_change_in_place(self, pods):
        container = await pods.run("sleep 1000", resources=Resources(memory_limit=64 << 20))
        await pods.driver.update_container_resources(container, Resources(memory_limit=128 << 20, cpu_quota=50_000))
        record = pods.driver.engine.container_record(container)
        files = {f.name: f for d in pods.driver.engine.cgroups.directories(record.group) for f in d.iterdir()}
        assert (files.get("memory.limit_in_bytes") or files["memory.max"]).read_text().strip() == str(128 << 20)

    async def test_stats_count_what_is_used(self, pods):
        container = await pods.run("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 1000")
        await asyncio.sleep(0.5)
        stats = {s.id: s for s in await pods.driver.container_stats()}[container]
        assert stats.cpu_nanos > 10_000_000
        assert stats.memory_usage >= stats.memory_working_set > 0
        assert stats.pids >= 1


class TestLogs:
    async def test_long_lines_come_in_parts(self, pods):
        await pods.ended(await pods.run("head -c 40000 /dev/zero | tr '\\0' x; echo; echo short; printf rest"))
        entries = [(tag, len(text)) for _, tag, text in pods.entries()]
        assert entries == [(b"P", 16384), (b"P", 16384), (b"F", 7232), (b"F", 5), (b"P", 4)]

    async def test_a_line_of_exactly_one_part_is_whole(self, pods):
        await pods.ended(await pods.run("head -c 16384 /dev/zero | tr '\\0' x; echo"))
        assert [(tag, len(text)) for _, tag, text in pods.entries()] == [(b"F", 16384)]

    async def test_much_output_is_kept_in_order(self, pods):
        await pods.ended(await pods.run("seq 1 200000"))
        assert [text for _, _, text in pods.entries()] == [str(n).encode() for n in range(1, 200001)]

    async def test_a_renamed_log_goes_on_in_a_new_file(self, pods):
        container = await pods.run("while read line; do echo $line; done", stdin=True)
        streams = await pods.driver.attach(container)
        for name in ("one", "two"):
            await streams.write_stdin(name.encode() + b"\n")
            await until_output(streams, name.encode())
            Path(pods.log()).rename(pods.log(name))
            await pods.driver.reopen_container_log(container)
            while not Path(pods.log()).exists():
                await asyncio.sleep(0.01)
        await streams.close()
        assert (pods.text("one"), pods.text("two")) == ("one", "two")


class TestStreams:
    async def test_megabytes_pass_through_exec_both_ways(self, pods):
        container = await pods.run("sleep 1000")
        data = os.urandom(5 << 20)
        streams = await pods.driver.exec(container, ("cat",), stdin=True)

        async def feed():
            await streams.write_stdin(data)
            await streams.close_stdin()

        _, seen = await asyncio.wait_for(asyncio.gather(feed(), everything(streams)), 30)
        assert seen["stdout"] == data
        assert await streams.wait() == 0
        await streams.close()

    async def test_two_attach_and_both_see_the_output(self, pods):
        container = await pods.run("while read line; do echo got $line; done", stdin=True)
        first, second = await pods.driver.attach(container), await pods.driver.attach(container)
        await first.write_stdin(b"hello\n")
        for streams in (first, second):
            await asyncio.wait_for(until_output(streams, b"got hello"), 5)
            await streams.close()

    async def test_stdin_once_ends_with_the_first_attach(self, pods):
        container = await pods.run("cat > /dev/null; exit 6", stdin=True, stdin_once=True)
        streams = await pods.driver.attach(container)
        await streams.write_stdin(b"x")
        await streams.close()
        assert (await pods.ended(container)).exit_code == 6

    async def test_attach_tells_the_exit_code_and_then_there_is_nothing_to_attach_to(self, pods):
        container = await pods.run("read line; exit 7", stdin=True)
        streams = await pods.driver.attach(container)
        await streams.write_stdin(b"\n")
        assert await asyncio.wait_for(streams.wait(), 5) == 7
        await streams.close()
        with pytest.raises(NotFound):
            await pods.driver.attach(container)

    async def test_a_terminal_in_a_container_is_resized_and_typed_into(self, pods):
        container = await pods.run("read line; stty size; echo done $line; sleep 1000", tty=True, stdin=True)
        streams = await pods.driver.attach(container)
        await streams.resize(Size(width=99, height=33))
        await streams.write_stdin(b"now\n")
        seen = await asyncio.wait_for(until_output(streams, b"done now"), 5)
        assert b"33 99" in seen
        await streams.close()

    async def test_background_processes_do_not_keep_an_exec_open(self, pods):
        container = await pods.run("sleep 1000")
        assert await asyncio.wait_for(pods.exec(container, "sleep 100 & echo started"), 3) == (0, b"started\n", b"")


class TestStops:
    async def test_the_stop_signal_of_the_config_is_sent(self, pods):
        container = await pods.run("trap 'exit 9' USR1; while :; do sleep 0.02; done", stop_signal="SIGUSR1")
        await asyncio.sleep(0.1)
        await pods.driver.stop_container(container, 5)
        assert (await pods.container(container)).exit_code == 9

    async def test_a_pod_s_processes_go_with_it(self, pods):
        sandbox = await pods.sandbox()
        await pods.run("for i in 1 2 3; do setsid sleep 1000 & done; wait", sandbox=sandbox)
        await pods.driver.stop_pod_sandbox(sandbox.id)
        assert (await pods.driver.leftovers())["processes"] == 0

    async def test_two_instances_on_one_machine_do_not_see_each_other(self, pods, tmp_path):
        other = ProcessRuntime(ProcessOptions(), FakeHost(tmp_path / "other"))
        await other.open()
        sandbox = await other.run_pod_sandbox(SandboxConfig(name="p", namespace="d", uid="u"))
        container = await other.create_container(sandbox.id, ContainerConfig(name="c", image="host", command=("sleep", "1000")))
        await other.start_container(container)
        await pods.sandbox()
        await pods.driver.cleanup_all()
        assert [c.state for c in await other.list_containers()] == ["RUNNING"]
        await other.cleanup_all()
        assert set((await other.leftovers()).values()) == {0}
        await other.close()
