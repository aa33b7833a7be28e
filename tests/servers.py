"""Several real `bareboat server` processes over one store, for tests: started, killed, paused, and talked to."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from bareboat.client import kubeconfig
from bareboat.client.client import Client
from bareboat.models import coordination_v1
from bareboat.models.scheme import Scheme


class Server:
    """One process. ``client`` talks to this server only."""

    def __init__(self, folder, store, others):
        self.folder, self._store = folder, store
        if others:  # every server of a cluster has the same keys
            shutil.copytree(others[0].folder / "server" / "pki", folder / "server" / "pki")
        self._start()

    def _start(self, port=0):
        command = [
            sys.executable,
            "-m",
            "bareboat",
            "server",
            "--data-dir",
            str(self.folder),
            "--port",
            str(port),
            "--address",
            "127.0.0.1",
            "--log-level",
            "info",
        ]
        for name, value in self._store.items():
            command += ["--store", value] if name == "use" else ["--store-option", f"{name}={value}"]
        reading, writing = os.pipe()
        self.log = (self.folder.parent / f"{self.folder.name}.log").open("a")
        self.process = subprocess.Popen([*command, "--ready-fd", str(writing)], pass_fds=[writing], stdout=self.log, stderr=self.log)
        os.close(writing)
        with os.fdopen(reading) as told:
            assert told.read(), f"the server did not start, see {self.log.name}"
        self.client = Client(kubeconfig.load(self.folder / "kubeconfig"), Scheme.builtin())

    def signal(self, number):
        self.process.send_signal(number)

    async def stop(self):
        await self.client.transport.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    async def ask(self, path, **query):
        """Status and text of a GET."""
        answer = await self.client.transport.request("GET", path, query=query)
        return answer.status, answer.body.decode()


class Servers:
    """``leader`` is found by the Lease: a process's identity is told by whose log says that it leads."""

    def __init__(self, folder, count, **store):
        self.all = []
        for number in range(count):
            self.all.append(Server(folder / f"s{number}", store, self.all))

    async def lease(self, through, name="kube-controller-manager"):
        return (await through.client.get(coordination_v1.Lease, name, "kube-system")).spec

    def leader(self, holder):
        """The server with this identity."""
        (found,) = [s for s in self.all if f"{holder} leads kube-system/kube-controller-manager" in Path(s.log.name).read_text()]
        return found

    async def stop(self):
        for server in self.all:
            await server.stop()
