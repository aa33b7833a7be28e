"""ClusterRoles that are made of others: their rules follow those that their selectors choose."""

from __future__ import annotations

from collections.abc import Iterable

from bareboat.models import rbac_v1
from bareboat.models.codec import encode
from bareboat.models.selectors import from_label_selector
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory


class ClusterRoleAggregationController(Controller):
    name = "clusterrole-aggregation-controller"
    workers = 1

    def setup(self, informers: InformerFactory) -> None:
        self._aggregates: set[str] = set()
        roles = informers.of(rbac_v1.ClusterRole)
        roles.on_change(self._note)
        self._roles = self.watch(roles, self._concerned)

    def _note(self, key: str, _old: bytes | None, new: bytes | None) -> None:
        if new is not None and b'"aggregationRule"' in new:
            self._aggregates.add(key)
        else:
            self._aggregates.discard(key)

    def _concerned(self, _key: str, _role: rbac_v1.ClusterRole) -> Iterable[str]:
        """Any role may be part of any aggregate; there are few of these."""
        return list(self._aggregates)

    async def reconcile(self, key: str) -> float | None:
        role = self._roles.get(key)
        if role is None or role.aggregationRule is None or role.metadata.deletionTimestamp:
            return None
        wanted: dict[bytes, rbac_v1.PolicyRule] = {}
        selectors = [from_label_selector(s) for s in role.aggregationRule.clusterRoleSelectors]
        for other in sorted(self._roles.list(), key=lambda r: r.metadata.name):
            if other.metadata.name != role.metadata.name and any(s.matches(other.metadata.labels) for s in selectors):
                wanted.update((encode(rule), rule) for rule in other.rules)
        rules = list(wanted.values())
        if rules != role.rules:
            role.rules = rules
            await self.client.update(role)
        return None
