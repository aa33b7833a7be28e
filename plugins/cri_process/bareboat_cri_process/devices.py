"""A container's /dev: the harmless devices of the machine, terminals of its own, and the pod's shared memory.

What comes in: the devices a pod asks for. What goes out: steps, in two halves: ``open_devices`` while the machine's /dev can still be
seen, ``put_devices`` once the container's root is in place.
"""

from __future__ import annotations

import os

from bareboat_cri_process.program import ANY, Saved, Steps
from bareboat_cri_process.rootfs import attributes, open_tree, put_tree
from bareboat_cri_process.syscalls import AT_FDCWD, MS_NOEXEC, MS_NOSUID

_SHM = "/dev/shm"  # noqa: S108  in the container
NODES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
)


def open_devices(steps: Steps, asked: tuple[tuple[str, str, str], ...], shm: str, *, privileged: bool) -> list[tuple[str, Saved]]:
    """(path in the container, mount) of each; a privileged container gets the machine's /dev as a whole."""
    if privileged:
        opened = [("/dev", open_tree(steps, "/dev"))]
    else:
        opened = [(f"/dev/{name}", open_tree(steps, f"/dev/{name}")) for name in NODES if os.path.exists(f"/dev/{name}")]
        opened += [(inside, open_tree(steps, outside, label=f"open device {outside}")) for outside, inside, _ in asked]
    if shm:
        tree = open_tree(steps, shm)
        attributes(steps, tree)
        opened.append((_SHM, tree))
    return opened


def put_devices(steps: Steps, opened: list[tuple[str, Saved]], *, privileged: bool) -> None:
    if not privileged:
        # Not `nodev` on the bind mounts of single devices, but on the directory itself: what is made here cannot be opened.
        steps.mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | 4, "mode=755,size=64k")
    for path, tree in opened:
        if path == _SHM:
            steps.mkdirs(path)
        elif path != "/dev":
            steps.mkdirs(os.path.dirname(path))
            steps.touch(path)
        put_tree(steps, tree, path)
    if privileged:
        return
    steps.mkdir("/dev/pts")
    steps.mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    steps.mkdir("/dev/mqueue")
    steps.mount("mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NOEXEC | 4, ok=(ANY,))
    for target, name in _LINKS:
        steps.call("symlinkat", target, AT_FDCWD, f"/dev/{name}", label=f"link /dev/{name}", ok=(17,))
