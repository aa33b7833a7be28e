"""Which strategy a stored resource has. A kind that is not named has the base rules: status apart, generation counted."""

from __future__ import annotations

import importlib
from functools import cache

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.strategy import Strategy
from bareboat.models.scheme import Resource

#: Modules with a table ``STRATEGIES``: "group/plural" → strategy class.
MODULES = (
    "apps.replicated",
    "apps.stateful",
    "batch.jobs",
    "core.claims",
    "core.pods",
    "core.services",
    "core.endpoints",
    "networking.ingresses",
    "networking.policies",
    "networking.slices",
    "core.persistent_volumes",
    "admissionregistration.policies",
    "admissionregistration.webhooks",
    "apiservices",
    "autoscaling",
    "certificates",
    "cluster",
    "events",
    "flowcontrol",
    "core.configuration",
    "core.limits",
    "core.nodes",
    "storage",
    "policies",
    "rbac",
    "resource.claims",
    "resource.slices",
    "apiextensions.definitions",
)


@cache
def _table() -> dict[str, type[Strategy]]:
    table: dict[str, type[Strategy]] = {}
    for module in MODULES:
        table.update(importlib.import_module(f"bareboat.api.kinds.{module}").STRATEGIES)
    return table


_made: dict[str, Strategy] = {}


def strategy_for(resource: Resource) -> Strategy:
    """One instance per stored resource."""
    known = _made.get(resource.key)
    if known is None:
        known = _made[resource.key] = _table().get(resource.key, KindStrategy)()
    return known
