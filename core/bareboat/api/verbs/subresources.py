"""Subresources of stored objects: parts (status, resize, approval …), scale, binding, eviction, finalize.

Those that need an agent, a token issuer or an authorizer (log, exec, proxy, token, reviews) are ``Service.virtual``; the
assembly puts them there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bareboat.api.custom import scaling
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.strategy import SubresourceStrategy
from bareboat.api.verbs import scale
from bareboat.api.verbs.binding import bind
from bareboat.api.verbs.eviction import evict
from bareboat.api.verbs.patch import patch_part
from bareboat.api.verbs.read import get
from bareboat.api.verbs.update import update_part
from bareboat.models.status import ServiceUnavailable

if TYPE_CHECKING:
    from bareboat.api.service import Service


async def run_subresource(service: Service, op: Operation) -> ApiResponse:
    name = op.info.subresource
    if name == "scale":
        return await (scale.run if op.custom is None else scaling.run)(service, op)
    if name == "binding":
        return await bind(service, op, op.info.name)
    if name == "eviction":
        return await evict(service, op)
    part = op.strategy.subresources.get(name)
    if part is None:
        raise ServiceUnavailable(f"{op.resource.plural}/{name} needs a part of the server that is not running here")
    return await _part(service, op, part)


async def _part(service: Service, op: Operation, part: SubresourceStrategy) -> ApiResponse:
    if op.info.verb == "get":
        return await get(service, op)
    if op.info.verb == "patch":
        return await patch_part(service, op, part)
    return await update_part(service, op, part)
