"""What another service allows: a SubjectAccessReview is posted where the match conditions are true."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import msgspec

from bareboat.contracts.auth import NO_OPINION, Attributes, AuthHost, Authorizer, Decision, Required
from bareboat_auth_webhook.memory import Memory
from bareboat_auth_webhook.options import AccessWebhook, seconds

log = logging.getLogger("bareboat.auth")
_VERSION = "authorization.k8s.io/v1"


class _Status(msgspec.Struct):
    allowed: bool = False
    denied: bool = False
    reason: str = ""
    evaluationError: str = ""


class _Review(msgspec.Struct):
    apiVersion: str
    kind: str
    status: _Status


class AccessWebhookAuthorizer(Authorizer):
    """See options.AccessWebhook. ``client`` is the service's configuration."""

    def __init__(self, options: AccessWebhook, client: dict[str, Any], host: AuthHost) -> None:
        """Raises ValueError for a condition that does not compile."""
        self.name = options.name
        self._client = client
        self._host = host
        self._timeout = seconds(options.timeout)
        self._failed = Decision("Deny" if options.failurePolicy == "Deny" else "NoOpinion", f"the authorizer {options.name} failed")
        known, unknown = seconds(options.authorizedTTL), seconds(options.unauthorizedTTL)
        self._memory: Memory[Decision] = Memory(host, lambda found: known if found.verdict == "Allow" else unknown)
        self._conditions = []
        for i, condition in enumerate(options.matchConditions):
            expression = host.expression(condition.expression, ("request",))
            if expression.kind not in ("bool", "dyn"):
                raise ValueError(f"matchConditions[{i}].expression: must evaluate to bool")
            self._conditions.append(expression)

    async def authorize(self, attributes: Attributes) -> Decision:
        spec = review_spec(attributes)
        try:
            if not self._matches(spec):
                return NO_OPINION
            data = msgspec.json.encode(spec)
            return await self._memory.get(hashlib.sha256(data).digest(), lambda: self._ask(spec))
        except ValueError as error:
            log.warning("the authorizer %s failed: %s", self.name, error)
            return self._failed

    def _matches(self, spec: dict[str, Any]) -> bool:
        """False as soon as one is, whatever else fails. Raises ValueError."""
        fault: ValueError | None = None
        for condition in self._conditions:
            try:
                if condition.evaluate({"request": spec}) is not True:
                    return False
            except ValueError as error:
                fault = error
        if fault is not None:
            raise fault
        return True

    async def _ask(self, spec: dict[str, Any]) -> Decision:
        """Raises ValueError."""
        review = {"apiVersion": _VERSION, "kind": "SubjectAccessReview", "spec": spec}
        answer = await self._host.call(self._client, msgspec.json.encode(review), self._timeout)
        try:
            found = msgspec.json.decode(answer, type=_Review)
        except msgspec.DecodeError as error:
            raise ValueError(f"the answer is no SubjectAccessReview: {error}") from error
        if (found.apiVersion, found.kind) != (_VERSION, "SubjectAccessReview"):
            raise ValueError(f"the answer is a {found.apiVersion} {found.kind}, not a {_VERSION} SubjectAccessReview")
        status = found.status
        if status.allowed and status.denied:
            raise ValueError("the answer both allows and denies")
        if status.evaluationError:
            log.info("the authorizer %s: %s", self.name, status.evaluationError)
        return Decision("Allow" if status.allowed else "Deny" if status.denied else "NoOpinion", status.reason)


def review_spec(asked: Attributes) -> dict[str, Any]:
    """The spec of a SubjectAccessReview."""
    user = asked.user
    spec: dict[str, Any] = {"user": user.name, "groups": list(user.groups)}
    spec |= {"uid": user.uid} if user.uid else {}
    spec |= {"extra": {key: list(values) for key, values in user.extra.items()}} if user.extra else {}
    if not asked.resource:
        return {**spec, "nonResourceAttributes": {"path": asked.path, "verb": asked.verb}}
    fields = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
    about: dict[str, Any] = {field: value for field in fields if (value := getattr(asked, field))}
    for name, requirements in (("fieldSelector", asked.fields), ("labelSelector", asked.labels)):
        if requirements:
            about[name] = {"requirements": [_requirement(r) for r in requirements]}
    return {**spec, "resourceAttributes": about}


def _requirement(requirement: Required) -> dict[str, Any]:
    found: dict[str, Any] = {"key": requirement.key, "operator": requirement.operator}
    return {**found, "values": list(requirement.values)} if requirement.values else found
