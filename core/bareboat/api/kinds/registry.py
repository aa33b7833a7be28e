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


#: What upstream would rather see no one use, whatever the verb.
_DEPRECATED = {
    "core/componentstatuses": "v1 ComponentStatus is deprecated in v1.19+",
    "core/endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}


def deprecations(resource: Resource) -> list[str]:
    """Texts for Warning headers of every answer about the resource."""
    text = _DEPRECATED.get(resource.key)
    return [text] if text else []


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
