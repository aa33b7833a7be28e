"""The edge of a server as the cluster file wants it: fairness, deadlines, streams, audit."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bareboat.api.service import Service
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.cluster.file.reading import ClusterFileError
from bareboat.cluster.file.shape import Audit, Server
from bareboat.contracts.auth import Reader
from bareboat.server.audit.auditor import AuditIds, Auditor, Backend
from bareboat.server.audit.logfile import LogBackend, LogOptions
from bareboat.server.audit.policy import PolicyError
from bareboat.server.audit.webhook import WebhookBackend, WebhookOptions
from bareboat.server.deadlines import Deadlines
from bareboat.server.edge import Edge, Streams
from bareboat.server.fairness.gate import Fairness
from bareboat.server.fairness.width import Widths

#: A request may wait in a queue for this part of its time.
PATIENCE = 0.25


def made_edge(service: Service, reader: Reader, clock: Clock, ids: Ids, options: Server, audit: Audit | None = None) -> Edge:
    """Raises ClusterFileError for an audit policy or back end that cannot be used."""
    total = options.maxRequestsInflight + options.maxMutatingRequestsInflight
    fairness = Fairness(reader, Widths(service), clock, total=total, patience=options.requestTimeout * PATIENCE)
    names = AuditIds(ids)
    return Edge(fairness, Deadlines(clock, options.requestTimeout), Streams(), clock, names, made_auditor(audit or Audit(), clock, names))


def made_auditor(audit: Audit, clock: Clock, ids: AuditIds) -> Auditor | None:
    if not audit.policy:
        if audit.log or audit.webhook:
            raise ClusterFileError("audit", 0, "policy is missing: without one nothing is recorded")
        return None
    backends: list[Backend] = []
    try:
        if audit.log is not None:
            backends.append(LogBackend(msgspec.convert(msgspec.to_builtins(audit.log), LogOptions), clock))
        if audit.webhook is not None:
            backends.append(WebhookBackend(msgspec.convert(msgspec.to_builtins(audit.webhook), WebhookOptions), clock))
        if not backends:
            raise ClusterFileError("audit", 0, "neither log nor webhook says where the events go")
        return Auditor(Path(audit.policy), backends, clock, ids)
    except PolicyError as error:
        raise ClusterFileError("audit.policy", 0, str(error)) from error
    except OSError as error:
        raise ClusterFileError("audit.log.path", 0, f"{error.filename}: {error.strerror}") from error
