"""What a container can see and do, asked from within."""

import asyncio
import os
import re

import pytest

from bareboat.contracts.cri import ContainerConfig, Mount, Resources, Security
from bareboat.contracts.errors import InvalidConfig, NotFound, Unsupported

pytestmark = pytest.mark.root


class TestNamespaces:
    async def test_a_container_sees_its_own_processes_and_name_only(self, pods):
        sandbox = await pods.sandbox(hostname="web-0")
        text, _ = await pods.output("echo $$; hostname; echo $HOSTNAME; ls -d /proc/[0-9]* | wc -l", sandbox=sandbox)
        pid, name, variable, processes = text.split("\n")
        assert (pid, name, variable) == ("1", "web-0", "web-0")
        assert int(processes) < 5

    async def test_containers_of_a_pod_share_network_ipc_and_memory_but_no_processes(self, pods):
        sandbox = await pods.sandbox()
        namespaces = "for n in net ipc uts pid mnt; do readlink /proc/self/ns/$n; done"
        first = await pods.run(f"echo shared > /dev/shm/note; {namespaces}; sleep 60", sandbox=sandbox, name="a")
        second = await pods.run("sleep 60", sandbox=sandbox, name="b")
        code, out, _ = await pods.exec(second, f"cat /dev/shm/note; {namespaces}")
        await asyncio.sleep(0.1)
        ours, theirs = pods.text("a").split("\n"), out.decode().split("\n")[1:-1]
        assert (code, out[:7]) == (0, b"shared\n")
        assert [a == b for a, b in zip(ours, theirs, strict=True)] == [True, True, True, False, False]
        assert os.readlink(sandbox.netns) == theirs[0]
        assert first != second

    async def test_a_shared_process_namespace_shows_the_other_container(self, pods):
        sandbox = await pods.sandbox(share_process_namespace=True)
        await pods.run("sleep 4321", sandbox=sandbox, name="a")
        second = await pods.run("sleep 60", sandbox=sandbox, name="b")
        _, out, _ = await pods.exec(second, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert b"sleep 4321" in out
        await pods.driver.stop_container(second, 0)
        assert (await pods.container(second)).exit_code == 137

    async def test_host_network_pid_and_ipc_are_the_machine_s(self, pods):
        sandbox = await pods.sandbox(host_network=True, host_pid=True, host_ipc=True)
        assert sandbox.netns == ""
        container = await pods.run("sleep 60 & sleep 60", sandbox=sandbox)
        _, out, _ = await pods.exec(container, "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done")
        assert out.decode().split() == [os.readlink(f"/proc/self/ns/{n}") for n in ("net", "ipc", "uts", "pid")]
        await pods.driver.stop_container(container, 0)
        assert (await pods.driver.leftovers())["processes"] == 1  # the pause process: what the main process started is gone with it

    async def test_sysctls_are_the_pod_s_own(self, pods):
        sandbox = await pods.sandbox(sysctls={"net.ipv4.ip_unprivileged_port_start": "80"})
        assert (await pods.output("cat /proc/sys/net/ipv4/ip_unprivileged_port_start", sandbox=sandbox))[0] == "80"
        with pytest.raises(InvalidConfig, match=r"sysctl net\.no\.such=1"):
            await pods.sandbox("other", sysctls={"net.no.such": "1"})
        assert len(await pods.driver.list_pod_sandbox()) == 1


class TestFiles:
    async def test_the_machine_s_files_are_there_and_what_is_written_is_private(self, pods):
        sandbox = await pods.sandbox()
        script = "echo mine > /usr/bareboat-test && echo mine > /etc/bareboat-test && cat /usr/bareboat-test /etc/bareboat-test"
        assert await pods.output(script, sandbox=sandbox) == ("mine\nmine", 0)
        assert not os.path.exists("/usr/bareboat-test")
        assert (await pods.output("cat /usr/bareboat-test", sandbox=sandbox, name="other"))[1] == 1

    async def test_secrets_and_private_places_of_the_machine_are_hidden(self, pods):
        text, _ = await pods.output(f"cat /etc/shadow; ls /root/.ssh /home /tmp {pods.directory} | grep -v :; true")
        assert "root:" not in text
        assert "logs" not in text

    async def test_a_read_only_root_takes_no_writes(self, pods):
        security = Security(readonly_rootfs=True)
        script = "for f in /x /usr/x /etc/x /tmp/x; do echo a > $f; done; echo ok > /dev/shm/x && cat /dev/shm/x"
        text, _ = await pods.output(script, security=security)
        assert text.count("Read-only file system") == 4
        assert "ok" in text.splitlines()  # the two streams of a log come in any order

    async def test_mounts_show_files_and_directories_of_the_machine(self, pods):
        volume = pods.directory / "volume"
        volume.mkdir()
        (volume / "file").write_text("content\n")
        mounts = (
            Mount(container_path="/data/deep", host_path=str(volume)),
            Mount(container_path="/data/deep/inner", host_path=str(volume), readonly=True),
            Mount(container_path="/etc/resolv.conf", host_path=str(volume / "file")),
            Mount(container_path="/var/run/secrets/token", host_path=str(volume / "file"), readonly=True),
        )
        script = "cat /data/deep/file /etc/resolv.conf /run/secrets/token; echo w > /data/deep/new; echo w > /data/deep/inner/no"
        text, _ = await pods.output(script, mounts=mounts)
        assert text.startswith("content\ncontent\ncontent\n")
        assert "Read-only file system" in text
        assert (volume / "new").read_text() == "w\n"

    async def test_a_volume_s_devices_cannot_be_opened(self, pods):
        volume = pods.directory / "volume"
        volume.mkdir()
        script = "for d in /data /dev /tmp /usr; do mknod $d/disk b 254 0; head -c1 $d/disk; done; true"
        text, _ = await pods.output(script, mounts=(Mount(container_path="/data", host_path=str(volume)),))
        assert text.count("Permission denied") == 4

    async def test_a_missing_source_is_named(self, pods):
        with pytest.raises(InvalidConfig, match=r"/no/such/source"):
            await pods.run("true", mounts=(Mount(container_path="/data", host_path="/no/such/source"),))

    async def test_a_termination_message_arrives_in_the_mounted_file(self, pods):
        message = pods.directory / "message"
        message.touch()
        await pods.output(
            "echo goodbye > /dev/termination-log", mounts=(Mount(container_path="/dev/termination-log", host_path=str(message)),)
        )
        assert message.read_text() == "goodbye\n"

    async def test_propagation_brings_later_mounts_of_the_machine_only_where_asked(self, pods):
        outer = pods.directory / "outer"
        (outer / "sub").mkdir(parents=True)
        run = os.system
        assert run(f"mount -t tmpfs none {outer} && mount --make-shared {outer} && mkdir {outer}/sub") == 0
        try:
            mounts = (
                Mount(container_path="/follows", host_path=str(outer), propagation="HostToContainer"),
                Mount(container_path="/private", host_path=str(outer)),
            )
            container = await pods.run("sleep 60", mounts=mounts)
            assert run(f"mount -t tmpfs none {outer}/sub && touch {outer}/sub/late") == 0
            _, out, _ = await pods.exec(container, "ls /follows/sub /private/sub")
            assert out == b"/follows/sub:\nlate\n\n/private/sub:\n"
        finally:
            run(f"umount -R {outer}")


class TestPrivileges:
    async def test_root_has_the_usual_capabilities_and_no_more(self, pods):
        text, _ = await pods.output("grep -E 'Cap(Eff|Bnd|Inh)' /proc/self/status")
        assert set(re.findall(r"Cap\w+:\s+(\w+)", text)) == {"00000000a80425fb", "0000000000000000"}

    async def test_capabilities_are_added_and_dropped(self, pods):
        security = Security(drop_capabilities=("ALL",), add_capabilities=("NET_ADMIN",))
        text, _ = await pods.output("grep CapEff /proc/self/status; ip link set lo mtu 1500 && echo done", security=security)
        assert text.split() == ["CapEff:", "0000000000001000", "done"]
        with pytest.raises(InvalidConfig, match="unknown capability NO_SUCH"):
            await pods.run("true", name="x", security=Security(add_capabilities=("NO_SUCH",)))

    async def test_a_user_without_privileges_has_none_and_can_write_to_its_streams(self, pods):
        security = Security(run_as_user=1000, run_as_group=2000, supplemental_groups=(3000,))
        script = "id -u; id -g; id -G; grep CapEff /proc/self/status; echo out > /dev/stdout; echo err > /dev/stderr; echo x > /usr/x"
        text, _ = await pods.output(script, security=security)
        assert [line for line in text.split("\n") if line[:1].isdigit()] == [
            "1000",
            "2000",
            "2000 3000",
        ]  # the two streams come in any order
        assert "CapEff:\t0000000000000000" in text
        assert {"out", "err"} <= set(text.split("\n"))
        assert "Permission denied" in text
        container = await pods.run("sleep 60", name="other", security=security)
        assert (await pods.exec(container, "id -u; id -g"))[1] == b"1000\n2000\n"

    async def test_non_root_is_enforced(self, pods):
        with pytest.raises(InvalidConfig, match="runAsNonRoot") as caught:
            await pods.run("true", security=Security(run_as_non_root=True))
        assert caught.value.reason == "CreateContainerConfigError"

    async def test_the_filter_stops_what_reaches_past_a_container(self, pods):
        probe = (
            "import ctypes, os; c = ctypes.CDLL(None, use_errno=True)\n"
            "calls = ('unshare', (0x10000000,)), ('mount', (b'a', b'/tmp', b'tmpfs', 0, None)), ('setns', (0, 0)), ('syscall', (435, 0))\n"
            "for f, a in calls:\n"
            "    print(f, getattr(c, f)(*a), ctypes.get_errno())\n"
            "print(open('/proc/self/status').read().split('Seccomp:')[1].split()[0])"
        )
        sandbox = await pods.sandbox()
        command = {"command": ("python3", "-c", probe), "sandbox": sandbox}
        text, _ = await pods.output("", **command)
        assert text.split("\n") == ["unshare -1 1", "mount -1 1", "setns -1 1", "syscall -1 38", "2"]
        text, _ = await pods.output("", name="free", security=Security(seccomp="Unconfined"), **command)
        assert text.split("\n")[-1] == "0"

    async def test_no_new_privileges_where_escalation_is_forbidden(self, pods):
        sandbox = await pods.sandbox()
        script = "grep NoNewPrivs /proc/self/status"
        assert (await pods.output(script, sandbox=sandbox))[0].split()[1] == "0"
        forbidden = Security(allow_privilege_escalation=False)
        assert (await pods.output(script, sandbox=sandbox, name="n", security=forbidden))[0].split()[1] == "1"

    async def test_kernel_interfaces_are_masked_or_read_only_unless_privileged(self, pods):
        sandbox = await pods.sandbox()
        script = "echo 1 > /proc/sys/vm/drop_caches; wc -c < /proc/kcore; ls /sys/firmware | wc -l; mount -t tmpfs n /mnt && echo mounted"
        text, _ = await pods.output(script, sandbox=sandbox)
        assert "Read-only file system" in text
        assert "mounted" not in text
        assert "\n0\n" in text
        text, _ = await pods.output(
            "mount -t tmpfs n /mnt && echo mounted; ls /dev/vda /dev/kmsg", sandbox=sandbox, name="p", security=Security(privileged=True)
        )
        assert text.split("\n")[0] == "mounted"
        assert "/dev/kmsg" in text

    async def test_a_container_finds_its_own_limits(self, pods):
        """Where programs look for them, in either version; and it cannot change them."""
        v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        script = f"for f in {v2} {v1}; do [ -e $f ] && cat $f && echo 1 > $f; done 2>&1"
        text, _ = await pods.output(script, resources=Resources(memory_limit=64 << 20))
        assert text.splitlines()[0] == str(64 << 20)
        assert "Read-only file system" in text

    async def test_a_localhost_profile_is_used(self, pods):
        profile = pods.directory / "profile.json"
        profile.write_text(
            '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdirat","mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}'
        )
        security = Security(seccomp=f"Localhost/{profile}")
        try:
            text, _ = await pods.output("mkdir /tmp/a; echo $?", security=security)
        except Unsupported:
            pytest.skip("pyseccomp or libseccomp is not installed")
        assert "1" in text.split("\n")  # the two streams may arrive in either order
        assert "Permission denied" in text


class TestCommands:
    @pytest.mark.parametrize(
        ("command", "message"),
        [
            (("no-such-command",), 'exec: "no-such-command": executable file not found in $PATH'),
            (("/no/such/command",), 'exec: "/no/such/command": stat /no/such/command: no such file or directory'),
            (("/etc/passwd",), 'exec: "/etc/passwd": permission denied'),
        ],
    )
    async def test_a_command_that_is_not_there_says_so_in_known_words(self, pods, command, message):
        sandbox = await pods.sandbox()
        config = ContainerConfig(name="c", image="host", command=command)
        container = await pods.driver.create_container(sandbox.id, config)
        with pytest.raises(InvalidConfig) as caught:
            await pods.driver.start_container(container)
        assert caught.value.reason == "StartError"
        assert message in caught.value.message
        seen = await pods.container(container)
        assert (seen.state, seen.exit_code, seen.reason) == ("EXITED", 128, "StartError")
        assert message in seen.message

    async def test_working_directory_and_environment(self, pods):
        env = (("A", "1"), ("A", "2"), ("WITH-DASH", "yes"))
        text, _ = await pods.output("", command=("env", "sh", "-c", "pwd; exec env"), working_dir="/made/for/me", env=env)
        assert text.startswith("/made/for/me\n")
        assert (await pods.output("", command=("env",), env=env, name="plain"))[1] == 0
        assert {"WITH-DASH=yes", "HOME=/root", "A=2"} <= set(pods.text("plain").split("\n"))

    async def test_a_container_with_a_terminal_has_one(self, pods):
        container = await pods.run("tty; test -t 1 && echo yes; sleep 60", tty=True, stdin=True)
        await asyncio.sleep(0.2)
        assert pods.text().split("\r\n")[0] == "/dev/pts/0" or "/dev/pts/0" in pods.text()
        assert "yes" in pods.text()
        assert (await pods.container(container)).state == "RUNNING"

    async def test_exec_of_a_missing_command_fails_in_known_words(self, pods):
        container = await pods.run("sleep 60")
        with pytest.raises(InvalidConfig, match="executable file not found"):
            await pods.driver.exec_sync(container, ("nope",), 5)

    async def test_images_that_are_nowhere_say_how_to_load_them(self, pods):
        with pytest.raises(NotFound, match="image: host"):
            await pods.driver.pull_image("registry.invalid/nginx:1.27")
