"""The machine: mounts, loop devices, file systems. Blocking; knows nothing of Bareboat's objects.

What comes in: paths. What goes out: mounts and devices, as the kernel's own tables show them; HostError with what a command complained of.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

SYS_BLOCK = Path("/sys/block")
FILE_SYSTEMS = ("ext4", "xfs")
#: Bytes below which the maker of a file system refuses.
SMALLEST = {"ext4": 1 << 20, "xfs": 300 << 20}


class HostError(Exception):
    """A command failed; the text is its complaint."""


class Mount(msgspec.Struct, frozen=True):
    """A line of mountinfo: ``device`` as MAJOR:MINOR, ``root`` the path within it, ``path`` where it is, ``readonly`` of this mount."""

    device: str
    root: str
    path: str
    readonly: bool


def run(*command: str, missing: str = "") -> str:
    """What it prints. Raises HostError."""
    found = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise HostError(f"the command {command[0]} is missing{missing}")
    done = subprocess.run([found, *command[1:]], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise HostError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def mounts() -> list[Mount]:
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        found.append(Mount(words[2], _plain(words[3]), _plain(words[4]), "ro" in words[5].split(",")))
    return found


def _plain(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def mounted(path: str) -> Mount | None:
    """The topmost mount at exactly that path."""
    real = os.path.realpath(path)
    return next((m for m in reversed(mounts()) if m.path == real), None)


def same(left: Mount, right: Mount) -> bool:
    """Whether both show the same files."""
    return (left.device, left.root) == (right.device, right.root)


def places_of(directory: Path) -> list[str]:
    """Where else a directory is bound to."""
    known, real = mounts(), os.path.realpath(directory)
    holders = [m for m in known if real == m.path or real.startswith(f"{m.path.rstrip('/')}/")]
    holder = max(holders, key=lambda m: len(m.path))
    root = os.path.join(holder.root, os.path.relpath(real, holder.path))
    return [m.path for m in known if (m.device, m.root) == (holder.device, root) and m.path != holder.path]


def bind(source: str, target: str) -> None:
    run("mount", "--bind", source, target)


def make_readonly(target: str, flags: Sequence[str] = ()) -> None:
    run("mount", "-o", ",".join(["remount", "bind", *flags, "ro"]), target)


def remount(target: str, flags: Sequence[str]) -> None:
    run("mount", "-o", ",".join(["remount", "bind", *flags]), target)


def mount_image(image: Path, target: str, fs: str, flags: Sequence[str]) -> None:
    """Through a loop device that goes when the mount goes. Copies of one XFS live side by side."""
    options = ["loop", *flags, *(["nouuid"] if fs == "xfs" else [])]
    run("mount", "-t", fs, "-o", ",".join(options), str(image), target)


def unmount(path: str) -> None:
    """All of what is mounted there. Not mounted: nothing to do."""
    while mounted(path) is not None:
        run("umount", path)


def devices_of(image: Path) -> list[str]:
    """Loop devices over the file."""
    found = []
    for backing in SYS_BLOCK.glob("loop*/loop/backing_file"):
        try:
            if backing.read_text().strip() == os.path.realpath(image):
                found.append(f"/dev/{backing.parent.parent.name}")
        except OSError:  # let go of meanwhile
            continue
    return found


def is_readonly(device: str) -> bool:
    return (SYS_BLOCK / Path(device).name / "ro").read_text().strip() == "1"


def attach(image: Path, *, readonly: bool = False) -> str:
    return run("losetup", "--find", "--show", *(["--read-only"] if readonly else []), str(image)).strip()


def detach(device: str) -> None:
    run("losetup", "--detach", device)


def device_at(path: str) -> str:
    """The block device that a device file leads to, "" if it is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ""
    if not stat.S_ISBLK(found.st_mode):
        return ""
    return f"/dev/{Path(f'/sys/dev/block/{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}').resolve().name}"


def make_image(image: Path, size: int, fs: str) -> None:
    """A sparse file; with ``fs`` a file system in it."""
    with image.open("wb") as file:
        file.truncate(size)
    if fs == "ext4":
        run("mkfs.ext4", "-q", "-F", "-m", "0", str(image), missing=" (Debian: e2fsprogs)")
    elif fs == "xfs":
        run("mkfs.xfs", "-q", "-f", str(image), missing=" (Debian: xfsprogs)")


def grow_image(image: Path, size: int) -> None:
    with image.open("r+b") as file:
        file.truncate(size)
    for device in devices_of(image):
        run("losetup", "--set-capacity", device)


def grow_unmounted(image: Path, fs: str) -> None:
    """The file system in the file to the file's size; an XFS grows only where it is mounted."""
    if fs == "ext4":
        run("e2fsck", "-f", "-p", str(image), missing=" (Debian: e2fsprogs)")
        run("resize2fs", str(image), missing=" (Debian: e2fsprogs)")


def grow_file_system(mount: str, image: Path, fs: str) -> None:
    """To the size of its device, in use. An ext4 asks the kernel for the right CAP_SYS_RESOURCE."""
    for device in devices_of(image):
        run("losetup", "--set-capacity", device)
        if fs == "ext4" and not is_readonly(device):
            run("resize2fs", device, missing=" (Debian: e2fsprogs)")
    if fs == "xfs":
        run("xfs_growfs", mount, missing=" (Debian: xfsprogs)")


def copy(source: Path, target: Path) -> None:
    """A file or a whole directory with owners and modes; shared blocks where the disk can."""
    run("cp", "-a", "--reflink=auto", "--sparse=always", "-T", str(source), str(target))


class Frozen:
    """For as long as the block lasts nothing is written to what is mounted there ("" = nowhere)."""

    def __init__(self, mount: str) -> None:
        self._mount = mount

    def __enter__(self) -> None:
        if self._mount:
            run("fsfreeze", "--freeze", self._mount)

    def __exit__(self, *_: object) -> None:
        if self._mount:
            run("fsfreeze", "--unfreeze", self._mount)
