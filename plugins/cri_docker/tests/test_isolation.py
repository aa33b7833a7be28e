"""What a container can see and do, asked from within."""

import asyncio
import os
import socket
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyroute2 import netns

from bareboat.contracts.cri import ContainerConfig, Mount, Security
from bareboat.contracts.errors import InvalidConfig

pytestmark = pytest.mark.root


@contextmanager
def own_network(name):
    """This process in a network namespace of its own; what that is called where processes are asked for it."""
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    netns.create(name)
    try:
        netns.setns(name)
        yield os.readlink("/proc/self/ns/net")
    finally:
        netns.setns(before)
        os.close(before)
        netns.remove(name)


class TestNamespaces:
    async def test_a_container_sees_its_own_processes_and_name_only(self, pods):
        sandbox = await pods.sandbox(hostname="web-0")
        text, _ = await pods.output("echo $$; hostname; echo $HOSTNAME; ls -d /proc/[0-9]* | wc -l", sandbox=sandbox)
        pid, name, variable, processes = text.split("\n")
        assert (pid, name, variable) == ("1", "web-0", "web-0")
        assert int(processes) < 5

    async def test_containers_of_a_pod_share_network_ipc_and_memory_but_no_processes(self, pods):
        sandbox = await pods.sandbox()
        namespaces = "for n in net ipc pid mnt; do readlink /proc/self/ns/$n; done"
        await pods.run(f"echo shared > /dev/shm/note; {namespaces}; sleep 60", sandbox=sandbox, name="a")
        second = await pods.run("sleep 60", sandbox=sandbox, name="b")
        code, out, _ = await pods.exec(second, f"cat /dev/shm/note; {namespaces}")
        await asyncio.sleep(0.3)
        ours, theirs = pods.text("a").split("\n"), out.decode().split("\n")[1:-1]
        assert (code, out[:7]) == (0, b"shared\n")
        assert [a == b for a, b in zip(ours, theirs, strict=True)] == [True, True, False, False]
        assert os.readlink(sandbox.netns) == theirs[0]

    async def test_a_shared_process_namespace_shows_the_other_container(self, pods):
        sandbox = await pods.sandbox(share_process_namespace=True)
        await pods.run("sleep 4321", sandbox=sandbox, name="a")
        second = await pods.run("sleep 4322 & sleep 60", sandbox=sandbox, name="b")
        _, out, _ = await pods.exec(second, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert b"sleep 4321" in out
        assert out.startswith(b"/pause")
        await pods.driver.stop_container(second, 0)
        assert (await pods.container(second)).exit_code == 137

    async def test_host_network_pid_and_ipc_are_the_machine_s(self, pods):
        sandbox = await pods.sandbox(host_network=True, host_pid=True, host_ipc=True)
        assert sandbox.netns == ""
        container = await pods.run("sleep 60", sandbox=sandbox)
        _, out, _ = await pods.exec(container, "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done")
        assert out.decode().split() == [os.readlink(f"/proc/self/ns/{n}") for n in ("net", "ipc", "uts", "pid")]

    async def test_host_network_is_the_node_s_where_the_daemon_has_another(self, pods):
        """As for the nodes of one machine that have a network namespace each."""
        with own_network("bareboat-test-host") as network:
            await pods.restart()
            sandbox = await pods.sandbox(host_network=True)
            assert sandbox.netns == ""
            first = await pods.run("sleep 60", sandbox=sandbox, name="a")
            await pods.restart()
            second = await pods.run("sleep 60", sandbox=sandbox, name="b")
            for container in (first, second):
                _, out, _ = await pods.exec(container, "readlink /proc/self/ns/net; hostname")
                assert out.decode().split() == [network, socket.gethostname()]
            status = Path(f"/proc/{sandbox.pid}/status").read_text()
            assert f"CapEff:\t{1 << 21:016x}" in status, "CAP_SYS_ADMIN to enter it, and nothing else"
            other = await pods.run("sleep 60", sandbox=await pods.sandbox("inside"), name="c")
            _, out, _ = await pods.exec(other, "readlink /proc/self/ns/net")
            assert out.decode().strip() != network

    async def test_sysctls_are_the_pod_s_own(self, pods):
        sandbox = await pods.sandbox(sysctls={"net.ipv4.ip_unprivileged_port_start": "80"})
        assert (await pods.output("cat /proc/sys/net/ipv4/ip_unprivileged_port_start", sandbox=sandbox))[0] == "80"
        with pytest.raises(InvalidConfig, match="sysctl"):
            await pods.sandbox("other", sysctls={"kernel.no.such": "1"})
        assert len(await pods.driver.list_pod_sandbox()) == 1


class TestFiles:
    async def test_mounts_show_files_and_directories_of_the_machine(self, pods):
        volume = pods.directory / "volume: with, odd=name"
        volume.mkdir()
        (volume / "file").write_text("content\n")
        mounts = (
            Mount(container_path="/data/deep", host_path=str(volume)),
            Mount(container_path="/data/inner", host_path=str(volume), readonly=True),
            Mount(container_path="/etc/resolv.conf", host_path=str(volume / "file")),
            Mount(container_path="/etc/hosts", host_path=str(volume / "file")),
        )
        script = "cat /data/deep/file /etc/resolv.conf /etc/hosts; echo w > /data/deep/new; echo w > /data/inner/no"
        text, _ = await pods.output(script, mounts=mounts)
        assert text.split("\n").count("content") == 3  # the two streams may arrive in either order
        assert "Read-only file system" in text
        assert (volume / "new").read_text() == "w\n"

    async def test_a_missing_source_is_named(self, pods):
        with pytest.raises(InvalidConfig, match=r"/no/such/source"):
            await pods.run("true", mounts=(Mount(container_path="/data", host_path="/no/such/source"),))

    async def test_propagation_brings_later_mounts_of_the_machine_only_where_asked(self, pods):
        outer = pods.directory / "outer"
        outer.mkdir()
        assert os.system(f"mount -t tmpfs none {outer} && mount --make-shared {outer} && mkdir {outer}/sub") == 0
        try:
            follows = Mount(container_path="/follows", host_path=str(outer), propagation="HostToContainer")
            mounts = (follows, Mount(container_path="/private", host_path=str(outer)))
            container = await pods.run("sleep 60", mounts=mounts)
            assert os.system(f"mount -t tmpfs none {outer}/sub && touch {outer}/sub/late") == 0
            _, out, _ = await pods.exec(container, "ls /follows/sub /private/sub")
            assert out == b"/follows/sub:\nlate\n\n/private/sub:\n"
        finally:
            os.system(f"umount -R {outer}")

    async def test_a_read_only_root_takes_no_writes(self, pods):
        text, _ = await pods.output("echo a > /x; echo ok > /dev/shm/x && cat /dev/shm/x", security=Security(readonly_rootfs=True))
        assert "Read-only file system" in text
        assert "ok" in text.split("\n")

    async def test_devices_are_there_only_where_they_are_given(self, pods):
        sandbox = await pods.sandbox()
        text, _ = await pods.output("ls -l /dev/mine; ls /dev/kmsg", sandbox=sandbox, devices=(("/dev/null", "/dev/mine", "rw"),))
        assert "1,   3" in text
        assert "/dev/kmsg: No such file" in text


class TestPrivileges:
    async def test_root_has_the_usual_capabilities_and_no_more(self, pods):
        text, _ = await pods.output("grep CapEff /proc/self/status")
        assert text.split() == ["CapEff:", "00000000a80425fb"]

    async def test_capabilities_are_added_and_dropped(self, pods):
        security = Security(drop_capabilities=("ALL",), add_capabilities=("NET_ADMIN",))
        text, _ = await pods.output("grep CapEff /proc/self/status", security=security)
        assert text.split() == ["CapEff:", "0000000000001000"]
        with pytest.raises(InvalidConfig, match="NO_SUCH"):
            await pods.run("true", name="x", security=Security(add_capabilities=("NO_SUCH",)))

    async def test_a_user_without_privileges_has_none(self, pods):
        security = Security(run_as_user=1000, run_as_group=2000, supplemental_groups=(3000,))
        script = "exec 2>&1; id -u; id -g; id -G; grep CapEff /proc/self/status; echo x > /usr/x"
        text, _ = await pods.output(script, security=security)
        assert text.split("\n")[:2] == ["1000", "2000"]
        assert {"2000", "3000"} <= set(text.split("\n")[2].split())
        assert "CapEff:\t0000000000000000" in text
        container = await pods.run("sleep 60", name="other", security=security)
        assert (await pods.exec(container, "id -u; id -g"))[1] == b"1000\n2000\n"

    async def test_the_filter_and_no_new_privileges_are_as_asked(self, pods):
        sandbox = await pods.sandbox()
        script = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status"

        async def seen(name, **fields):
            text, _ = await pods.output(script, sandbox=sandbox, name=name, security=Security(**fields))
            return text.split()[1::2]

        assert await seen("usual") == ["0", "2"]
        assert await seen("free", seccomp="Unconfined") == ["0", "0"]
        assert await seen("held", allow_privilege_escalation=False) == ["1", "2"]

    async def test_a_localhost_profile_is_used(self, pods):
        profile = pods.directory / "profile.json"
        profile.write_text(
            '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdirat","mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}'
        )
        text, _ = await pods.output("mkdir /tmp/a; echo $?", security=Security(seccomp=f"Localhost/{profile}"))
        assert "Permission denied" in text
        with pytest.raises(InvalidConfig, match="cannot be read"):
            await pods.run("true", name="other", security=Security(seccomp="Localhost//no/such/profile"))

    async def test_kernel_interfaces_are_masked_unless_privileged_or_unmasked(self, pods):
        sandbox = await pods.sandbox()
        script = "echo 1 > /proc/sys/vm/drop_caches; mkdir /m; mount -t tmpfs n /m && echo mounted"
        text, _ = await pods.output(script, sandbox=sandbox)
        assert "Read-only file system" in text
        assert "mounted" not in text
        text, _ = await pods.output(script + "; ls /dev/kmsg", sandbox=sandbox, name="p", security=Security(privileged=True))
        assert text.split("\n") == ["mounted", "/dev/kmsg"]
        text, _ = await pods.output(
            "echo 1 > /proc/sys/vm/drop_caches && echo done", sandbox=sandbox, name="u", security=Security(proc_mount="Unmasked")
        )
        assert "Read-only" not in text


class TestCommands:
    @pytest.mark.parametrize(
        ("command", "message"),
        [
            (("no-such-command",), 'exec: "no-such-command": executable file not found in $PATH'),
            (("/no/such/command",), 'exec: "/no/such/command": stat /no/such/command: no such file or directory'),
            (("/etc",), "permission denied"),
        ],
    )
    async def test_a_command_that_is_not_there_says_so_in_known_words(self, pods, command, message):
        sandbox = await pods.sandbox()
        container = await pods.driver.create_container(sandbox.id, ContainerConfig(name="c", image=pods.image, command=command))
        with pytest.raises(InvalidConfig) as caught:
            await pods.driver.start_container(container)
        assert caught.value.reason == "StartError"
        assert message in caught.value.message
        seen = await pods.container(container)
        assert (seen.state, seen.reason) == ("EXITED", "StartError")
        assert message in seen.message
        assert seen.finished_at > seen.created_at
        await pods.restart()
        assert await pods.container(container) == seen

    async def test_working_directory_and_environment(self, pods):
        env = (("A", "1"), ("A", "2"), ("WITH-DASH", "yes"), ("LINES", "a\nb"))
        text, _ = await pods.output("", command=("sh", "-c", "pwd; env"), working_dir="/made/for/me", env=env)
        assert text.startswith("/made/for/me\n")
        assert {"HOME=/root", "A=2", "LINES=a", "b"} <= set(text.split("\n"))
        with pytest.raises(InvalidConfig):
            await pods.run("true", name="other", env=(("A=B", "1"),))

    async def test_arguments_follow_the_image_s_entry_point_unless_there_is_a_command(self, pods, dockerd):
        dockerd.build("tests/entry:1", entrypoint='["echo","entry"]', cmd='["usual"]', env="FROM=image", user="web")
        sandbox = await pods.sandbox()

        async def said(name, **fields):
            await pods.ended(await pods.run("", sandbox=sandbox, name=name, **{"image": "tests/entry:1", "command": ()} | fields))
            return pods.text(name)

        assert await said("a") == "entry usual"
        assert await said("b", args=("mine",)) == "entry mine"
        assert await said("c", command=("sh", "-c", "echo $FROM $(id -u)")) == "image 1000"
        assert await said("d", command=("echo",)) == ""
        with pytest.raises(InvalidConfig, match="non-numeric user") as caught:
            await said("e", security=Security(run_as_non_root=True))
        assert caught.value.reason == "CreateContainerConfigError"

    async def test_non_root_is_enforced(self, pods):
        with pytest.raises(InvalidConfig, match="runAsNonRoot") as caught:
            await pods.run("true", security=Security(run_as_non_root=True))
        assert caught.value.reason == "CreateContainerConfigError"

    async def test_a_container_with_a_terminal_has_one(self, pods):
        container = await pods.run("tty; test -t 1 && echo yes; sleep 60", tty=True, stdin=True)
        async with asyncio.timeout(5):
            while "yes" not in pods.text():
                await asyncio.sleep(0.02)
        assert "/dev/pts/0" in pods.text()
        assert (await pods.container(container)).state == "RUNNING"
