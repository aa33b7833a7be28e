"""A container's file system: the steps that build it in its own mount namespace and switch into it.

What comes in: a Root (the machine's own file system, or an image's unpacked one) and the container's directory. What goes out: steps.
Nothing is ever mounted in the machine's namespace, so nothing can be left behind in it: when the container's last process is gone, the
kernel has unmounted everything. Devices are bind-mounted from the machine and every other mount is ``nodev``: a device node that a
container makes for itself cannot be opened.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bareboat_cri_process.program import ANY, Saved, Steps
from bareboat_cri_process.syscalls import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_RECURSIVE,
    MNT_DETACH,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_RDONLY,
    MOVE_MOUNT_F_EMPTY_PATH,
    MOVE_MOUNT_T_SYMLINKS,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    OPEN_TREE_CLOEXEC,
    OPEN_TREE_CLONE,
)

_EEXIST = 17
_SKELETON = (
    *(("/dev", 0o755), ("/home", 0o755), ("/mnt", 0o755), ("/proc", 0o555), ("/root", 0o700), ("/run", 0o755), ("/srv", 0o755)),
    *(("/sys", 0o555), ("/tmp", 0o1777), ("/var", 0o755), ("/var/cache", 0o755), ("/var/lib", 0o755), ("/var/log", 0o755)),  # noqa: S108
    *(("/var/tmp", 0o1777), ("/var/www", 0o755)),  # noqa: S108
)
MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug"),
    *("/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"),
)
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Root:
    """``lowers`` is "/" for the machine's own file system (then ``paths`` and ``hidden`` apply), else an image's layers, topmost first,
    all in one directory."""

    lowers: tuple[Path, ...]
    paths: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    layers_on_disk: bool = True

    @property
    def is_host(self) -> bool:
        return self.lowers == (Path("/"),)


def attributes(
    steps: Steps, tree: Saved | str, *, readonly: bool = False, nodev: bool = True, propagation: int = 0, deep: bool = True
) -> None:
    """Change what may be done through a mount; the flags that it has stay."""
    wanted = (MOUNT_ATTR_RDONLY if readonly else 0) | (MOUNT_ATTR_NODEV if nodev else 0)
    if not wanted and not propagation:
        return
    structure = struct.pack("<4Q", wanted, 0, propagation, 0)
    where: tuple[int | Saved, str] = (AT_FDCWD, tree) if isinstance(tree, str) else (tree, "")
    flags = (AT_RECURSIVE if deep else 0) | (0 if isinstance(tree, str) else AT_EMPTY_PATH)
    steps.call("mount_setattr", *where, flags, structure, 32, label=f"set the attributes of {tree if isinstance(tree, str) else 'a mount'}")


def open_tree(steps: Steps, path: str, *, label: str = "") -> Saved:
    """A private copy of the mounts below ``path`` of the machine, to be put into the container later."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE
    return steps.saving("open_tree", AT_FDCWD, path, flags, label=label or f"open {path}")


def put_tree(steps: Steps, tree: Saved, target: str, label: str = "") -> None:
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS
    steps.call("move_mount", tree, "", AT_FDCWD, target, flags, label=label or f"mount at {target}")
    steps.call("close", tree, label="close a mount", ok=(ANY,))


def mount_root(steps: Steps, root: Root, directory: Path, *, nodev: bool) -> None:
    """Build the file system at ``directory``/fs."""
    fs, layers = f"{directory}/fs", f"{directory}/layers"
    if not root.layers_on_disk:
        steps.mount("tmpfs", layers, "tmpfs", MS_NODEV, "mode=755")
    if not root.is_host:
        steps.call("chdir", str(root.lowers[0].parent), label="enter the directory of layers")  # all their names must fit into a page
        _overlay(steps, ":".join(_escaped(lower.name) for lower in root.lowers), fs, f"{layers}/root", nodev=nodev)
        return
    steps.mount(fs, fs, "", MS_BIND)
    attributes(steps, fs, nodev=nodev)
    for path, mode in _SKELETON:
        steps.mkdir(fs + path, mode)
    steps.call("symlinkat", "/run", AT_FDCWD, f"{fs}/var/run", label="link /var/run", ok=(_EEXIST,))
    for path in root.paths:
        _host_path(steps, path, fs, layers, nodev=nodev)
    _interpreter(steps, root, fs)
    for path in root.hidden:
        _hide(steps, path, fs + path)


def _host_path(steps: Steps, path: str, fs: str, layers: str, *, nodev: bool) -> None:
    if os.path.islink(path):
        steps.call("symlinkat", os.readlink(path), AT_FDCWD, fs + path, label=f"link {path}", ok=(_EEXIST,))
    elif os.path.isdir(path):
        for depth in range(1, path.count("/")):
            steps.mkdir(fs + "/".join(path.split("/")[: depth + 1]))
        steps.mkdir(fs + path)
        _overlay(steps, _escaped(path), fs + path, f"{layers}/{path.strip('/').replace('/', '-')}", nodev=nodev)


def _overlay(steps: Steps, lower: str, target: str, layer: str, *, nodev: bool) -> None:
    """A private writable layer. ``volatile``: it is used by one container once, so it need not be synced when it goes."""
    for name in ("", "/upper", "/work"):
        steps.mkdir(layer + name)
    options = f"lowerdir={lower},upperdir={_escaped(layer)}/upper,workdir={_escaped(layer)}/work,volatile"
    steps.call("mount", "overlay", target, "overlay", MS_NODEV if nodev else 0, options, label=f"mount a writable layer over {lower}")


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _interpreter(steps: Steps, root: Root, fs: str) -> None:
    """The Python that runs Bareboat is part of the machine's file system for containers, wherever it is installed."""
    prefix = sys.base_prefix
    if any(prefix == p or prefix.startswith(p + "/") for p in root.paths):
        return
    for depth in range(1, prefix.count("/") + 1):
        steps.mkdir(fs + "/".join(prefix.split("/")[: depth + 1]))
    steps.mount(prefix, fs + prefix, "", MS_BIND)
    attributes(steps, fs + prefix, readonly=True)
    if shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") is None:
        steps.call("symlinkat", f"{prefix}/bin/python3", AT_FDCWD, f"{fs}/usr/bin/python3", label="link python3", ok=(_EEXIST,))


def _hide(steps: Steps, original: str, target: str) -> None:
    if os.path.isdir(original):
        steps.mount("tmpfs", target, "tmpfs", MS_RDONLY | MS_NODEV | MS_NOSUID, "mode=555,size=4k", ok=(2,))
    elif os.path.exists(original):
        steps.mount("/dev/null", target, "", MS_BIND, ok=(2,))


def switch_root(steps: Steps, directory: Path) -> None:
    """``fs`` becomes "/"; the machine's file system is no longer reachable."""
    steps.call("chdir", f"{directory}/fs", label="enter the new root")
    steps.call("pivot_root", ".", ".", label="switch to the new root")
    steps.call("umount2", ".", MNT_DETACH, label="let go of the old root")
    steps.call("chdir", "/", label="enter the new root")


def kernel_mounts(steps: Steps, *, privileged: bool, masked: bool) -> None:
    """/proc and /sys, as much as an unprivileged process should see."""
    secure = MS_NOSUID | MS_NODEV | MS_NOEXEC
    for path in ("/proc", "/sys", "/dev"):
        steps.mkdir(path)
    steps.mount("proc", "/proc", "proc", secure)
    steps.mount("sysfs", "/sys", "sysfs", secure | (0 if privileged else MS_RDONLY))
    if privileged:
        return
    for path in MASKED if masked else ():
        _hide(steps, path, path)
    for path in READONLY:
        if os.path.exists(path):
            steps.mount(path, path, "", MS_BIND | MS_REC, ok=(2,))
            attributes(steps, path, readonly=True)


def cgroup_mounts(steps: Steps, hierarchies: Mapping[str, str], *, privileged: bool, unified: bool) -> None:
    """The container's own groups, where programs look for their limits; in its cgroup namespace they are the roots."""
    root, flags = "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC
    readonly = 0 if privileged else MS_RDONLY
    if unified:
        steps.mount("cgroup2", root, "cgroup2", flags | readonly, ok=(ANY,))
        return
    if not hierarchies:
        return
    steps.mount("tmpfs", root, "tmpfs", flags, "mode=755,size=4k")
    for name, controllers in hierarchies.items():
        steps.mkdir(f"{root}/{name}")
        steps.mount("cgroup", f"{root}/{name}", "cgroup", flags | readonly, controllers, ok=(ANY,))
    for controller, name in _linked(hierarchies):
        steps.call("symlinkat", name, AT_FDCWD, f"{root}/{controller}", label=f"link {controller}", ok=(_EEXIST,))
    attributes(steps, root, readonly=True, deep=False)


def _linked(hierarchies: Mapping[str, str]) -> list[tuple[str, str]]:
    """Controllers that share a hierarchy are found under their own names too."""
    return [(c, name) for name, controllers in hierarchies.items() for c in controllers.split(",") if c != name]
