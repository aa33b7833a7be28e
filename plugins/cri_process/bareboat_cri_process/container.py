"""The programs of this driver: a pod's pause process, a container, and a command in a container. Pure: nothing is carried out here.

What comes in: records, and facts about the node. What goes out: a Program. This is the place to read what happens, in order, between
"start" and the first instruction of a container's command.
"""

from __future__ import annotations

import os
import posixpath
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bareboat.contracts.cri import Mount, SandboxConfig
from bareboat_cri_process import syscalls as sys
from bareboat_cri_process.devices import open_devices, put_devices
from bareboat_cri_process.lookup import find
from bareboat_cri_process.privileges import capabilities, drop_privileges, filter_code
from bareboat_cri_process.program import ANY, PAUSE, SESSION, STDIN, STDIN_ONCE, TTY, Program, Saved, Steps, Table
from bareboat_cri_process.records import ContainerRecord, SandboxRecord
from bareboat_cri_process.rootfs import Root, attributes, cgroup_mounts, kernel_mounts, mount_root, open_tree, put_tree, switch_root

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NOT_FOUND, _NO_ACCESS, _NOT_DIRECTORY = 2, 13, 20
_PROPAGATION = {"None": sys.MS_PRIVATE, "HostToContainer": sys.MS_SLAVE, "Bidirectional": 0}
_POD_NAMESPACES = sys.CLONE_NEWNET | sys.CLONE_NEWIPC | sys.CLONE_NEWUTS


@dataclass(frozen=True, slots=True)
class Node:
    """Facts about the machine that programs depend on."""

    held: frozenset[str]
    unified: bool
    hierarchies: Mapping[str, str]
    seccomp_default: bool


def pause_program(record: SandboxRecord, directory: Path) -> Program:
    """A process that does nothing but hold the pod's namespaces; the lock on its directory says that it lives."""
    config = record.config
    own_pid = config.share_process_namespace and not config.host_pid
    program = Program(flags=PAUSE, clone_flags=sys.CLONE_NEWPID if own_pid else 0, directory=str(directory))
    steps = program.inner
    steps.call("unshare", _pause_namespaces(config), label="make the pod's namespaces")
    steps.write("/proc/self/oom_score_adj", "-998", ok=(_NO_ACCESS,))
    if not config.host_network:
        if config.hostname:
            hostname = config.hostname.encode()[:64]
            steps.call("sethostname", hostname, len(hostname), label="set the hostname")
        socket = steps.saving("socket", 2, 2 | sys.O_CLOEXEC, 0, label="open a socket")
        steps.call("ioctl", socket, sys.SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", sys.IFF_UP), label="bring up the loopback interface")
    for name, value in config.sysctls.items():
        steps.write("/proc/sys/" + name.replace(".", "/"), value, label=f"sysctl {name}={value}")
    return program


@dataclass(frozen=True, slots=True)
class Place:
    """Its directory, the cgroup files to join, the inherited pidfd of the pause process, and the pod's shared memory ("" for none).

    ``target`` is the inherited pidfd of a container whose processes it is to see, -1 for none.
    """

    directory: Path
    procs: list[str]
    pause: int
    shm: str
    target: int = -1


def container_program(record: ContainerRecord, sandbox: SandboxConfig, place: Place, root: Root, node: Node) -> Program:
    """From the pod's namespaces to the command's first instruction."""
    config, directory = record.config, place.directory
    privileged = config.security.privileged
    shared = place.pause if sandbox.share_process_namespace else place.target
    own_pid = shared < 0 and not sandbox.host_pid
    program = Program(
        flags=stream_flags(config.tty, config.stdin) | (STDIN_ONCE if config.stdin_once else 0),
        clone_flags=sys.CLONE_NEWNS | (sys.CLONE_NEWPID if own_pid else 0),
        directory=str(directory),
        log=config.log_path,
        procs=place.procs[0] if place.procs else "",
    )
    if shared >= 0 and not sandbox.host_pid:
        program.outer.call("setns", shared, sys.CLONE_NEWPID, label="join the PID namespace")
    steps = program.inner
    join_groups(steps, place.procs, config.resources.oom_score_adj)
    steps.call("setns", place.pause, _POD_NAMESPACES, label="join the pod's namespaces")
    steps.call("unshare", sys.CLONE_NEWCGROUP, label="make a cgroup namespace", ok=(22,))
    volumes = [(mount, _open_volume(steps, mount, nodev=not privileged)) for mount in by_depth(config.mounts)]
    devices = open_devices(steps, config.devices, place.shm, privileged=privileged)
    steps.mount("none", "/", "", sys.MS_REC | sys.MS_SLAVE)
    mount_root(steps, root, directory, nodev=not privileged)
    switch_root(steps, directory)
    kernel_mounts(steps, privileged=privileged, masked=config.security.proc_mount != "Unmasked")
    cgroup_mounts(steps, node.hierarchies, privileged=privileged, unified=node.unified)
    put_devices(steps, devices, privileged=privileged)
    for mount, tree in volumes:
        _put_volume(steps, mount, tree, root)
    steps.mkdirs(record.cwd)
    if config.security.readonly_rootfs:
        for path in ("/", *(p for p in root.paths if root.is_host and os.path.isdir(p) and not os.path.islink(p))):
            attributes(steps, path, readonly=True, nodev=False, deep=False)
    _execute(steps, record, record.argv, record.env, node, tty=config.tty)
    return program


def exec_program(
    record: ContainerRecord,
    sandbox: SandboxConfig,
    argv: tuple[str, ...],
    node: Node,
    *,
    target: int,
    procs: list[str],
    tty: bool,
    stdin: bool,
) -> Program:
    """A command in a running container; ``target`` is the inherited pidfd of its main process."""
    program = Program(flags=SESSION | stream_flags(tty, stdin))
    if not sandbox.host_pid:
        program.outer.call("setns", target, sys.CLONE_NEWPID, label="join the container's PID namespace")
    steps = program.inner
    join_groups(steps, procs, record.config.resources.oom_score_adj)
    steps.call("setns", target, sys.CLONE_NEWNS | _POD_NAMESPACES | sys.CLONE_NEWCGROUP, label="join the container's namespaces")
    env = (("TERM", "xterm"), *record.env) if tty else record.env
    _execute(steps, record, argv, env, node, tty=tty)
    return program


def _pause_namespaces(config: SandboxConfig) -> int:
    flags = 0 if config.host_network else sys.CLONE_NEWNET | sys.CLONE_NEWUTS
    return flags | (0 if config.host_ipc else sys.CLONE_NEWIPC)


def stream_flags(tty: bool, stdin: bool) -> int:
    return (TTY if tty else 0) | (STDIN if stdin else 0)


def join_groups(steps: Steps, procs: list[str], oom_score_adj: int) -> None:
    steps.call("umask", 0, label="clear the umask")
    for path in procs:
        steps.write(path, "0", label=f"join the cgroup {os.path.dirname(path)}")
    # A host may not let us go below our own value: then ours stays.
    steps.write("/proc/self/oom_score_adj", str(max(-1000, min(1000, oom_score_adj))), ok=(_NO_ACCESS,))


def by_depth(mounts: tuple[Mount, ...]) -> list[Mount]:
    return sorted(mounts, key=lambda m: posixpath.normpath(m.container_path).count("/"))


def _open_volume(steps: Steps, mount: Mount, *, nodev: bool) -> Saved:
    tree = open_tree(steps, mount.host_path, label=f"open the volume {mount.host_path} for {mount.container_path}")
    attributes(steps, tree, readonly=mount.readonly, nodev=nodev, propagation=_PROPAGATION.get(mount.propagation, sys.MS_PRIVATE))
    return tree


def _put_volume(steps: Steps, mount: Mount, tree: Saved, root: Root) -> None:
    """After the switch of roots, so that a link in the image leads to a place in the image and never to one on the machine."""
    target = posixpath.normpath("/" + mount.container_path.lstrip("/"))
    if os.path.isdir(mount.host_path):
        steps.mkdirs(target)
    else:
        steps.mkdirs(posixpath.dirname(target))
        place = find(root.lowers, target)
        if place is not None and place.is_symlink():  # such as /etc/resolv.conf: it may point at nothing in here
            steps.call("unlinkat", sys.AT_FDCWD, target, 0, label=f"replace the link {target}", ok=(ANY,))
        steps.touch(target)
    put_tree(steps, tree, target, label=f"mount the volume at {mount.container_path}")


def _execute(
    steps: Steps, record: ContainerRecord, argv: tuple[str, ...], env: tuple[tuple[str, str], ...], node: Node, *, tty: bool
) -> None:
    security = record.config.security
    if tty:
        steps.terminal()
        steps.call("fchown", 0, record.who.uid, -1, label="give the terminal to the user", ok=(ANY,))
    steps.call("chdir", record.cwd, label=f"enter the working directory {record.cwd}")
    steps.call("umask", 0o022, label="set the umask")
    kept = filter_code(security, capabilities(security), default=node.seccomp_default)
    drop_privileges(steps, security, record.who, kept, held=node.held)
    environment = dict(env)
    table = Table(tuple(f"{name}={value}" for name, value in environment.items()))
    label = f"exec: {argv[0]}"
    if "/" in argv[0]:
        steps.call("execve", argv[0], Table(argv), table, label=label)
        return
    for directory in environment.get("PATH", DEFAULT_PATH).split(":"):
        steps.call("execve", f"{directory or '.'}/{argv[0]}", Table(argv), table, label=label, ok=(_NOT_FOUND, _NO_ACCESS, _NOT_DIRECTORY))
    steps.fail(_NOT_FOUND, label)
