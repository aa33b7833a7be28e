"""Which verb or subresource runs."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from bareboat.api.body import check_size
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.verbs.create import create
from bareboat.api.verbs.delete import delete, delete_collection
from bareboat.api.verbs.patch import patch
from bareboat.api.verbs.read import get, list_objects
from bareboat.api.verbs.subresources import run_subresource
from bareboat.api.verbs.update import update
from bareboat.api.verbs.watch import watch

if TYPE_CHECKING:
    from bareboat.api.service import Service

_VERBS = {
    "get": get,
    "list": list_objects,
    "watch": watch,
    "create": create,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": delete_collection,
}
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Verbs:
    def __init__(self, service: Service) -> None:
        self._service = service

    def run(self, op: Operation) -> Awaitable[ApiResponse]:
        """To be awaited: what the operation's verb answers. Raises RequestEntityTooLarge."""
        if op.info.verb in _WRITES:
            check_size(op.request.body)
        return run_subresource(self._service, op) if op.info.subresource else _VERBS[op.info.verb](self._service, op)
