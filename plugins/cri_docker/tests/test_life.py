"""Containers over time: they outlive the agent, are held by their limits, end when they should, and leave nothing behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bareboat.contracts.cri import ContainerConfig, Resources, SandboxConfig, Size
from bareboat.contracts.errors import Conflict, NotFound, Unavailable
from bareboat.testing.cri_suite_features import everything, log_entries, until_output
from bareboat.testing.host import FakeHost
from bareboat_cri_docker.options import DockerOptions
from bareboat_cri_docker.plugin import DockerRuntime

pytestmark = pytest.mark.root


def agent(directory, dockerd, script, count=1):
    command = [sys.executable, str(Path(__file__).with_name("agent.py")), str(directory), dockerd.socket, script, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill(process):
    process.kill()
    process.wait()
    process.stdout.close()


async def listing(pods, container):
    return (await pods.exec(container, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))[1]


class TestAgentKilled:
    @pytest.mark.parametrize("seconds", [0.0, 0.12, 0.25])
    async def test_containers_go_on_and_every_line_is_in_the_log_once(self, tmp_path, dockerd, pods, seconds):
        script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; [ $((i%100)) = 0 ] && usleep 20000; done; exit 5"
        process = await asyncio.to_thread(agent, tmp_path, dockerd, script)
        container = (await asyncio.to_thread(process.stdout.readline)).strip()
        await asyncio.sleep(seconds)
        kill(process)
        await pods.restart()
        ended = await pods.ended(container)
        assert (ended.exit_code, ended.reason) == (5, "Error")
        assert ended.finished_at > ended.started_at
        texts = [text for _, tag, text in log_entries(tmp_path / "logs" / "0.log") if tag == b"F"]
        assert texts == [f"line {i}".encode() for i in range(1, 3001)]

    async def test_a_line_that_was_written_but_not_noted_is_not_written_twice(self, tmp_path, pods):
        container = await pods.run("echo one; echo two; sleep 1000")
        while not pods.text().endswith("two"):
            await asyncio.sleep(0.02)
        await pods.driver.close()
        note = pods.host.state_dir / "logs" / container
        noted = json.loads(note.read_bytes())
        note.write_text(json.dumps({**noted, "offset": 0, "size": 0}))  # as if it had been killed before the second note
        await pods.restart()
        await asyncio.sleep(0.3)
        assert pods.text() == "one\ntwo"

    async def test_killed_in_the_middle_leaves_only_what_can_be_listed_and_removed(self, tmp_path, dockerd, pods):
        process = await asyncio.to_thread(agent, tmp_path, dockerd, "sleep 1000", 20)
        await asyncio.to_thread(process.stdout.readline)
        await asyncio.sleep(0.4)
        kill(process)
        await pods.restart()
        sandboxes = {s.id for s in await pods.driver.list_pod_sandbox()}
        containers = await pods.driver.list_containers()
        assert {c.sandbox_id for c in containers} <= sandboxes
        again = [await pods.driver.run_pod_sandbox(s.config) for s in await pods.driver.list_pod_sandbox()]
        assert {s.id for s in again} == sandboxes
        assert {s.state for s in again} == {"READY"}
        # the fixture removes everything and counts what is left


class TestSandboxes:
    async def test_a_killed_pause_process_is_seen(self, pods):
        sandbox = await pods.sandbox()
        os.kill(sandbox.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            while [s.state for s in await pods.driver.list_pod_sandbox()] != ["NOTREADY"]:
                await asyncio.sleep(0.02)

    async def test_a_container_does_not_start_in_a_stopped_sandbox(self, pods):
        sandbox = await pods.sandbox()
        container = await pods.create("sleep 1000", sandbox=sandbox)
        await pods.driver.stop_pod_sandbox(sandbox.id)
        with pytest.raises((Unavailable, Conflict)):
            await pods.driver.start_container(container)

    async def test_ten_pods_come_and_go_without_a_trace(self, pods):
        own = (str(pods.dockerd.directory), os.path.dirname(pods.dockerd.socket))

        def machine():
            lines = Path("/proc/self/mountinfo").read_text().splitlines()
            mounts = sum(any(place in line for place in own) for line in lines)
            return mounts, len(os.listdir("/proc/self/fd")), threading.active_count()

        async def cycle(number):
            sandbox = await pods.sandbox(f"p{number}")
            container = await pods.run("sleep 1000", sandbox=sandbox, name=f"c{number}")
            await pods.exec(container, "true")
            assert machine()[0] > 0
            await pods.driver.remove_pod_sandbox(sandbox.id)

        await asyncio.gather(*(cycle(n) for n in range(4)))
        await asyncio.sleep(0.2)
        before = machine()
        for number in range(10):
            await cycle(number)
        after = machine()
        assert (after[0], after[2]) == (before[0], before[2])
        assert after[1] <= before[1] + 8  # connections of the pool's threads to the daemon
        assert set((await pods.driver.leftovers()).values()) == {0}

    async def test_two_instances_on_one_daemon_do_not_see_each_other(self, pods, dockerd, tmp_path):
        other = DockerRuntime(DockerOptions(socket=dockerd.socket), FakeHost(tmp_path / "other"))
        await other.open()
        sandbox = await other.run_pod_sandbox(SandboxConfig(name="p", namespace="d", uid="uid-pod"))
        container = await other.create_container(sandbox.id, ContainerConfig(name="c", image=pods.image, command=("sleep", "1000")))
        await other.start_container(container)
        await pods.sandbox()
        assert await pods.driver.list_containers() == []
        await pods.driver.remove_container(container)
        await pods.driver.cleanup_all()
        assert [c.state for c in await other.list_containers()] == ["RUNNING"]
        await other.cleanup_all()
        assert set((await other.leftovers()).values()) == {0}
        await other.close()


class TestLimits:
    async def test_too_much_memory_is_an_oom_kill(self, pods):
        ended = await pods.ended(await pods.run("exec tail /dev/zero", resources=Resources(memory_limit=16 << 20)))
        assert (ended.exit_code, ended.reason) == (137, "OOMKilled")

    async def test_processes_are_counted(self, pods):
        resources = Resources(pids_limit=7)
        text, code = await pods.output("for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo all", resources=resources)
        assert "can't fork" in text
        assert code

    async def test_limits_are_set_and_change_in_place(self, pods):
        wanted = Resources(memory_limit=64 << 20, cpu_shares=512, cpu_quota=20_000)
        container = await pods.run("sleep 1000", resources=wanted)

        def seen():
            host = pods.dockerd.docker.api.inspect_container(container)["HostConfig"]
            return host["Memory"], host["MemorySwap"], host["CpuShares"], host["CpuQuota"], host["PidsLimit"]

        assert seen() == (64 << 20, 64 << 20, 512, 20_000, 2048)
        await pods.driver.update_container_resources(container, Resources(memory_limit=128 << 20, cpu_shares=1024, cpu_quota=50_000))
        assert seen()[:4] == (128 << 20, 128 << 20, 1024, 50_000)
        await pods.driver.update_container_resources(container, Resources(memory_limit=32 << 20, cpu_shares=1024))
        assert seen()[:4] == (32 << 20, 32 << 20, 1024, -1)

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
        assert [e for e in entries if e[0] == b"F"][-1] == (b"F", 5)
        assert sum(n for _, n in entries) == 40000 + 5 + 4
        assert entries[0] == (b"P", 16384)
        assert entries[-1] == (b"P", 4)

    @pytest.mark.parametrize("pod_options", [{"log_size": "2m"}])
    async def test_much_output_is_kept_in_order_over_the_daemons_own_rotation(self, pods):
        await pods.ended(await pods.run("for i in 1 2 3 4 5 6 7 8; do seq ${i}0001 ${i}9999; sleep 0.3; done"))
        expected = [str(n).encode() for i in range(1, 9) for n in range(i * 10000 + 1, i * 10000 + 10000)]
        assert [text for _, _, text in pods.entries()] == expected

    async def test_a_renamed_log_goes_on_in_a_new_file(self, pods):
        container = await pods.run("while read line; do echo $line; done", stdin=True)
        streams = await pods.driver.attach(container)
        for name in ("one", "two"):
            await streams.write_stdin(name.encode() + b"\n")
            await until_output(streams, name.encode())
            while name not in pods.text():
                await asyncio.sleep(0.01)
            Path(pods.log()).rename(pods.log(name))
            await pods.driver.reopen_container_log(container)
            assert Path(pods.log()).exists()
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

    async def test_closing_an_exec_ends_its_process_group(self, pods):
        container = await pods.run("sleep 1000")
        streams = await pods.driver.exec(container, ("sh", "-c", "sleep 5432 & sleep 5433"))
        await asyncio.sleep(0.3)
        assert b"sleep 5433" in await listing(pods, container)
        await streams.close()
        await asyncio.sleep(0.1)
        assert b"sleep 543" not in await listing(pods, container)

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

    async def test_what_is_typed_reaches_a_terminal_byte_by_byte(self, pods):
        """The daemon's keys for letting go of a terminal are not those that shells use."""
        container = await pods.run("sleep 1000")
        streams = await pods.driver.exec(
            container, ("sh", "-c", "stty raw -echo; echo ready; head -c 2 | od -An -tx1"), tty=True, stdin=True
        )
        async with asyncio.timeout(5):
            await until_output(streams, b"ready")
            await streams.write_stdin(b"\x10\x11")  # ctrl-p, ctrl-q
            assert b"10 11" in await until_output(streams, b"11")
        await streams.close()

    async def test_background_processes_do_not_keep_an_exec_open_for_long(self, pods):
        container = await pods.run("sleep 1000")
        assert await asyncio.wait_for(pods.exec(container, "sleep 100 & echo started"), 8) == (0, b"started\n", b"")

    async def test_an_unknown_command_of_an_exec_has_the_code_that_shells_give_it(self, pods):
        container = await pods.run("sleep 1000")
        code, out, err = await pods.driver.exec_sync(container, ("nope",), 5)
        assert code in (126, 127)
        assert b'exec: "nope": executable file not found in $PATH' in out + err


class TestStops:
    async def test_the_stop_signal_of_the_config_is_sent(self, pods):
        container = await pods.run("trap 'exit 9' USR1; while :; do sleep 0.02; done", stop_signal="SIGUSR1")
        await asyncio.sleep(0.2)
        await pods.driver.stop_container(container, 5)
        assert (await pods.container(container)).exit_code == 9

    async def test_many_may_be_stopping_while_others_are_looked_after(self, pods):
        """A grace time takes no thread of the pool."""
        sandbox = await pods.sandbox()
        stubborn = "trap '' TERM; while :; do sleep 0.1; done"
        containers = [await pods.run(stubborn, sandbox=sandbox, name=f"c{n}") for n in range(12)]
        await asyncio.sleep(0.2)
        stops = [asyncio.ensure_future(pods.driver.stop_container(c, 2)) for c in containers]
        await asyncio.sleep(0.5)
        async with asyncio.timeout(1):
            assert len(await pods.driver.list_containers()) == 12
        await asyncio.gather(*stops)
        assert {c.exit_code for c in await pods.driver.list_containers()} == {137}
