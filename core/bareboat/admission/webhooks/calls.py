"""One call of one webhook for one request: whether it is meant at all, the call, and what comes of failures.

In: a hook and a request. Out: a verdict, None where the hook does not apply or failed open, or an ApiError.
"""

from __future__ import annotations

import logging
from typing import Any

from bareboat.admission.matching.conditions import ConditionError, Conditions
from bareboat.admission.matching.variables import kind_of, request_tree, trees
from bareboat.admission.policies.deciding import decider
from bareboat.admission.webhooks.hooks import Wanted
from bareboat.admission.webhooks.review import Verdict, refusal, review, verdict
from bareboat.cel.functions.authorizer import authorizer, deciding
from bareboat.contracts.admission import AdmissionHost, AdmissionRequest
from bareboat.models.status import BadRequest, Forbidden, InternalError, quote

log = logging.getLogger("bareboat.admission")
DEFAULT_TIMEOUT = 10


class Calls:
    """``kind`` is mutating or validating, for audit annotations."""

    def __init__(self, host: AdmissionHost, kind: str) -> None:
        self._host = host
        self._kind = kind
        self._decide = decider(host)

    async def ask(self, wanted: Wanted, request: AdmissionRequest, index: int, round_: int = 0) -> Verdict | None:
        """Raises ApiError: the refusal, or the failure of a hook that fails closed."""
        hook = wanted.hook
        new, old = await trees(self._host, request, wanted.group, wanted.version)
        if not self._meant(wanted, request, new, old):
            return None
        if request.dry_run and hook.spec.sideEffects not in ("None", "NoneOnDryRun"):
            raise BadRequest(f"admission webhook {quote(hook.name)} does not support dry run")
        uid = self._host.ids.uid()
        body = review(request, wanted.group, wanted.version, new, old, uid)
        timeout = hook.spec.timeoutSeconds or DEFAULT_TIMEOUT
        try:
            answer = await self._host.call(hook.client, body, timeout)
            found = verdict(answer, uid, mutating=self._kind == "mutating")
        except ValueError as error:
            self._failed(wanted, request, error, f"round_{round_}_index_{index}")
            return None
        for name, value in found.annotations.items():
            request.annotations[f"{hook.name}/{name}"] = value
        request.warnings += [w for w in found.warnings if w not in request.warnings]
        if not found.allowed:
            raise refusal(hook.name, found.status)
        return found

    def _meant(self, wanted: Wanted, request: AdmissionRequest, new: Any, old: Any) -> bool:
        """Whether the match conditions hold. Raises Forbidden when that cannot be told and the hook fails closed."""
        conditions = wanted.hook.conditions
        if isinstance(conditions, Conditions) and not conditions:
            return True
        asked = request_tree(request, wanted.group, wanted.version, kind_of(request))
        try:
            if not isinstance(conditions, Conditions):
                raise ConditionError(str(conditions))
            with deciding(self._decide):
                return conditions.hold({"object": new, "oldObject": old, "request": asked, "authorizer": authorizer(request)})
        except ConditionError as error:
            if wanted.hook.fails_open:
                log.warning("webhook %s: %s", wanted.hook.name, error)
                return False
            raise Forbidden.of(request.resource, request.name, group=request.group, because=str(error)) from error

    def _failed(self, wanted: Wanted, request: AdmissionRequest, error: ValueError, place: str) -> None:
        hook = wanted.hook
        text = f"failed calling webhook {quote(hook.name)}: failed to call webhook: {error}"
        if hook.fails_open:
            log.warning("%s, failing open", text)
            request.annotations[f"failed-open.{self._kind}.webhook.admission.k8s.io/{place}"] = hook.name
            return
        raise InternalError.of(text) from error
