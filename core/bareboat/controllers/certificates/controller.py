"""Approving, signing and forgetting certificate requests. One identity, three loops over the same objects."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from bareboat.controllers.certificates.requests import (
    KUBELET_CLIENT,
    KUBELET_SERVING,
    SIGNERS,
    Asked,
    BadRequest,
    names_only_its_node,
    node_of,
    objection,
    pem_of,
    read,
)
from bareboat.models import certificates_v1, core_v1
from bareboat.models.meta import get_condition, is_condition_true
from bareboat.models.status import NotFound
from bareboat.models.times import parse
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

#: A request, its usages and its life in seconds to a certificate; all but the life as PEM.
Sign = Callable[[bytes, list[str], float], bytes]
Request = certificates_v1.CertificateSigningRequest
LONGEST, SHORTEST = 365 * 86400.0, 600.0
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_HOUR = 3600.0


class CertificateController(Controller):
    """``sign`` is set by the assembly; without it approved requests wait."""

    name = "certificate-controller"
    workers = 1
    sign: ClassVar[Sign | None] = None

    def setup(self, informers: InformerFactory) -> None:
        self._requests = self.watch(informers.of(Request))

    async def background(self) -> None:
        while True:
            for key in self._requests.keys():  # noqa: SIM118  an informer is no dict
                await self._forget_old(self._requests.get(key))
            await self.clock.sleep(_HOUR)

    async def reconcile(self, key: str) -> float | None:
        request = self._requests.get(key)
        if request is None or request.status.certificate or is_condition_true(request.status.conditions, "Denied"):
            return None
        if is_condition_true(request.status.conditions, "Approved"):
            await self._sign(request)
        elif request.spec.signerName in (KUBELET_CLIENT, KUBELET_SERVING):
            await self._approve(request)
        return None

    async def _sign(self, request: Request) -> None:
        sign = type(self).sign
        failed = is_condition_true(request.status.conditions, "Failed")
        if sign is None or failed or request.spec.signerName not in SIGNERS:
            return
        try:
            why = objection(request.spec.signerName, read(request), request.spec.usages)
        except BadRequest as error:
            why = str(error)
        if why:
            request.status.conditions = [*request.status.conditions, self._condition("Failed", "SignerValidationFailure", why)]
        else:
            life = min(LONGEST, max(SHORTEST, float(request.spec.expirationSeconds or LONGEST)))
            pem = sign(pem_of(request), request.spec.usages, life)
            request.status.certificate = base64.b64encode(pem).decode()
        await self.client.update(request, subresource="status")

    def _condition(self, kind: str, reason: str, message: str) -> certificates_v1.CertificateSigningRequestCondition:
        now = self.clock.timestamp()
        return certificates_v1.CertificateSigningRequestCondition(
            type=kind, status="True", reason=reason, message=message, lastUpdateTime=now, lastTransitionTime=now
        )

    async def _approve(self, request: Request) -> None:
        """Certificates of nodes, if who asks may have them."""
        try:
            asked = read(request)
        except BadRequest:
            return
        if objection(request.spec.signerName, asked, request.spec.usages):
            return
        for subresource, what in await self._ways(request, asked):
            if await self._may(request, subresource):
                message = f"Auto approving {what} certificate after SubjectAccessReview."
                request.status.conditions = [*request.status.conditions, self._condition("Approved", "AutoApproved", message)]
                await self.client.update(request, subresource="approval")
                return

    async def _ways(self, request: Request, asked: Asked) -> list[tuple[str, str]]:
        """As which part of certificatesigningrequests it may be allowed, and what that is. A node asks for itself; for a node that is
        Ready nobody else does, whatever their token: its name is taken. What it serves with names the node and nothing else."""
        own = request.spec.username == asked.common_name
        if request.spec.signerName == KUBELET_SERVING:
            return [("selfnodeserver", "self kubelet serving")] if own and names_only_its_node(asked) else []
        if own:
            return [("selfnodeclient", "self kubelet client"), ("nodeclient", "kubelet client")]
        return [] if await self._is_ready(node_of(asked)) else [("nodeclient", "kubelet client")]

    async def _is_ready(self, name: str) -> bool:
        try:
            node = await self.client.get(core_v1.Node, name)
        except NotFound:
            return False
        return is_condition_true(node.status.conditions, "Ready")

    async def _may(self, request: Request, subresource: str) -> bool:
        spec = request.spec
        resource = {"group": "certificates.k8s.io", "version": "*", "resource": "certificatesigningrequests"}
        who: dict[str, Any] = {"user": spec.username, "uid": spec.uid, "groups": spec.groups, "extra": spec.extra}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {**who, "resourceAttributes": {**resource, "subresource": subresource, "verb": "create"}},
        }
        answer = await self.client.post(_REVIEWS, review)
        return bool(answer.get("status", {}).get("allowed"))

    async def _forget_old(self, request: Request | None) -> None:
        if request is None or not self._is_old(request):
            return
        try:
            await self.client.delete(Request, request.metadata.name, uid=request.metadata.uid)
        except NotFound:
            return

    def _is_old(self, request: Request) -> bool:
        """Decided ones after an hour, undecided ones after a day, and any whose certificate has run out."""
        now = self.clock.now()
        if request.status.certificate and _expired(request.status.certificate, now):
            return True
        for kind in ("Approved", "Denied", "Failed"):
            condition = get_condition(request.status.conditions, kind)
            if condition is not None and condition.lastUpdateTime:
                waits = kind == "Approved" and not request.status.certificate
                return not waits and _older(condition.lastUpdateTime, now, _HOUR)
        return _older(request.metadata.creationTimestamp, now, 24 * _HOUR)


def _older(moment: str | None, now: datetime, seconds: float) -> bool:
    return moment is not None and (now - parse(moment)).total_seconds() > seconds


def _expired(certificate: str, now: datetime) -> bool:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(base64.b64decode(certificate)).not_valid_after_utc < now
    except ValueError:
        return False
