"""A changed cluster file taken over by a server that runs: scheduling and admission with new options, weights and order.

In: SIGHUP. Out: new policies and plugins in the place of the old, all at once, or, when anything is wrong with the file, nothing changed
and an error in the log. New code needs a new process: what plugins there are, and everything else in the file, stays as it was at start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.choices import server_plugins
from bareboat.cluster.file.plan import changes, shown
from bareboat.cluster.file.reading import ClusterFileError, Lines
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.server import ControlPlane
from bareboat.plugins.loader import Loader
from bareboat.plugins.problems import PluginErrors

log = logging.getLogger("bareboat.server")
Read = Callable[[], tuple[ClusterFile, Lines | None]]


class LiveFile:
    """``read`` reads the file as it is now."""

    def __init__(self, plane: ControlPlane, cluster: ClusterFile, read: Read) -> None:
        self._plane = plane
        self._cluster = cluster
        self._read = read

    def reload(self) -> bool:
        """Whether the new file is in force; never raises for what is wrong with it."""
        try:
            cluster, lines = self._read()
            found = changes(self._cluster, cluster)
            waiting = [c for c in found if c.effect != "live"]
            for change in waiting:
                log.warning("not taken over: %s", shown(change))
            if any(c.effect == "live" for c in found):
                self._plane.take_over(cluster, server_plugins(cluster, Loader(), lines))
        except (ClusterError, ClusterFileError, PluginErrors, ValueError):
            log.exception("the cluster file is refused; nothing was changed")
            return False
        for change in found:
            if change.effect == "live":
                log.warning("taken over: %s", shown(change))  # no fault, but the answer to whoever changed the file
        self._cluster = cluster
        return True
