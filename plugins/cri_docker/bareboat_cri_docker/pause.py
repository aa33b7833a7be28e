"""The image of the process that holds a pod's namespaces: one static executable of some 350 bytes, made here.

The program, in words: if there is a network namespace at /netns, enter it (host_network), or end with 1; let the kernel reap what is
orphaned (it is process 1 where a pod shares its process namespace), block the signals to end, wait for one of them, exit. There is no
compiler and no registry involved: the machine code is below, with addresses in absolute form, as the file is loaded where it says.
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
_SIGNALS = struct.pack("<QQQQ", 1, 0, 0, 0) + struct.pack("<Q", _TO_END)
#: Where the network namespace to enter is shown to the process, if there is one.
NETNS = "/netns"
_DATA = _SIGNALS + NETNS.encode().ljust(8, b"\0")
_CLONE_NEWNET = 0x40000000


def _x86_64(action: int, mask: int, netns: int) -> bytes:
    def load(register: int, value: int) -> bytes:
        return bytes((0xB8 + register,)) + struct.pack("<I", value)

    eax, edx, esi, edi = 0, 2, 6, 7
    negative, positive = b"\x85\xc0\x78", b"\x85\xc0\x79"  # test eax, eax; js, jns
    r10d, syscall = b"\x41\xba" + struct.pack("<I", 8), b"\x0f\x05"
    ignore = load(eax, 13) + load(edi, _SIGCHLD) + load(esi, action) + load(edx, 0) + r10d + syscall
    block = load(eax, 14) + load(edi, 0) + load(esi, mask) + load(edx, 0) + r10d + syscall
    wait = load(eax, 128) + load(edi, mask) + load(esi, 0) + load(edx, 0) + r10d + syscall
    again = negative + struct.pack("<b", -(len(wait) + 4))
    end = [load(eax, 60) + load(edi, code) + syscall for code in (0, 1)]
    enter = b"\x89\xc7" + load(esi, _CLONE_NEWNET) + load(eax, 308) + syscall  # mov edi, eax
    enter += positive + struct.pack("<b", len(end[1])) + end[1]
    look = load(eax, 2) + load(edi, netns) + load(esi, 0) + load(edx, 0) + syscall + negative + struct.pack("<b", len(enter))
    return look + enter + ignore + block + wait + again + end[0]


def _aarch64(action: int, mask: int, netns: int) -> bytes:
    def load(register: int, value: int) -> bytes:  # movz, movk
        low, high = 0xD2800000 | (value & 0xFFFF) << 5 | register, 0xF2A00000 | (value >> 16) << 5 | register
        return struct.pack("<II", low, high)

    def call(number: int, *arguments: int) -> bytes:
        return b"".join(load(i, a) for i, a in enumerate(arguments)) + load(8, number) + struct.pack("<I", 0xD4000001)

    def jump(how: int, distance: int) -> bytes:
        return struct.pack("<I", how | ((distance // 4) & 0x3FFF) << 5)

    negative, positive = 0xB7F80000, 0xB6F80000  # tbnz x0, #63; tbz x0, #63
    wait = call(137, mask, 0, 0, 8)
    again = jump(negative, -len(wait))
    enter = load(1, _CLONE_NEWNET) + load(8, 268) + struct.pack("<I", 0xD4000001)  # x0 is what was opened
    enter += jump(positive, 4 + len(call(93, 1))) + call(93, 1)
    look = call(56, 0, netns, 0, 0) + jump(negative, 4 + len(enter))
    return look + enter + call(134, _SIGCHLD, action, 0, 8) + call(135, 0, mask, 0, 8) + wait + again + call(93, 0)


_CODE = {"x86_64": (62, _x86_64), "aarch64": (183, _aarch64)}


def executable(machine: str = "") -> bytes:
    """A static ELF file. Raises KeyError for a machine that nobody has written it for."""
    number, code = _CODE[machine or platform.machine()]
    action = _BASE + _HEADERS
    body = _DATA + code(action, action + _ACTION_SIZE, action + len(_SIGNALS))
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
