"""Node selectors over all nodes at once: each expression is asked once per value of its label, not once per node."""

from __future__ import annotations

from typing import Any

import numpy as np

from bareboat.contracts.scheduling import BoolArray
from bareboat.models import core_v1
from bareboat.models.node_fit import requirement_matches
from bareboat.scheduler.columns import Columns


def selected(selector: core_v1.NodeSelector, columns: Columns) -> BoolArray:
    """Nodes that any of the terms means."""
    found = np.zeros(len(columns), dtype=bool)
    for term in selector.nodeSelectorTerms:
        found |= term_selected(term, columns)
    return found


def term_selected(term: core_v1.NodeSelectorTerm, columns: Columns) -> BoolArray:
    """A term without expressions means nothing."""
    found = np.full(len(columns), bool(term.matchExpressions or term.matchFields))
    for expression in term.matchExpressions:
        found &= columns.domains(expression.key).where(lambda value, asked=expression: _holds(asked, value))  # type: ignore[misc]
    for asked in term.matchFields:
        found &= np.array([requirement_matches(asked, {"metadata.name": name}) for name in columns.names], dtype=bool)
    return found


def _holds(requirement: Any, value: str | None) -> bool:
    return requirement_matches(requirement, {} if value is None else {requirement.key: value})
