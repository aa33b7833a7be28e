"""The monitor as a program: which file to run on this machine, and how it is built from its C source.

What comes in: the machine's architecture. What goes out: an open file, a static executable of about 8 KB. The wheel and the checkout
carry it ready-made for the common machines, so that no user needs a compiler; elsewhere it is compiled once with the host's ``cc``.
Each ready-made file has a ``.source`` beside it, the hash of the source it was built from: a test fails when they no longer agree.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from bareboat.contracts.errors import SkipPlugin

HERE = Path(__file__).parent / "monitor"
SOURCES = ("kernel.h", "program.h", "log.h", "relay.h", "monitor.c")
FLAGS = (
    *("-Os", "-Wall", "-Wextra", "-Werror", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie"),
    *("-fno-asynchronous-unwind-tables", "-fno-strict-aliasing"),
    *("-Wl,--build-id=none", "-Wl,-z,noexecstack", "-s"),
)


def source_hash() -> str:
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def compile_monitor(target: Path, *compiler: str) -> None:
    """Build the monitor for this machine (or the compiler's target) into ``target``."""
    command = [*(compiler or ("cc", "-Wl,-z,noseparate-code")), *FLAGS, "-o", str(target), str(HERE / "monitor.c")]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  a compiler that the developer named


def ready_made(machine: str) -> Path | None:
    path = HERE / f"monitor.{machine}"
    return path if path.is_file() else None


def monitor_file(cache: Path) -> int:
    """An open file to execute: a sealed copy in memory, which no container can ever write to, and no upgrade pulls from under one."""
    memory = os.memfd_create("bareboat-monitor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(memory, _executable(cache).read_bytes())
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return memory


def _executable(cache: Path) -> Path:
    if found := ready_made(platform.machine()):
        return found
    target = cache / f"monitor-{source_hash()[:12]}"
    if target.exists():
        return target
    if not shutil.which("cc"):
        raise SkipPlugin(f"no monitor for {platform.machine()} is included: install a C compiler as `cc` and it is built on first use")
    partial = target.with_suffix(".new")
    compile_monitor(partial)
    return partial.rename(target)


def main() -> None:
    """Refresh a ready-made file: ``python -m bareboat_cri_process.binary [MACHINE COMPILER…]``, such as ``aarch64 zig cc -target …``."""
    machine = sys.argv[1] if len(sys.argv) > 1 else platform.machine()
    compile_monitor(HERE / f"monitor.{machine}", *sys.argv[2:])
    (HERE / f"monitor.{machine}.source").write_text(source_hash() + "\n")


if __name__ == "__main__":
    main()
