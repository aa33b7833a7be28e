"""Where a cluster keeps its files, and what it is called on this machine.

DATA/cluster.yaml        the cluster file that is in force
DATA/state.json          which processes and hosts `up` started (0600)
DATA/kubeconfig          for people (0600)
DATA/server/             store.db, pki/, tokens
DATA/nodes/NAME/         kubeconfig, pods/, drivers/
DATA/logs/               server.log, NODE.log
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


class Layout:
    """Paths below one data directory; directories are made with mode 0700 when they are first asked for."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().resolve()

    @classmethod
    def default(cls, name: str) -> Layout:
        """``$BAREBOAT_HOME/NAME``; without it ``/var/lib/bareboat/NAME`` for root, else below ``$XDG_DATA_HOME``."""
        own = os.environ.get("BAREBOAT_HOME")
        if own:
            return cls(Path(own) / name)
        if os.geteuid() == 0:
            return cls(Path("/var/lib/bareboat") / name)
        home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return cls(Path(home) / "bareboat" / name)

    @property
    def cluster_file(self) -> Path:
        return self.data_dir / "cluster.yaml"

    @property
    def state_file(self) -> Path:
        return self.data_dir / "state.json"

    @property
    def stopped_file(self) -> Path:
        """What ``state_file`` was when the cluster was taken down."""
        return self.data_dir / "stopped.json"

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "kubeconfig"

    @property
    def server(self) -> Path:
        return self._directory("server")

    @property
    def pki(self) -> Path:
        return self._directory("server", "pki")

    @property
    def logs(self) -> Path:
        return self._directory("logs")

    def node(self, name: str) -> Path:
        return self._directory("nodes", name)

    def node_kubeconfig(self, name: str) -> Path:
        return self.node(name) / "kubeconfig"

    def instance(self, node: str = "") -> str:
        """Eight characters that tell this cluster's (node's) things on the machine from any other's."""
        return hashlib.sha256(f"{self.data_dir}\0{node}".encode()).hexdigest()[:8]

    def _directory(self, *parts: str) -> Path:
        path = self.data_dir
        path.parent.mkdir(parents=True, exist_ok=True)
        for part in ("", *parts):  # one by one: `parents` would make those in between with the usual mode
            path = path / part
            path.mkdir(mode=0o700, exist_ok=True)
        return path
