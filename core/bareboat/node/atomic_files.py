"""Files that change all at once: a dated directory and a link ``..data`` that is swapped, as upstream writes them.

What comes in: names, contents, modes and owners. What goes out: a directory whose reader sees all of the old or all of the new.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple


class File(NamedTuple):
    """``user`` None: root's."""

    data: bytes
    mode: int
    user: int | None = None


#: By their paths in the directory.
Files = dict[str, File]


def write_atomically(directory: Path, files: Files, group: int | None) -> None:
    """Replace the directory's content as one step."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    current = directory / "..data"
    number = int(os.readlink(current).rpartition("_")[2]) + 1 if current.is_symlink() else 1
    fresh = directory / f"..content_{number}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o755)
    for name, file in files.items():
        path = fresh / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(file.data)
        os.chown(path, -1 if file.user is None else file.user, -1 if group is None else group)
        path.chmod(file.mode if group is None else file.mode | 0o040)
    link = directory / "..data_new"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    before = os.readlink(current) if current.is_symlink() else ""
    link.replace(current)
    _link_names(directory, {name.partition("/")[0] for name in files})
    if before:
        shutil.rmtree(directory / before, ignore_errors=True)


def _link_names(directory: Path, names: set[str]) -> None:
    for name in names:
        path = directory / name
        if not path.is_symlink():
            path.symlink_to(f"..data/{name}")
    for path in directory.iterdir():
        if path.is_symlink() and not path.name.startswith("..") and path.name not in names:
            path.unlink()
