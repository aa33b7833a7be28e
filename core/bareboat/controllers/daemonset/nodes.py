"""What daemons need to know of nodes: name, labels, taints. Heartbeats, which change nothing of these, are not told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from bareboat.models import core_v1
from bareboat.reconcile.informer import Informer


class Taint(msgspec.Struct, frozen=True):
    key: str = ""
    value: str = ""
    effect: str = ""


class _Metadata(msgspec.Struct):
    name: str = ""
    labels: dict[str, str] = {}


class _Spec(msgspec.Struct):
    taints: list[Taint] = []


class NodeView(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


class Nodes:
    """``on_change`` is called when a node comes, goes or changes in one of these."""

    def __init__(self, informer: Informer[core_v1.Node], on_change: Callable[[], None]) -> None:
        self._views: dict[str, NodeView] = {}
        self._on_change = on_change
        informer.on_change(self._changed)

    def _changed(self, _key: str, old: bytes | None, new: bytes | None) -> None:
        data = new if new is not None else old
        assert data is not None
        view = msgspec.json.decode(data, type=NodeView)
        name = view.metadata.name
        if new is None:
            self._views.pop(name, None)
        elif self._views.get(name) == view:
            return
        else:
            self._views[name] = view
        self._on_change()

    def __iter__(self) -> Iterator[NodeView]:
        return iter(list(self._views.values()))

    def __len__(self) -> int:
        return len(self._views)

    def __contains__(self, name: object) -> bool:
        return name in self._views
