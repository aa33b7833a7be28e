"""DenyServiceExternalIPs (off by default): no Service gets addresses that nobody gave it."""

from __future__ import annotations

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.models.status import Forbidden


class DenyServiceExternalIPs(AdmissionPlugin):
    name = "DenyServiceExternalIPs"

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and not group and resource == "services" and not subresource

    async def validate(self, request: AdmissionRequest) -> None:
        had = set(request.old.spec.externalIPs) if request.old is not None else set()
        if not set(request.object.spec.externalIPs) <= had:
            raise Forbidden.of("services", request.name, because="Use of external IPs is denied by admission control.")
