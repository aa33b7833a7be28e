"""DefaultTolerationSeconds: pods stay five minutes on a node that fell silent. TaintNodesByCondition: a new node is not ready."""

from __future__ import annotations

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.models import core_v1

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
SECONDS = 300


class DefaultTolerationSeconds(AdmissionPlugin):
    name = "DefaultTolerationSeconds"
    shallow = True

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and not group and resource == "pods" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        spec = request.object.spec
        for taint in (NOT_READY, UNREACHABLE):
            if not any(t.key in ("", taint) and t.effect in ("", "NoExecute") for t in spec.tolerations):
                toleration = core_v1.Toleration(key=taint, operator="Exists", effect="NoExecute", tolerationSeconds=SECONDS)
                spec.tolerations = [*spec.tolerations, toleration]


class TaintNodesByCondition(AdmissionPlugin):
    name = "TaintNodesByCondition"

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "CREATE" and not group and resource == "nodes" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        node = request.object
        if not any(t.key == NOT_READY and t.effect == "NoSchedule" for t in node.spec.taints):
            node.spec.taints = [*node.spec.taints, core_v1.Taint(key=NOT_READY, effect="NoSchedule")]
