"""Containers through crun: what is particular to that, beside the conformance suite."""

import asyncio
import os
import signal
from pathlib import Path

import msgspec
import pytest

from bareboat.contracts.cri import Mount, Resources, Security
from bareboat.contracts.errors import InvalidConfig, NotFound, SkipPlugin
from bareboat.testing import oci
from bareboat_cri_process import crun, monitors
from bareboat_cri_process.lookup import find, resolved

pytestmark = [pytest.mark.root, pytest.mark.skipif(not crun.executable(), reason="needs crun")]


@pytest.fixture
async def through(pods):
    pods.driver.engine.options = msgspec.structs.replace(pods.driver.engine.options, runtime="crun")
    return pods


def record_of(pods, container):
    return pods.driver.engine.records.get(container)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


class TestContainers:
    async def test_it_is_crun_that_makes_them(self, through):
        container = await through.run("sleep 60")
        assert record_of(through, container).engine == "crun"
        found = await through.container(container)
        assert Path(f"/proc/{found.pid}/comm").read_text() in ("sh\n", "sleep\n")
        parent = parent_of(found.pid)
        assert Path(f"/proc/{parent}/comm").read_text() == "crun\n"
        assert (await through.exec(container, "echo $$ | wc -l"))[:2] == (0, b"1\n")

    async def test_devices_that_a_container_makes_cannot_be_opened(self, through, tmp_path):
        image = oci.build([oci.busybox("sh", "mknod", "head", "grep", "cat", "touch")])
        await through.driver.load_image(str(oci.write_docker_archive(tmp_path / "i.tar", image, ["a:1"])))
        sandbox = await through.sandbox()
        script = "mknod /disk b 254 0; head -c 1 /disk; mknod /dev/disk b 254 0; head -c 1 /dev/disk; head -c 1 /dev/zero && echo fine"
        text, _ = await through.output(script, image="a:1", sandbox=sandbox)
        assert text.count("Permission denied") == 2
        assert "fine" in text
        text, _ = await through.output(
            "touch /x; head -c 1 /proc/mounts", image="a:1", sandbox=sandbox, name="b", security=Security(readonly_rootfs=True)
        )
        assert "Read-only file system" in text

    async def test_a_container_finds_its_own_limits(self, through):
        v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        script = f"for f in {v2} {v1}; do [ -e $f ] && cat $f; done 2>&1"
        text, _ = await through.output(script, resources=Resources(memory_limit=64 << 20))
        assert text.splitlines()[0] == str(64 << 20)

    async def test_privileges_are_the_same_as_without_it(self, through):
        sandbox = await through.sandbox()
        script = "grep -e ^Cap -e Seccomp: -e NoNewPrivs /proc/self/status; id -u; id -G; cat /proc/self/oom_score_adj; umask"
        for number, security in enumerate(
            (
                Security(),
                Security(run_as_user=7, run_as_group=8, supplemental_groups=(9,), allow_privilege_escalation=False),
                Security(drop_capabilities=("ALL",), add_capabilities=("NET_ADMIN",)),
                Security(privileged=True),
                Security(seccomp="Unconfined"),
            )
        ):
            options = through.driver.engine.options
            seen = []
            for runtime in ("crun", "own"):
                through.driver.engine.options = msgspec.structs.replace(options, runtime=runtime)
                name = f"{runtime}{number}"
                text, code = await through.output(script, sandbox=sandbox, name=name, security=security)
                assert code == 0
                seen.append([line for line in text.splitlines() if not line.startswith("CapAmb")])
            through.driver.engine.options = options
            assert seen[0] == seen[1]

    async def test_a_terminal_is_made_without_it(self, through):
        assert record_of(through, await through.run("sleep 60", tty=True)).engine == "own"

    async def test_a_killed_crun_ends_its_container(self, through):
        container = await through.run("sleep 60")
        pid = (await through.container(container)).pid
        os.kill(parent_of(pid), signal.SIGKILL)
        assert (await through.ended(container)).exit_code == 137
        assert through.driver.engine.cgroups.pids(record_of(through, container).group) == []

    async def test_a_killed_monitor_takes_its_container_along(self, through):
        container = await through.run("sleep 60")
        pid = (await through.container(container)).pid
        os.kill(monitors.holder(through.driver.engine.records.path(container)), signal.SIGKILL)
        assert (await through.ended(container)).exit_code == 137
        async with asyncio.timeout(5):
            while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
                await asyncio.sleep(0.01)

    async def test_commands_wait_until_it_is_the_container_that_runs(self, through):
        """Between crun's start and the container's, the process that is known is crun, in the machine's namespaces."""
        container = await through.run("sleep 60")
        directory = through.driver.engine.records.path(container)
        pid = (await through.container(container)).pid
        parent = parent_of(pid)
        (directory / "running").write_text(f"{parent} 1 0 -\n")
        (directory / "init.pid").rename(directory / "later")
        with pytest.raises(NotFound):
            await through.exec(container, "true")
        (directory / "later").rename(directory / "init.pid")
        assert (await through.exec(container, "echo in"))[1] == b"in\n"
        assert (await through.container(container)).pid == pid

    @pytest.mark.parametrize(("command", "words"), [(("nope",), "not found in $PATH"), (("/etc/passwd",), "permission denied")])
    async def test_what_cannot_be_executed_says_so_and_is_listed(self, through, command, words):
        with pytest.raises(InvalidConfig) as caught:
            await through.run("", command=command)
        assert words in caught.value.message
        (found,) = await through.driver.list_containers()
        assert (found.state, found.reason, found.exit_code) == ("EXITED", "StartError", 128)

    async def test_a_volume_goes_where_links_of_the_image_lead(self, through, tmp_path):
        image = oci.build([[*oci.busybox(), ("var", None), ("var/run", "/run"), ("out", "../../../../..")]])
        await through.driver.load_image(str(oci.write_docker_archive(tmp_path / "i.tar", image, ["a:1"])))
        (tmp_path / "file").write_text("content")
        paths = ("/var/run/secrets/token", "/out/etc/file")
        mounts = tuple(Mount(container_path=path, host_path=str(tmp_path / "file"), readonly=True) for path in paths)
        text, code = await through.output("cat /run/secrets/token /etc/file", image="a:1", mounts=mounts)
        assert (text, code) == ("contentcontent", 0)


def test_crun_that_is_not_there_is_said_to_be_missing(monkeypatch, tmp_path):
    from bareboat.testing.host import FakeHost
    from bareboat_cri_process.engine import Engine
    from bareboat_cri_process.layout import Layout
    from bareboat_cri_process.options import ProcessOptions

    monkeypatch.setattr(crun, "executable", lambda: "")
    host = FakeHost(tmp_path)
    with pytest.raises(SkipPlugin, match="not installed"):
        Engine(ProcessOptions(runtime="crun"), host.instance, Layout(tmp_path, host.instance), host.log)


def test_links_of_an_image_are_followed_within_it(tmp_path):
    top, below = tmp_path / "top", tmp_path / "below"
    for path in (top / "etc", below / "etc", below / "real"):
        path.mkdir(parents=True)
    (below / "etc/passwd").touch()
    (below / "alias").symlink_to("/real")
    (below / "up").symlink_to("../../../../etc")
    (below / "circle").symlink_to("circle")
    assert find([top, below], "etc/passwd") == below / "etc/passwd"
    assert find([top, below], "alias/x") is None
    assert resolved([top, below], "/alias/x/../y") == "/real/y"
    assert resolved([top, below], "/up/passwd") == "/etc/passwd"
    assert resolved([top, below], "/circle/x") == "/circle/x"
