"""Keeps the FlowSchemas and PriorityLevelConfigurations as they should be: the bootstrap objects, and who refers to nothing.

* the mandatory objects are there and say what they must, whatever somebody made of them (the shares of ``exempt`` are the
  administrator's);
* the suggested ones are made when missing, and brought up to date while their annotation ``apf.kubernetes.io/autoupdate-spec``
  is "true", or while it is missing and nobody has changed the spec;
* every FlowSchema's condition ``Dangling`` says whether its priority level exists.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.contracts.auth import Reader
from bareboat.models import flowcontrol_v1 as v1
from bareboat.models.codec import from_tree, to_tree
from bareboat.models.status import AlreadyExists, Conflict, NotFound
from bareboat.server.fairness import bootstrap

log = logging.getLogger("bareboat.server")
#: Seconds between two looks when nothing is reported, and to gather changes that come together.
EVERY, GATHER = 60.0, 0.1


class Keeper:
    """Of one cluster; several servers do no harm to each other."""

    def __init__(self, client: Client, reader: Reader, clock: Clock) -> None:
        self._client = client
        self._reader = reader
        self._clock = clock
        self._changed = asyncio.Event()
        for cls in (v1.FlowSchema, v1.PriorityLevelConfiguration):
            reader.subscribe(cls, lambda namespace, name: self._changed.set())

    async def run(self) -> None:
        while True:
            await self.keep()
            try:
                async with asyncio.timeout(EVERY):
                    await self._changed.wait()
                    await self._clock.sleep(GATHER)
            except TimeoutError:
                continue

    async def keep(self) -> None:
        """One look at everything."""
        self._changed.clear()
        for tree in bootstrap.LEVELS:
            await self._ensure(v1.PriorityLevelConfiguration, tree)
        for tree in bootstrap.SCHEMAS:
            await self._ensure(v1.FlowSchema, tree)
        levels = {level.metadata.name for level in self._reader.list(v1.PriorityLevelConfiguration)}
        for schema in list(self._reader.list(v1.FlowSchema)):
            await self._tell(schema, levels)

    async def _ensure(self, cls: Any, tree: dict[str, Any]) -> None:
        wanted: Any = from_tree(cls, tree)
        name = wanted.metadata.name
        found: Any = self._reader.get(cls, name)
        try:
            if found is None:
                await self._client.create(wanted)
            elif not _settled(found, wanted):
                log.info("%s %s: its spec is brought back to what it should be", cls.__name__, name)
                found.spec = wanted.spec
                if name in bootstrap.MANDATORY:
                    found.metadata.annotations[bootstrap.AUTOUPDATE] = "true"
                await self._client.update(found)
        except (AlreadyExists, Conflict, NotFound):
            return  # somebody else was there; the change comes back here

    async def _tell(self, schema: Any, levels: set[str]) -> None:
        level = schema.spec.priorityLevelConfiguration.name
        dangling = level not in levels
        known = next((c for c in schema.status.conditions if c.type == "Dangling"), None)
        status = "True" if dangling else "False"
        if known is not None and known.status == status and f'"{level}"' in known.message:
            return
        message = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" '
        message += "but there is no such object" if dangling else "and it exists"
        changed = self._clock.timestamp() if known is None or known.status != status else known.lastTransitionTime
        condition = v1.FlowSchemaCondition(
            type="Dangling", status=status, reason="NotFound" if dangling else "Found", message=message, lastTransitionTime=changed
        )
        schema.status.conditions = [*(c for c in schema.status.conditions if c.type != "Dangling"), condition]
        try:
            await self._client.update(schema, subresource="status")
        except (Conflict, NotFound):
            return  # it is looked at again


def _settled(found: Any, wanted: Any) -> bool:
    """Whether the object may stay as it is."""
    if wanted.spec.__class__ is v1.PriorityLevelConfigurationSpec and wanted.metadata.name == "exempt" and found.spec.exempt is not None:
        wanted.spec.exempt = found.spec.exempt
    if to_tree(found.spec) == to_tree(wanted.spec):
        return True
    if wanted.metadata.name in bootstrap.MANDATORY:
        return False
    annotation = found.metadata.annotations.get(bootstrap.AUTOUPDATE)
    return annotation != "true" and not (annotation is None and found.metadata.generation == 1)
