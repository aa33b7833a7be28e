"""PodTolerationRestriction (off by default): a namespace gives its pods tolerations, and says which ones they may have at all."""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.status import Forbidden, InternalError
from bareboat_admission_builtin.options import TolerationOptions
from bareboat_admission_builtin.runtime_class import merged_tolerations

DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
ALLOWED = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
PRESSURE = "node.kubernetes.io/memory-pressure"
Tolerations = list[core_v1.Toleration]


class PodTolerationRestriction(AdmissionPlugin):
    name = "PodTolerationRestriction"
    shallow = True

    def __init__(self, reader: Reader, options: TolerationOptions) -> None:
        self._reader = reader
        self._default = _tolerations(options.default)
        self._allowed = _tolerations(options.allowed)

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and not group and resource == "pods" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        spec = request.object.spec
        if request.operation == "UPDATE" and request.old.spec.tolerations == spec.tolerations:
            return
        spec.tolerations = merged_tolerations(spec.tolerations, self._extra(request))

    async def validate(self, request: AdmissionRequest) -> None:
        allowed = self._of_namespace(request, ALLOWED, self._allowed)
        if any(not any(_covers(wide, narrow) for wide in allowed) for narrow in request.object.spec.tolerations) and allowed:
            because = "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist"
            raise Forbidden.of("pods", request.name, because=because)

    def _extra(self, request: AdmissionRequest) -> Tolerations:
        found = list(self._of_namespace(request, DEFAULTS, self._default))
        if any(c.resources.requests or c.resources.limits for c in request.object.spec.containers):
            found.append(core_v1.Toleration(key=PRESSURE, operator="Exists", effect="NoSchedule"))
        return found

    def _of_namespace(self, request: AdmissionRequest, name: str, otherwise: Tolerations) -> Tolerations:
        """Raises InternalError for an annotation that is no list of tolerations."""
        namespace = self._reader.get(core_v1.Namespace, request.namespace)
        text = namespace.metadata.annotations.get(name) if namespace is not None else None
        if text is None:
            return otherwise
        try:
            return _tolerations(msgspec.json.decode(text)) if text else []
        except (msgspec.MsgspecError, ValueError) as error:
            raise InternalError.of(f"annotation {name} of namespace {request.namespace}: {error}") from error


def _tolerations(trees: Any) -> Tolerations:
    """Raises ValueError."""
    try:
        return msgspec.convert(trees, list[core_v1.Toleration])
    except msgspec.ValidationError as error:
        raise ValueError(f"no list of tolerations: {error}") from error


def _covers(wide: core_v1.Toleration, narrow: core_v1.Toleration) -> bool:
    """Whether whatever the second tolerates is tolerated by the first."""
    anything = not wide.key and wide.operator == "Exists"
    if (wide.key != narrow.key and not anything) or wide.effect not in ("", narrow.effect):
        return False
    if wide.effect == "NoExecute" and not _as_long(wide.tolerationSeconds, narrow.tolerationSeconds):
        return False
    return wide.operator == "Exists" or (narrow.operator != "Exists" and wide.value == narrow.value)


def _as_long(wide: int | None, narrow: int | None) -> bool:
    return wide is None or (narrow is not None and narrow <= wide)
