"""APIService."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import each, invalid, port_number, required
from bareboat.api.kinds.names import path_segment
from bareboat.api.strategy import StatusAlone, Strategy
from bareboat.models.names import dns1035_label, dns1123_subdomain
from bareboat.models.status import Cause

_HIGHEST_GROUP, _HIGHEST_VERSION = 20000, 1000


class APIServiceStrategy(PlainStrategy):
    subresources = {"status": StatusAlone()}
    allow_unconditional_update = False

    def validate_name(self, name: str) -> list[str]:
        return path_segment(name)

    def default(self, obj: Any) -> None:
        if obj.spec.service is not None and obj.spec.service.port is None:
            obj.spec.service.port = 443

    def validate_create(self, obj: Any) -> list[Cause]:
        spec, name = obj.spec, obj.metadata.name
        wanted = f"{spec.version}.{spec.group}"
        causes: list[Cause] = []
        if name and name != wanted and not path_segment(name):
            causes.append(invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"'))
        if not spec.group and spec.version != "v1":
            causes.append(required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
        if spec.group:
            causes += each("spec.group", spec.group, dns1123_subdomain(spec.group))
        causes += each("spec.version", spec.version, dns1035_label(spec.version))
        causes += _priority("spec.groupPriorityMinimum", spec.groupPriorityMinimum, _HIGHEST_GROUP)
        causes += _priority("spec.versionPriority", spec.versionPriority, _HIGHEST_VERSION)
        return causes + (_local(spec) if spec.service is None else _remote(spec))

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def _priority(field: str, value: int, highest: int) -> list[Cause]:
    return [] if 0 < value <= highest else [invalid(field, value, f"must be positive and less than {highest}")]


def _local(spec: Any) -> list[Cause]:
    causes: list[Cause] = []
    if spec.caBundle:
        causes.append(invalid("spec.caBundle", f"{len(spec.caBundle) * 3 // 4} bytes", "local APIServices may not have a caBundle"))
    if spec.insecureSkipTLSVerify:
        causes.append(invalid("spec.insecureSkipTLSVerify", True, "local APIServices may not have insecureSkipTLSVerify"))
    return causes


def _remote(spec: Any) -> list[Cause]:
    service = spec.service
    causes = [required(f"spec.service.{name}") for name in ("namespace", "name") if not getattr(service, name)]
    causes += port_number("spec.service.port", service.port)
    if spec.insecureSkipTLSVerify and spec.caBundle:
        causes.append(invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present"))
    return causes


STRATEGIES: dict[str, type[Strategy]] = {"apiregistration.k8s.io/apiservices": APIServiceStrategy}
