"""What most kinds do: the status belongs to controllers, the generation counts changes of everything else."""

from __future__ import annotations

from typing import Any

from bareboat.api.strategy import Strategy, WriteContext

_SERVERS_OWN = frozenset({"kind", "apiVersion", "metadata", "status"})


class KindStrategy(Strategy):
    """A kind with ``status``, if it has one, written through its subresource only."""

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        self.reset_status(obj)
        if self.has_generation:
            obj.metadata.generation = 1

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        if hasattr(new, "status"):
            new.status = old.status
        if self.has_generation and any(getattr(new, f) != getattr(old, f) for f in new.__struct_fields__ if f not in _SERVERS_OWN):
            new.metadata.generation = old.metadata.generation + 1

    def reset_status(self, obj: Any) -> None:
        if "status" in obj.__struct_fields__ and obj.status is not None:
            obj.status = type(obj.status)()


class PlainStrategy(KindStrategy):
    """Kinds whose generation is not counted."""

    has_generation = False
