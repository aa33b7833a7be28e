"""Network namespaces of this machine for suites of network drivers: pods that serve and ask, and a node whose packets a driver rules.

What comes in: root and the ``ip`` command. What goes out: ``Space`` (one namespace: serve, ask) and ``Node`` (a namespace in which a
driver's verbs run, with pods behind it). Everything is removed by ``close``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bareboat.base.ids import SystemIds

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
#: Seconds for an answer that is expected, and for one that is not.
PATIENCE, BRIEFLY = 5.0, 0.5
_SERVER = (
    "import socket,sys,threading,time\n"
    "def tcp(p):\n"
    " s=socket.create_server(('', p))\n"
    " while True: c,a=s.accept(); c.sendall(a[0].encode()); c.close()\n"
    "def udp(p):\n"
    " s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', p)); up.release()\n"
    " while True: a=s.recvfrom(9)[1]; s.sendto(a[0].encode(), a)\n"
    "up=threading.Semaphore(0)\n"
    "for p in map(int, sys.argv[1:]):\n"
    " threading.Thread(target=tcp, args=(p,)).start(); threading.Thread(target=udp, args=(p,)).start(); up.acquire()\n"
    "time.sleep(0.1); print('up', flush=True)\n"
)
_CLIENT = (
    "import socket,sys\n"
    "s=socket.socket(socket.AF_INET, socket.SOCK_STREAM if sys.argv[3]=='tcp' else socket.SOCK_DGRAM); s.settimeout(float(sys.argv[4]))\n"
    "try:\n"
    " s.connect((sys.argv[1], int(sys.argv[2])))\n"
    " if sys.argv[3]=='udp': s.send(b'?')\n"
    " print(s.recv(99).decode())\n"
    "except OSError: print('')\n"
)


def available() -> bool:
    """Whether this process may make namespaces."""
    return os.geteuid() == 0


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  fixed programs


class Space:
    """One network namespace; ``path`` is what a driver gets."""

    def __init__(self) -> None:
        self.name = f"bbtest-{SystemIds().suffix(8)}"
        self.path = f"/run/netns/{self.name}"
        self._servers: list[subprocess.Popen[bytes]] = []
        _run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words: str) -> str:
        return _run("ip", "-n", self.name, *words)

    def command(self, *words: str) -> str:
        return _run("ip", "netns", "exec", self.name, *words)

    def serve(self, *ports: int) -> None:
        """Answer every connection and datagram on ``ports`` with the address that it came from."""
        command = ["ip", "netns", "exec", self.name, sys.executable, "-c", _SERVER, *map(str, ports)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603
        self._servers.append(server)
        assert server.stdout is not None
        server.stdout.readline()

    async def ask(self, address: str, port: int = 8080, protocol: str = "tcp", patience: float = PATIENCE) -> str:
        """What a server there says: the address that it sees; "" when nothing comes back."""
        return await ask(address, port, protocol, patience, prefix=("ip", "netns", "exec", self.name))

    def close(self) -> None:
        for server in self._servers:
            server.kill()
            server.wait()
            if server.stdout is not None:
                server.stdout.close()
        if Path(self.path).exists():
            _run("ip", "netns", "del", self.name)


async def ask(address: str, port: int = 8080, protocol: str = "tcp", patience: float = PATIENCE, prefix: Sequence[str] = ()) -> str:
    """As ``Space.ask``, from where this process is."""
    process = await asyncio.create_subprocess_exec(
        *prefix, sys.executable, "-c", _CLIENT, address, str(port), protocol, str(patience), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode().strip()


class Node(Space):
    """A namespace that routes between the pods behind it. ``run`` gives a driver's verb the node's point of view."""

    def __init__(self, address: str, pods: Sequence[str]) -> None:
        super().__init__()
        self.address = address
        self.pods = {pod: Space() for pod in pods}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name=self.name, daemon=True)
        self._thread.start()
        self.command("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self.ip("addr", "add", f"{address}/32", "dev", "lo")
        for number, (pod, space) in enumerate(self.pods.items()):
            self._wire(f"v{number}", pod, space)

    def _wire(self, interface: str, pod: str, space: Space) -> None:
        self.ip("link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", space.name)
        self.ip("link", "set", interface, "up")
        self.ip("route", "add", f"{pod}/32", "dev", interface)
        space.ip("addr", "add", f"{pod}/32", "dev", "eth0")
        space.ip("link", "set", "eth0", "up")
        space.ip("route", "add", f"{self.address}/32", "dev", "eth0")
        space.ip("route", "add", "default", "via", self.address, "dev", "eth0")

    def _live(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {self.path}")
        finally:
            os.close(descriptor)
        self._loop.run_forever()

    async def run(self, verb: Coroutine[Any, Any, T]) -> T:
        """The verb's result; it and what it starts see this namespace's network."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(verb, self._loop))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for space in self.pods.values():
            space.close()
        with contextlib.suppress(subprocess.CalledProcessError):
            super().close()
