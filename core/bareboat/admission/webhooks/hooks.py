"""The configured webhooks, compiled, and which of them a request concerns.

In: configurations as they come and go. Out: for a request the hooks whose rules match, in order, with the version that each wants
to see; worked out once per shape of request. Nothing is configured most of the time: then nothing is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bareboat.admission.matching.conditions import Conditions
from bareboat.admission.matching.rules import Shape, shape_of, wanted_version
from bareboat.admission.matching.selection import compiled, namespace_selected, object_selected
from bareboat.cel.limits import ExpressionError
from bareboat.contracts.admission import AdmissionHost, AdmissionRequest
from bareboat.contracts.auth import Reader
from bareboat.models.codec import to_tree
from bareboat.models.selectors import Selector

VARIABLES = ("object", "oldObject", "request", "authorizer")


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook of one configuration; ``conditions`` is the error of those that do not compile."""

    configuration: str
    spec: Any
    client: dict[str, Any]
    namespaces: Selector
    objects: Selector
    conditions: Conditions | ExpressionError

    @property
    def name(self) -> str:
        return str(self.spec.name)

    @property
    def fails_open(self) -> bool:
        return bool(self.spec.failurePolicy == "Ignore")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A hook, and the group and version in which it sees the object."""

    hook: Hook
    group: str
    version: str


class Hooks:
    """Of one kind of configuration."""

    def __init__(self, reader: Reader, host: AdmissionHost, kind: type[Any]) -> None:
        self._reader = reader
        self._host = host
        self._kind = kind
        self._by_configuration: dict[str, list[Hook]] = {}
        self._shapes: dict[Shape, list[Wanted]] = {}
        self._served: list[tuple[str, str]] = []
        reader.subscribe(kind, self._changed)

    def __bool__(self) -> bool:
        return bool(self._by_configuration)

    def _changed(self, _: str, name: str) -> None:
        self._shapes.clear()
        found = self._reader.get(self._kind, name)
        if found is None or not found.webhooks:
            self._by_configuration.pop(name, None)
        else:
            self._by_configuration[name] = [_compiled(name, spec) for spec in found.webhooks]

    def concerning(self, request: AdmissionRequest) -> list[Wanted]:
        """Those whose rules and selectors match. Raises NotFound for a namespace that is not there."""
        shape = shape_of(request)
        found = self._shapes.get(shape)
        if found is None:
            found = self._shapes[shape] = self._matching(shape)
        return [w for w in found if self._selected(w.hook, request)] if found else found

    def _matching(self, shape: Shape) -> list[Wanted]:
        versions = self._host.versions(shape.group, shape.resource)
        wanted = []
        for name in sorted(self._by_configuration):
            for hook in self._by_configuration[name]:
                seen = wanted_version(hook.spec.rules, hook.spec.matchPolicy, shape, versions)
                if seen is not None:
                    wanted.append(Wanted(hook, *seen))
        return wanted

    def _selected(self, hook: Hook, request: AdmissionRequest) -> bool:
        return object_selected(hook.objects, request) and namespace_selected(hook.namespaces, request, self._reader)


def _compiled(configuration: str, spec: Any) -> Hook:
    try:
        conditions: Conditions | ExpressionError = Conditions(spec.matchConditions, VARIABLES)
    except ExpressionError as error:
        conditions = error
    client = to_tree(spec.clientConfig)
    return Hook(configuration, spec, client, compiled(spec.namespaceSelector), compiled(spec.objectSelector), conditions)
