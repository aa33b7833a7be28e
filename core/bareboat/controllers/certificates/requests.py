"""What a certificate request asks for, and whether its signer may give that. ``cryptography`` is imported when a request is read."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

from bareboat.models import certificates_v1

CLIENT, KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING, LEGACY = "kubernetes.io/kubelet-serving", "kubernetes.io/legacy-unknown"
SIGNERS = frozenset({CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY})
_NODE = "system:node:"
_NODE_CLIENT = {"key encipherment", "digital signature", "client auth"}
_NODE_SERVING = {"key encipherment", "digital signature", "server auth"}
_CLIENT = {"digital signature", "key encipherment", "client auth"}


class Asked(NamedTuple):
    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    others: int


class BadRequest(Exception):
    """The text is no certificate request."""


def pem_of(request: certificates_v1.CertificateSigningRequest) -> bytes:
    return base64.b64decode(request.spec.request)


def read(request: certificates_v1.CertificateSigningRequest) -> Asked:
    """Raises BadRequest."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_csr(pem_of(request))
        valid = found.is_signature_valid
    except ValueError as error:
        raise BadRequest(f"unable to parse csr: {error}") from error
    if not valid:
        raise BadRequest("the request's own signature does not fit")
    names = [a.value for a in found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    organizations = [a.value for a in found.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)]
    dns, addresses, others = _alternatives(found)
    return Asked(str(names[0]) if names else "", tuple(str(o) for o in organizations), dns, addresses, others)


def _alternatives(found: Any) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    from cryptography import x509

    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), (), 0
    dns, addresses = names.get_values_for_type(x509.DNSName), names.get_values_for_type(x509.IPAddress)
    return tuple(dns), tuple(str(a) for a in addresses), len(names) - len(dns) - len(addresses)


def objection(signer: str, asked: Asked, usages: list[str]) -> str:
    """Why the signer will not sign; "" if it will."""
    wanted = set(usages)
    if signer == CLIENT:
        if "client auth" not in wanted:
            return "usages must include client auth"
        return "" if wanted <= _CLIENT else "usages not allowed for kube-apiserver-client"
    if signer == KUBELET_CLIENT:
        return _of_node(asked) or _for_client(asked, wanted)
    if signer == KUBELET_SERVING:
        return _of_node(asked) or _for_serving(asked, wanted)
    return ""


def node_of(asked: Asked) -> str:
    return asked.common_name.removeprefix(_NODE)


def names_only_its_node(asked: Asked) -> bool:
    """And that is no name by which the API server is known."""
    node = node_of(asked)
    reserved = node == "localhost" or node.split(".")[0] == "kubernetes" or node.endswith((".svc", ".local"))
    return asked.dns == (node,) and not asked.addresses and not reserved


def _of_node(asked: Asked) -> str:
    if asked.organizations != ("system:nodes",):
        return "subject organization is not system:nodes"
    if not asked.common_name.startswith(_NODE):
        return "subject common name does not begin with system:node:"
    return "email and URI subjectAltNames are not allowed" if asked.others else ""


def _for_client(asked: Asked, usages: set[str]) -> str:
    if asked.dns or asked.addresses:
        return "DNS and IP subjectAltNames are not allowed"
    return "" if usages | {"key encipherment"} == _NODE_CLIENT else "usages did not match"


def _for_serving(asked: Asked, usages: set[str]) -> str:
    if not asked.dns and not asked.addresses:
        return "DNS or IP subjectAltName is required"
    return "" if usages | {"key encipherment"} == _NODE_SERVING else "usages did not match"
