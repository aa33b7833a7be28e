"""Pure parts, without root: references, commands, environments, signals, privileges, programs, filters, cgroup settings."""

import platform
import struct

import pytest

from bareboat.contracts.cri import ContainerConfig, Resources, SandboxConfig, Security
from bareboat.contracts.errors import InvalidConfig, NotFound
from bareboat_cri_process import binary, cgroups, references, seccomp, translate
from bareboat_cri_process.container import Node, Place, container_program, pause_program
from bareboat_cri_process.images import ImageStore
from bareboat_cri_process.monitors import Exit, Life
from bareboat_cri_process.privileges import DEFAULT_CAPABILITIES, Identity, capabilities, identity
from bareboat_cri_process.program import Program, Saved, Table
from bareboat_cri_process.records import ContainerRecord, SandboxRecord
from bareboat_cri_process.rootfs import Root
from bareboat_cri_process.syscalls import CAPABILITIES, NUMBERS


def record(config, **fields):
    known = {"id": "c", "sandbox_id": "s", "image_id": "host", "created_at": 1, "argv": ("sh",), "env": (("PATH", "/bin:/usr/bin"),)}
    return ContainerRecord(**{"config": config, "cwd": "/", "who": Identity(), "roots": ("/",)} | known | fields)


class TestTranslation:
    @pytest.mark.parametrize("name", ["host", "host:v2", "library/nginx:1.27", "registry.example:5000/a/b_c@sha256:" + "0" * 64])
    def test_good_references_are_taken(self, name):
        assert references.checked_reference(name) == name

    @pytest.mark.parametrize("name", ["", "Upper", "a//b", "a:", "a b", "-a", "a@sha256:12", "a" + ":" + "x" * 129])
    def test_bad_references_are_invalid_image_names(self, name):
        with pytest.raises(NotFound) as caught:
            references.checked_reference(name)
        assert caught.value.reason == "InvalidImageName"

    def test_repository_and_default_tag(self):
        assert references.repository("r.example:5000/a/host:v2") == "r.example:5000/a/host"
        assert references.listed_name("r.example:5000/a") == "r.example:5000/a:latest"

    @pytest.mark.parametrize(
        ("command", "args", "argv"),
        [((), (), ("e", "c")), ((), ("a",), ("e", "a")), (("x",), (), ("x",)), (("x",), ("a",), ("x", "a"))],
    )
    def test_command_and_args_override_entrypoint_and_cmd(self, command, args, argv):
        assert translate.argv_of(ContainerConfig(name="n", image="i", command=command, args=args), ("e",), ("c",)) == argv

    def test_no_command_at_all_is_refused(self):
        with pytest.raises(InvalidConfig, match="no command specified"):
            translate.argv_of(ContainerConfig(name="n", image="i"), (), ())

    def test_later_environment_wins(self):
        config = ContainerConfig(name="n", image="i", env=(("A", "1"), ("A", "2")))
        assert dict(translate.environment(("A=0", "B=b=c"), config, "web", "/home")) == {
            "PATH": translate.DEFAULT_PATH,
            "HOSTNAME": "web",
            "A": "2",
            "B": "b=c",
            "HOME": "/home",
        }

    @pytest.mark.parametrize(("name", "number"), [("", 15), ("SIGKILL", 9), ("int", 2), ("10", 10), ("SIGRTMIN+3", 37)])
    def test_stop_signals(self, name, number):
        assert translate.signal_number(name) == number

    def test_unknown_stop_signals_are_refused(self):
        with pytest.raises(InvalidConfig):
            translate.signal_number("SIGNOPE")

    @pytest.mark.parametrize(
        ("life", "state", "reason"),
        [
            (Life(), "CREATED", ""),
            (Life(monitor=5), "CREATED", ""),
            (Life(monitor=5, pid=6, started_at=2), "RUNNING", ""),
            (Life(pid=6, started_at=2), "EXITED", "Error"),
            (Life(monitor=5, pid=6, started_at=2, exit=Exit(0, 3)), "EXITED", "Completed"),
            (Life(pid=6, started_at=2, exit=Exit(1, 3)), "EXITED", "Error"),
            (Life(exit=Exit(128, 3, 2, "exec: x")), "EXITED", "StartError"),
        ],
    )
    def test_states_follow_from_what_is_recorded(self, life, state, reason):
        container = translate.container_of(record(ContainerConfig(name="n", image="host")), life, oom=False)
        assert (container.state, container.reason) == (state, reason)


class TestHostImage:
    def test_every_tag_of_the_machine_is_there_and_those_asked_for_are_listed(self, tmp_path):
        store = ImageStore(tmp_path, ("host",))
        assert store.get("host:v2").id == "host"
        assert store.listing()[0].tags == ("host", "host:latest", "host:v2")
        store.remove("host:v2")
        assert store.get("host").id == "host"


class TestPrivileges:
    def test_capability_sets(self):
        assert capabilities(Security()) == DEFAULT_CAPABILITIES
        assert capabilities(Security(privileged=True)) == set(CAPABILITIES)
        assert capabilities(Security(drop_capabilities=("ALL",), add_capabilities=("CAP_NET_ADMIN",))) == {"NET_ADMIN"}
        assert capabilities(Security(add_capabilities=("ALL",), drop_capabilities=("KILL",))) == set(CAPABILITIES) - {"KILL"}

    def test_users_come_from_the_pod_or_the_image(self, tmp_path):
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/passwd").write_text("app:x:7:8:An app:/srv:/bin/sh\n")
        (tmp_path / "etc/group").write_text("app:x:8:\nextra:x:9:app,other\n")
        assert identity(Security(), "app", (tmp_path,)) == Identity(uid=7, gid=8, groups=(8, 9), home="/srv")
        assert identity(Security(), "app:extra", (tmp_path,)).gid == 9
        assert identity(Security(strict_groups=True), "app", (tmp_path,)).groups == (8,)
        assert identity(Security(run_as_user=5, run_as_group=6, supplemental_groups=(1,)), "app", (tmp_path,)) == Identity(
            uid=5, gid=6, groups=(1, 6)
        )
        assert identity(Security(), "", (tmp_path,)).home == "/root"
        with pytest.raises(InvalidConfig, match="nobody"):
            identity(Security(), "nobody", (tmp_path,))
        with pytest.raises(InvalidConfig, match="runAsNonRoot"):
            identity(Security(run_as_non_root=True), "", (tmp_path,))


def evaluate(code, number, argument=0, architecture=None):
    """Run a BPF filter over one system call, as the kernel does."""
    data = struct.pack("<IIQ6Q", number, architecture or seccomp._ARCHITECTURE["x86_64"], 0, argument, 0, 0, 0, 0, 0)
    position, value = 0, 0
    while True:
        operation, yes, no, k = struct.unpack_from("<HBBI", code, 8 * position)
        position += 1
        if operation == 0x06:
            return k
        if operation == 0x20:
            value = struct.unpack_from("<I", data, k)[0]
        else:
            met = {0x15: value == k, 0x25: value > k, 0x45: bool(value & k)}[operation]
            position += yes if met else no


class TestFilter:
    ALLOW, REFUSE, ABSENT = 0x7FFF0000, 0x00050001, 0x00050026

    def test_the_default_filter(self):
        code = seccomp.default_filter(DEFAULT_CAPABILITIES, "x86_64")
        numbers = NUMBERS["x86_64"]
        assert evaluate(code, numbers["mount"]) == evaluate(code, numbers["unshare"]) == self.REFUSE
        assert evaluate(code, numbers["execve"]) == evaluate(code, numbers["setresuid"]) == evaluate(code, numbers["capset"]) == self.ALLOW
        assert evaluate(code, 56, 0x01200011) == self.ALLOW  # fork
        assert evaluate(code, 56, 0x10000011) == self.REFUSE  # clone into a user namespace
        assert evaluate(code, 435) == self.ABSENT
        assert evaluate(code, 41, 2) == self.ALLOW
        assert evaluate(code, 41, 40) == self.REFUSE
        assert evaluate(code, 0x40000001) == evaluate(code, 1, architecture=0x40000003) == self.ABSENT

    def test_a_granted_capability_opens_its_calls(self):
        code = seccomp.default_filter(DEFAULT_CAPABILITIES | {"SYS_ADMIN"}, "x86_64")
        assert evaluate(code, NUMBERS["x86_64"]["mount"]) == evaluate(code, 56, 0x10000011) == self.ALLOW
        assert evaluate(code, 175) == self.REFUSE  # init_module needs SYS_MODULE

    def test_there_is_a_filter_for_the_other_machine(self):
        arm = seccomp.default_filter(DEFAULT_CAPABILITIES, "aarch64")
        assert evaluate(arm, 40, architecture=seccomp._ARCHITECTURE["aarch64"]) == self.REFUSE


class TestPrograms:
    def test_the_order_of_what_makes_it_safe(self, tmp_path):
        security = Security(allow_privilege_escalation=False)
        config = ContainerConfig(name="n", image="host", security=security)
        place = Place(tmp_path, ["/cg/procs"], 9, "")
        node = Node(held=frozenset(CAPABILITIES), unified=False, hierarchies={}, seccomp_default=True)
        program = container_program(record(config), SandboxConfig(name="p", namespace="d", uid="u"), place, Root((tmp_path,)), node)
        names = [step.name for step in program.inner.steps]
        order = [
            names.index(name)
            for name in ("setns", "open_tree", "pivot_root", "umount2", "move_mount", "seccomp", "setresuid", "capset", "execve")
        ]
        assert order == sorted(order)
        assert names[-1] == "fail"
        labels = [step.label for step in program.inner.steps]
        assert labels.index("set no_new_privs") < labels.index("load the system call filter")
        assert program.encode()[:8] == b"BBSTEPS1"

    def test_host_namespaces_are_not_made(self, tmp_path):
        def flags(**fields):
            pod = SandboxRecord(id="s", config=SandboxConfig(name="p", namespace="d", uid="u", **fields), created_at=1)
            steps = pause_program(pod, tmp_path).inner.steps
            return next(step.arguments[0] for step in steps if step.name == "unshare")

        assert flags() == 0x4C000000
        assert flags(host_network=True) == 0x08000000
        assert flags(host_network=True, host_ipc=True) == 0

    def test_results_and_tables_are_laid_out(self):
        program = Program()
        saved = program.outer.saving("openat", -100, "/x", 0, 0, label="open")
        assert saved == Saved(0)
        program.inner.call("execve", "/x", Table(("a", "b")), Table(()), label="exec: a")
        code = program.encode()
        assert struct.unpack_from("<4I", code, 16) == (48, 1, 112, 3)
        for text in (b"/x\0", b"a\0", b"b\0", b"exec: a\0"):
            assert code.count(text) >= 1

    def test_the_ready_made_monitors_are_of_this_source(self):
        for machine in ("x86_64", "aarch64"):
            built = (binary.HERE / f"monitor.{machine}.source").read_text().strip()
            assert built == binary.source_hash(), f"rebuild it: python -m bareboat_cri_process.binary {machine}"
            assert (binary.HERE / f"monitor.{machine}").read_bytes()[:4] == b"\x7fELF"
        assert platform.machine() in NUMBERS


V1 = """31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / {0}/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / {0}/memory rw,relatime - cgroup cgroup rw,memory
35 31 0:32 / {0}/pids rw,relatime - cgroup cgroup rw,pids
36 31 0:33 / {0}/unified rw,relatime - cgroup2 cgroup2 rw
"""


class TestCgroups:
    def test_version_one_is_found_and_joint_controllers_are_one_directory(self, tmp_path):
        groups = cgroups.detect("i", V1.format(tmp_path))
        assert not groups.unified
        assert groups.directories("s/c") == [tmp_path / c / "bareboat-i/s/c" for c in ("pids", "memory", "cpu,cpuacct")]
        assert groups.hierarchies() == {"pids": "pids", "memory": "memory", "cpu,cpuacct": "cpu,cpuacct"}

    def test_version_two_limits_and_delegation(self, tmp_path):
        groups = cgroups.detect("i", f"36 31 0:33 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
        assert groups.unified
        groups.create("s/c", Resources(cpu_shares=1024, cpu_quota=50_000, memory_limit=1 << 20, pids_limit=9))
        group = tmp_path / "bareboat-i/s/c"
        found = {name: (group / name).read_text() for name in ("cpu.weight", "cpu.max", "memory.max", "pids.max")}
        assert found == {"cpu.weight": "39", "cpu.max": "50000 100000", "memory.max": str(1 << 20), "pids.max": "9"}
        for level in (tmp_path, tmp_path / "bareboat-i", tmp_path / "bareboat-i/s"):
            assert (level / "cgroup.subtree_control").exists()
        assert not (group / "cgroup.subtree_control").exists()

    def test_usage_is_read_from_version_two(self, tmp_path):
        groups = cgroups.Cgroups("i", {"": tmp_path})
        group = tmp_path / "bareboat-i/s/c"
        group.mkdir(parents=True)
        (group / "cpu.stat").write_text("usage_usec 5\n")
        (group / "memory.current").write_text("100")
        (group / "memory.stat").write_text("anon 1\ninactive_file 40\n")
        (group / "memory.events").write_text("oom 1\noom_kill 2\n")
        assert groups.usage("s/c") == cgroups.Usage(cpu_nanos=5000, memory=100, working_set=60, pids=0)
        assert groups.oom_kills("s/c") == 2

    def test_a_machine_without_cgroups_has_no_limits(self):
        groups = cgroups.detect("i", "")
        groups.create("s/c", Resources(memory_limit=1))
        assert groups.procs("s/c") == []
        assert groups.usage("s/c") == cgroups.Usage()
