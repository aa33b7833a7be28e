"""The image of the process that holds a pod's namespaces: one static executable of some 250 bytes, made here.

The program, in words: let the kernel reap what is orphaned (it is process 1 where a pod shares its process namespace), block the
signals to end, wait for one of them, exit. There is no compiler and no registry involved: the machine code is below, with addresses in
absolute form, as the file is loaded where it says.
"""

from __future__ import annotations

import hashlib
import io
import platform
import struct
import tarfile

_BASE = 0x400000
_HEADERS = 64 + 56
_ACTION_SIZE = 32
_SIGCHLD = 17
#: SIGINT and SIGTERM as a signal mask.
_TO_END = 1 << (2 - 1) | 1 << (15 - 1)
#: struct kernel_sigaction: the handler is SIG_IGN, no flags; then the mask above.
_DATA = struct.pack("<QQQQ", 1, 0, 0, 0) + struct.pack("<Q", _TO_END)


def _x86_64(action: int, mask: int) -> bytes:
    def load(register: int, value: int) -> bytes:
        return bytes((0xB8 + register,)) + struct.pack("<I", value)

    eax, edx, esi, edi = 0, 2, 6, 7
    r10d, syscall = b"\x41\xba" + struct.pack("<I", 8), b"\x0f\x05"
    ignore = load(eax, 13) + load(edi, _SIGCHLD) + load(esi, action) + load(edx, 0) + r10d + syscall
    block = load(eax, 14) + load(edi, 0) + load(esi, mask) + load(edx, 0) + r10d + syscall
    wait = load(eax, 128) + load(edi, mask) + load(esi, 0) + load(edx, 0) + r10d + syscall
    again = b"\x85\xc0\x78" + struct.pack("<b", -(len(wait) + 4))  # test eax, eax; js wait
    return ignore + block + wait + again + load(eax, 60) + load(edi, 0) + syscall


def _aarch64(action: int, mask: int) -> bytes:
    def load(register: int, value: int) -> bytes:  # movz, movk
        low, high = 0xD2800000 | (value & 0xFFFF) << 5 | register, 0xF2A00000 | (value >> 16) << 5 | register
        return struct.pack("<II", low, high)

    def call(number: int, *arguments: int) -> bytes:
        return b"".join(load(i, a) for i, a in enumerate(arguments)) + load(8, number) + struct.pack("<I", 0xD4000001)

    wait = call(137, mask, 0, 0, 8)
    again = struct.pack("<I", 0xB7F80000 | ((-len(wait) // 4) & 0x3FFF) << 5)  # tbnz x0, #63, wait
    return call(134, _SIGCHLD, action, 0, 8) + call(135, 0, mask, 0, 8) + wait + again + call(93, 0)


_CODE = {"x86_64": (62, _x86_64), "aarch64": (183, _aarch64)}


def executable(machine: str = "") -> bytes:
    """A static ELF file. Raises KeyError for a machine that nobody has written it for."""
    number, code = _CODE[machine or platform.machine()]
    action = _BASE + _HEADERS
    body = _DATA + code(action, action + _ACTION_SIZE)
    size = _HEADERS + len(body)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, number, 1, action + len(_DATA), 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return ident + header + segment + body


def known_machine() -> bool:
    return platform.machine() in _CODE


def image_name() -> tuple[str, str]:
    """Repository and tag: the tag follows the content, so that an image of the name is the right one."""
    return "bareboat-pause", hashlib.sha256(executable()).hexdigest()[:12]


def layer() -> bytes:
    """The image's only layer: a tar file with ``/pause``."""
    content = executable()
    entry = tarfile.TarInfo("pause")
    entry.size, entry.mode = len(content), 0o555
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()
