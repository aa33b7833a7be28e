"""CertificateApproval, -Signing and -SubjectRestriction: who may approve and sign for a signer, and what no request may ask for."""

from __future__ import annotations

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Attributes
from bareboat.models.status import Forbidden

GROUP, RESOURCE = "certificates.k8s.io", "certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
ADMINISTRATORS = "system:masters"


class _OfSigner(AdmissionPlugin):
    """Asks whether the user may do ``verb`` for the request's signer, by its name or its whole domain."""

    verb: str
    subresource: str

    def __init__(self, host: AdmissionHost) -> None:
        self._host = host

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return (operation, group, resource, subresource) == ("UPDATE", GROUP, RESOURCE, self.subresource)

    async def validate(self, request: AdmissionRequest) -> None:
        signer = request.old.spec.signerName
        for name in (signer, f"{signer.partition('/')[0]}/*"):
            asked = Attributes(user=request.user, verb=self.verb, group=GROUP, version="*", resource="signers", name=name)
            if (await self._host.authorize(asked)).verdict == "Allow":
                return
        because = f'user not permitted to {self.verb} requests with signerName "{signer}"'
        raise Forbidden.of(RESOURCE, request.name, group=GROUP, because=because)


class CertificateApproval(_OfSigner):
    name = "CertificateApproval"
    verb, subresource = "approve", "approval"


class CertificateSigning(_OfSigner):
    name = "CertificateSigning"
    verb, subresource = "sign", "status"

    async def validate(self, request: AdmissionRequest) -> None:
        new, old = request.object.status, request.old.status
        if new.certificate != old.certificate or new.conditions != old.conditions:
            await super().validate(request)


class CertificateSubjectRestriction(AdmissionPlugin):
    name = "CertificateSubjectRestriction"

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return (operation, group, resource, subresource) == ("CREATE", GROUP, RESOURCE, "")

    async def validate(self, request: AdmissionRequest) -> None:
        spec = request.object.spec
        if spec.signerName == CLIENT_SIGNER and ADMINISTRATORS in _organizations(spec.request):
            because = f"use of {CLIENT_SIGNER} signer with {ADMINISTRATORS} group is not allowed"
            raise Forbidden.of(RESOURCE, request.name, group=GROUP, because=because)


def _organizations(request: str | bytes) -> set[str]:
    """Of a PEM request in base64; validation has read it already."""
    import base64

    from cryptography import x509
    from cryptography.x509.oid import NameOID

    pem = base64.b64decode(request)
    return {str(a.value) for a in x509.load_pem_x509_csr(pem).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
