"""Runs admission plugins by stage and in the configured order; which of them handle a request of a shape is worked out once per shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest
from bareboat.models.codec import copy


class Concerned(NamedTuple):
    """The plugins that handle a shape; ``deep``: a mutator may change what lies deep in the object."""

    mutating: list[AdmissionPlugin]
    validating: list[AdmissionPlugin]
    deep: bool


class Chain:
    """All mutators in order, later all validators in order."""

    def __init__(self, plugins: Sequence[AdmissionPlugin]) -> None:
        base = AdmissionPlugin
        plugins = sorted(plugins, key=lambda plugin: plugin.stage)
        self._mutating = [p for p in plugins if type(p).mutate is not base.mutate]
        self._validating = [p for p in plugins if type(p).validate is not base.validate]
        self._shapes: dict[tuple[str, str, str, str], Concerned] = {}

    def _for(self, request: AdmissionRequest) -> Concerned:
        shape = (request.operation, request.group, request.resource, request.subresource)
        found = self._shapes.get(shape)
        if found is None:
            mutating = [p for p in self._mutating if p.handles(*shape)]
            deep = not all(plugin.shallow for plugin in mutating)
            found = Concerned(mutating, [p for p in self._validating if p.handles(*shape)], deep)
            self._shapes[shape] = found
        return found

    async def mutate(self, request: AdmissionRequest) -> None:
        """Raises ApiError when a plugin refuses."""
        concerned = self._for(request)
        if concerned.deep and request.old is not None and request.object is not None:
            request.object = copy(request.object)
        await _mutate(concerned.mutating, request)

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises ApiError when a plugin refuses."""
        for plugin in self._for(request).validating:
            await plugin.validate(request)

    async def admit(self, request: AdmissionRequest) -> None:
        """Mutators, then validators, for what is not stored as it comes: deletes, connects, bindings, evictions."""
        concerned = self._for(request)
        await _mutate(concerned.mutating, request)
        for plugin in concerned.validating:
            await plugin.validate(request)


async def _mutate(plugins: list[AdmissionPlugin], request: AdmissionRequest) -> None:
    for plugin in plugins:
        await plugin.mutate(request)
    if request.reinvoke:
        for plugin in plugins:
            await plugin.remutate(request)
