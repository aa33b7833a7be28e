"""ValidatingAdmissionPolicies are checked against the kinds that they name: what cannot be right is told in their status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bareboat.admission.policies.typing import MOST_KINDS, warnings
from bareboat.api.custom.bounds import declared
from bareboat.api.custom.schema import compiled
from bareboat.cel.shapes import ANY, Shape
from bareboat.cel.typed import of_type
from bareboat.models import admissionregistration_v1, apiextensions_v1
from bareboat.models.scheme import Resource
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

v1 = admissionregistration_v1
Policy = v1.ValidatingAdmissionPolicy


class PolicyStatusController(Controller):
    name = "validatingadmissionpolicy-status-controller"
    workers = 1

    def setup(self, informers: InformerFactory) -> None:
        self._definitions = informers.of(apiextensions_v1.CustomResourceDefinition)
        self._needs.append(self._definitions)
        self._policies = self.watch(informers.of(Policy))

    async def reconcile(self, key: str) -> float | None:
        policy = self._policies.get(key)
        if policy is None or policy.status.observedGeneration == policy.metadata.generation:
            return None
        found = warnings(policy, dict(self._kinds(policy)), self._params(policy))
        checked = v1.TypeChecking(expressionWarnings=[v1.ExpressionWarning(fieldRef=path, warning=said) for path, said in found])
        policy.status.typeChecking = checked
        policy.status.observedGeneration = policy.metadata.generation
        await self.client.update(policy, subresource="status")
        return None

    def _kinds(self, policy: Any) -> Iterator[tuple[str, Shape]]:
        """Those that the rules name, by what messages call them; what is named by a pattern is not looked at."""
        rules = policy.spec.matchConstraints.resourceRules if policy.spec.matchConstraints is not None else []
        count = 0
        for group, version, name in _named(rules):
            resource = self.client.scheme.resource(group, version, name)
            if resource is not None and count < MOST_KINDS:
                count += 1
                yield f"{resource.api_version}, Kind={resource.kind}", self._shape(resource)

    def _params(self, policy: Any) -> Shape:
        kind = policy.spec.paramKind
        resource = self.client.scheme.by_kind(kind.apiVersion, kind.kind) if kind is not None else None
        return ANY if resource is None else self._shape(resource)

    def _shape(self, resource: Resource) -> Shape:
        if not resource.custom:
            return of_type(resource.type) if resource.type is not None else ANY
        raw = self._definitions.raw(f"/{resource.plural}.{resource.group}")
        versions = msgspec.json.decode(raw)["spec"]["versions"] if raw is not None else []
        schema = next((v.get("schema", {}).get("openAPIV3Schema") for v in versions if v["name"] == resource.version), None)
        return ANY if schema is None else declared(compiled(schema), resource=True)


def _named(rules: Iterable[Any]) -> Iterator[tuple[str, str, str]]:
    for rule in rules:
        if "*" in rule.apiGroups or "*" in rule.apiVersions:
            continue
        for name in rule.resources:
            if "*" not in name and "/" not in name:
                yield from ((group, version, name) for group in rule.apiGroups for version in rule.apiVersions)
