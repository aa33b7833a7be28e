"""Kinds that plugins contribute, served: each becomes a definition that the kernel owns, and start-up waits until it is in force.

In: what ``bareboat_kinds`` returned. Out: CustomResourceDefinitions, made or brought up to date. A kind whose plugin is gone stays,
with its objects: whoever wants to be rid of them deletes the definition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bareboat.client.client import Client
from bareboat.contracts.contributions import Kind
from bareboat.models import apiextensions_v1
from bareboat.models.meta import is_condition_true
from bareboat.models.status import ApiError
from bareboat.plugins.problems import PluginErrors, Problem

MANAGER = "bareboat-plugins"
PATIENCE = 10.0


async def serve_kinds(client: Client, kinds: Sequence[Kind]) -> None:
    """Raises PluginErrors with every kind that the API refuses."""
    cls = apiextensions_v1.CustomResourceDefinition
    problems = []
    for kind in kinds:
        definition = kind.definition()
        name = definition["metadata"]["name"]
        try:
            await client.patch(cls, name, definition, type="apply", field_manager=MANAGER, force=True)
            await _established(client, name)
        except (ApiError, TimeoutError) as error:
            problems.append(
                Problem(plugin=name, group="bareboat_kinds", message=str(error) or "not in force after 10 s: are its names taken?")
            )
    if problems:
        raise PluginErrors(problems)


async def _established(client: Client, name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await client.get(apiextensions_v1.CustomResourceDefinition, name)
            if is_condition_true(found.status.conditions, "Established"):
                return
            await asyncio.sleep(0.01)
