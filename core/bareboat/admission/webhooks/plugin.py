"""The two plugins: mutating webhooks one after the other, validating ones all at once.

A mutating hook may change what earlier ones saw. The chain then runs once more, and here only hooks with reinvocationPolicy
IfNeeded whose object is no longer as they left it are asked again.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bareboat.admission.matching.rules import EXEMPT, GROUP
from bareboat.admission.webhooks.calls import Calls
from bareboat.admission.webhooks.hooks import Hooks, Wanted
from bareboat.contracts.admission import WEBHOOK, AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import admissionregistration_v1
from bareboat.models.codec import DecodeError
from bareboat.models.status import ApiError, BadRequest, InternalError, quote

_KEPT = ("uid", "namespace", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields")


class _Webhooks(AdmissionPlugin):
    stage = WEBHOOK
    kind: str
    configuration: type[Any]

    def __init__(self, reader: Reader, host: AdmissionHost) -> None:
        self._host = host
        self._hooks = Hooks(reader, host, self.configuration)
        self._calls = Calls(host, self.kind)

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        del operation, subresource
        return group != GROUP or resource not in EXEMPT


class MutatingAdmissionWebhook(_Webhooks):
    name = "MutatingAdmissionWebhook"
    shallow = True
    kind = "mutating"
    configuration = admissionregistration_v1.MutatingWebhookConfiguration

    async def mutate(self, request: AdmissionRequest) -> None:
        if not self._hooks:
            return
        left: list[tuple[Wanted, Any]] = []
        for index, wanted in enumerate(self._hooks.concerning(request)):
            changed = await self._ask(wanted, request, index)
            request.reinvoke = request.reinvoke or changed
            if wanted.hook.spec.reinvocationPolicy == "IfNeeded" and request.object is not None:
                left.append((wanted, await self._host.tree(request, request.object)))
        if left:
            request.seen[self.name] = left

    async def remutate(self, request: AdmissionRequest) -> None:
        for index, (wanted, seen) in enumerate(request.seen.get(self.name, ())):
            if await self._host.tree(request, request.object) != seen:
                await self._ask(wanted, request, index, 1)

    async def _ask(self, wanted: Wanted, request: AdmissionRequest, index: int, round_: int = 0) -> bool:
        """Whether the hook changed the object."""
        found = await self._calls.ask(wanted, request, index, round_)
        if found is None or not found.patch:
            return False
        name = quote(wanted.hook.name)
        if request.object is None:
            raise InternalError.of(f"admission webhook {name} attempted to modify the object, which is not supported for this operation")
        version = f"{wanted.group}/{wanted.version}" if wanted.group else wanted.version
        own = (wanted.group, wanted.version) == (request.group, request.version)
        before = await self._host.tree(request, request.object, "" if own else version)
        try:
            after = self._host.patched(before, found.patch)
            if any(after.get(field) != before.get(field) for field in ("kind", "apiVersion")):
                raise BadRequest("it makes an object of another kind")
            changed = await self._host.object(request, after, "" if own else version)
        except (ApiError, DecodeError) as error:
            raise InternalError.of(f"the patch of admission webhook {name} does not apply: {error}") from error
        for field in _KEPT:
            setattr(changed.metadata, field, getattr(request.object.metadata, field))
        request.object = changed
        return before != after


class ValidatingAdmissionWebhook(_Webhooks):
    name = "ValidatingAdmissionWebhook"
    kind = "validating"
    configuration = admissionregistration_v1.ValidatingWebhookConfiguration

    async def validate(self, request: AdmissionRequest) -> None:
        if not self._hooks:
            return
        wanted = self._hooks.concerning(request)
        if not wanted:
            return
        asked = (self._calls.ask(w, request, index) for index, w in enumerate(wanted))
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
