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
        found &= _labelled(expression, columns)
    for asked in term.matchFields:
        found &= _named(asked, columns)
    return found


def _labelled(asked: Any, columns: Columns) -> BoolArray:
    domains = columns.domains(asked.key)
    if asked.operator == "In":
        return domains.any_of(asked.values)
    return domains.where(lambda value: requirement_matches(asked, {} if value is None else {asked.key: value}))


def _named(asked: Any, columns: Columns) -> BoolArray:
    if asked.key == "metadata.name" and asked.operator == "In":
        mask = np.zeros(len(columns), dtype=bool)
        mask[[columns.index[name] for name in asked.values if name in columns.index]] = True
        return mask
    return np.array([requirement_matches(asked, {"metadata.name": name}) for name in columns.names], dtype=bool)
