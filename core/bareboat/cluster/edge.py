"""The edge of a server as the cluster file wants it: fairness, deadlines, streams."""

from __future__ import annotations

from bareboat.api.service import Service
from bareboat.base.clock import Clock
from bareboat.cluster.file.shape import Server
from bareboat.contracts.auth import Reader
from bareboat.server.deadlines import Deadlines
from bareboat.server.edge import Edge, Streams
from bareboat.server.fairness.gate import Fairness
from bareboat.server.fairness.width import Widths

#: A request may wait in a queue for this part of its time.
PATIENCE = 0.25


def made_edge(service: Service, reader: Reader, clock: Clock, options: Server) -> Edge:
    total = options.maxRequestsInflight + options.maxMutatingRequestsInflight
    fairness = Fairness(reader, Widths(service), clock, total=total, patience=options.requestTimeout * PATIENCE)
    return Edge(fairness, Deadlines(clock, options.requestTimeout), Streams(), clock)
