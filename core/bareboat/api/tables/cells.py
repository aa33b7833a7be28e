"""The row of every kind, in the order of its columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from bareboat.api.tables import cluster, networks, workloads
from bareboat.api.tables.pods import pod
from bareboat.api.tables.values import age

Cells = Callable[[Any, datetime], list[Any]]


def counted(field: str) -> Cells:
    """Name, how many of ``field``, age."""
    return lambda o, now: [o.metadata.name, len(getattr(o, field)), age(o.metadata.creationTimestamp, now)]


CELLS: dict[str, Cells] = {
    "Pod": pod,
    **workloads.CELLS,
    **networks.CELLS,
    **cluster.CELLS,
    "MutatingWebhookConfiguration": counted("webhooks"),
    "ValidatingWebhookConfiguration": counted("webhooks"),
}
