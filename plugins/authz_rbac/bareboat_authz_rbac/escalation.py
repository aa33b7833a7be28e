"""Nobody gives what they do not have: checks on roles and bindings that are written.

A role may hold only rules that its writer holds, or its writer may ``escalate``; a binding may refer only to a role whose rules its
writer holds, or its writer may ``bind``. A change that adds nothing needs neither. Always on where RBAC is.
"""

from __future__ import annotations

from typing import Any

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Attributes, Reader
from bareboat.models.status import Forbidden, NotFound
from bareboat_authz_rbac.rbac import index_of
from bareboat_authz_rbac.rules import CompiledRule, uncovered

GROUP = "rbac.authorization.k8s.io"
MASTERS = "system:masters"
_ROLES, _BINDINGS = ("roles", "clusterroles"), ("rolebindings", "clusterrolebindings")


class EscalationCheck(AdmissionPlugin):
    """RoleEscalation: not upstream's admission plugin, but its registry's rule."""

    name = "RoleEscalation"
    required = True

    def __init__(self, reader: Reader, host: AdmissionHost) -> None:
        self._index = index_of(reader)
        self._host = host

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        written = operation in ("CREATE", "UPDATE") and not subresource
        return written and group == GROUP and resource in (*_ROLES, *_BINDINGS)

    async def validate(self, request: AdmissionRequest) -> None:
        if MASTERS in request.user.groups:
            return
        await (self._role(request) if request.resource in _ROLES else self._binding(request))

    async def _role(self, request: AdmissionRequest) -> None:
        new, old = request.object, request.old
        aggregation = getattr(new, "aggregationRule", None)
        same = old is not None and old.rules == new.rules and getattr(old, "aggregationRule", None) == aggregation
        if same or await self._may(request, "escalate", request.resource, request.name or new.metadata.name):
            return
        self._held(request, new.rules)
        if aggregation is not None and (old is None or old.aggregationRule != aggregation):
            self._every(request)

    async def _binding(self, request: AdmissionRequest) -> None:
        new, old = request.object, request.old
        if old is not None and old.roleRef == new.roleRef and all(s in old.subjects for s in new.subjects):
            return
        reference = new.roleRef
        resource, space = ("roles", request.namespace) if reference.kind == "Role" else ("clusterroles", "")
        if await self._may(request, "bind", resource, reference.name):
            return
        rules = self._index.role((space, reference.name))
        if rules is None:
            raise NotFound.of(resource, reference.name, group=GROUP)
        self._held(request, [rule.source for rule in rules])

    async def _may(self, request: AdmissionRequest, verb: str, resource: str, name: str) -> bool:
        asked = Attributes(
            user=request.user, verb=verb, group=GROUP, version="*", resource=resource, namespace=request.namespace, name=name
        )
        return (await self._host.authorize(asked)).verdict == "Allow"

    def _held(self, request: AdmissionRequest, rules: list[Any]) -> None:
        missing = uncovered(rules, self._index.rules_of(request.user, request.namespace))
        if missing:
            user = request.user
            groups = " ".join(f'"{group}"' for group in user.groups)
            because = f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            name = request.name or request.object.metadata.name
            raise Forbidden.of(request.resource, name, group=GROUP, because=because + "\n".join(missing))

    def _every(self, request: AdmissionRequest) -> None:
        """What a role aggregates later cannot be known now."""
        held = list(self._index.rules_of(request.user, ""))
        if any(_is_everything(rule) for rule in held):
            return
        because = "must have cluster-admin privileges to use the aggregationRule"
        raise Forbidden.of(request.resource, request.name or request.object.metadata.name, group=GROUP, because=because)


def _is_everything(rule: CompiledRule) -> bool:
    return "*" in rule.verbs and "*" in rule.groups and "*" in rule.resources and not rule.names
