"""Files of a volume given to a pod's group: readable and writable for it, and what is made in its directories too.

What comes in: a directory, a group, and a policy. What goes out: owners and modes. Links are not followed, other mounts not entered.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def give(directory: Path, group: int, policy: str, *, readonly: bool) -> None:
    """``policy`` OnRootMismatch looks at the root only, and leaves all as it is if that is right."""
    mask, directories = (0o440, 0o110) if readonly else (0o660, 0o110)
    if policy == "OnRootMismatch" and _is_right(directory, group, mask | directories):
        return
    device = directory.stat().st_dev
    for place, names, files in os.walk(directory, topdown=True):
        names[:] = [n for n in names if os.lstat(os.path.join(place, n)).st_dev == device]
        for name in (*names, *files):
            _one(os.path.join(place, name), group, mask, directories)
    _one(str(directory), group, mask, directories)  # last: it says that all is done


def _is_right(directory: Path, group: int, mode: int) -> bool:
    found = directory.stat()
    return found.st_gid == group and found.st_mode & mode == mode and bool(found.st_mode & stat.S_ISGID)


def _one(path: str, group: int, mask: int, directories: int) -> None:
    found = os.lstat(path)
    os.chown(path, -1, group, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        return
    mode = stat.S_IMODE(found.st_mode) | mask
    if stat.S_ISDIR(found.st_mode):
        mode |= directories | stat.S_ISGID
    os.chmod(path, mode)


def wants(policy: str, *, fs_type: str, once: bool) -> bool:
    """Whether the CSIDriver's fsGroupPolicy lets the files be changed. ``once``: the volume is one node's, to write."""
    if policy == "None":
        return False
    return policy == "File" or (bool(fs_type) and once)
