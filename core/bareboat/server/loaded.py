"""``kubectl get plugins``: what the control plane and every node have loaded, as read-only objects.

Nothing is stored: agents tell in an annotation of their Node, the server knows its own. One object per plugin and place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from bareboat.api import answers
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.service import Service
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1, meta_v1
from bareboat.models.bareboat_v1 import ANNOTATION, GROUP, Plugin, PluginSpec, PluginStatus
from bareboat.models.meta import get_condition
from bareboat.models.scheme import Resource
from bareboat.models.status import NotFound

RESOURCE = Resource(
    group=GROUP,
    version="v1",
    kind="Plugin",
    plural="plugins",
    singular="plugin",
    namespaced=False,
    verbs=("get", "list"),
    list_kind="PluginList",
    type_key="bareboat_v1.Plugin",
)
_decode_specs = msgspec.json.Decoder(list[PluginSpec]).decode


class LoadedPlugins:
    """Puts itself into ``Service.virtual``; ``own`` are the server's."""

    def __init__(self, service: Service, reader: Reader, own: Sequence[PluginSpec], started: str) -> None:
        self._reader = reader
        self._own = list(own)
        self._started = started
        service.virtual[RESOURCE.key, ""] = self._answer

    async def _answer(self, op: Operation) -> ApiResponse:
        form = answers.negotiate(op.request)
        found = list(self._plugins())
        if not op.info.name:
            return answers.many(op, [msgspec.json.encode(p) for p in found], {}, form)
        named = [p for p in found if p.metadata.name == op.info.name]
        if not named:
            raise NotFound.of(RESOURCE.plural, op.info.name, group=GROUP)
        return answers.one(op, msgspec.json.encode(named[0]), form)

    def _plugins(self) -> Iterator[Plugin]:
        for spec in self._own:
            yield _plugin(spec, PluginStatus(state="Loaded"), self._started)
        for node in self._reader.list(core_v1.Node):
            ready = get_condition(node.status.conditions, "Ready")
            well = ready is not None and ready.status == "True"
            status = PluginStatus(state="Loaded") if well else PluginStatus(state="NotReady", message=ready.message if ready else "")
            for spec in _decode_specs(node.metadata.annotations.get(ANNOTATION, "[]")):
                spec.node = node.metadata.name
                yield _plugin(spec, status, node.metadata.creationTimestamp or "")


def _plugin(spec: PluginSpec, status: PluginStatus, since: str) -> Plugin:
    """Named after place, contract and plugin: ``n1.cri.process``, ``server.store.sqlite``."""
    contract = spec.contract.split(".")[1] if spec.contract.count(".") > 1 else "hooks"
    name = f"{spec.node or 'server'}.{contract}.{spec.name}"
    return Plugin(metadata=meta_v1.ObjectMeta(name=name, creationTimestamp=since or None), spec=spec, status=status)
