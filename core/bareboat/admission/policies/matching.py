"""matchConstraints of policies and matchResources of bindings: rules with names, rules that exclude, selectors."""

from __future__ import annotations

from typing import Any

from bareboat.admission.matching.rules import Shape, shape_of, wanted_version
from bareboat.admission.matching.selection import compiled, namespace_selected, object_selected
from bareboat.contracts.admission import AdmissionHost, AdmissionRequest
from bareboat.contracts.auth import Reader


class Match:
    """``resources`` None matches everything."""

    def __init__(self, resources: Any) -> None:
        self._resources = resources
        self._namespaces = compiled(resources.namespaceSelector if resources is not None else None)
        self._objects = compiled(resources.objectSelector if resources is not None else None)

    def version(self, request: AdmissionRequest, reader: Reader, host: AdmissionHost) -> tuple[str, str] | None:
        """The (group, version) to see the object in; None if this is not about it. Raises NotFound."""
        shape = shape_of(request)
        found = (shape.group, shape.version) if self._resources is None else self._wanted(shape, request, host)
        if found is None or not object_selected(self._objects, request) or not namespace_selected(self._namespaces, request, reader):
            return None
        return found

    def _wanted(self, shape: Shape, request: AdmissionRequest, host: AdmissionHost) -> tuple[str, str] | None:
        rules, excluded, policy = self._resources.resourceRules, self._resources.excludeResourceRules, self._resources.matchPolicy
        versions = host.versions(shape.group, shape.resource) if policy != "Exact" else []
        if excluded and wanted_version(excluded, policy, shape, versions, request.name) is not None:
            return None
        if not rules:
            return shape.group, shape.version
        return wanted_version(rules, policy, shape, versions, request.name)
