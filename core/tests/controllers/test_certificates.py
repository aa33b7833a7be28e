"""Certificate requests: signed when approved, refused when they ask for too much, forgotten in time. And roles made of roles."""

import asyncio
import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bareboat.cluster.pki.authority import Authority
from bareboat.cluster.pki.requests import RequestSigner
from bareboat.controllers.aggregation import ClusterRoleAggregationController
from bareboat.controllers.certificates.controller import CertificateController
from bareboat.models import certificates_v1, rbac_v1

pytestmark = pytest.mark.virtual_time
Request = certificates_v1.CertificateSigningRequest


@pytest.fixture
async def world(bench, tmp_path, monkeypatch):
    pair = Authority(tmp_path, bench.kernel.clock).pair
    monkeypatch.setattr(CertificateController, "sign", RequestSigner(pair, bench.kernel.clock))
    bench.agent.interval = 600
    await bench.start(CertificateController, ClusterRoleAggregationController)
    return bench


def pem(common_name="jane", organization="team", dns=()):
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(d) for d in dns]), critical=False)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


async def ask(world, request, signer="kubernetes.io/kube-apiserver-client", usages=("digital signature", "client auth"), **spec):
    wanted = {"request": request, "signerName": signer, "usages": list(usages), **spec}
    made = await world.create(Request, {"metadata": {"name": "r"}, "spec": wanted})
    made.status.conditions = [certificates_v1.CertificateSigningRequestCondition(type="Approved", status="True", reason="Test", message="")]
    await world.client.update(made, subresource="approval")
    await asyncio.sleep(1)
    return (await world.get(Request, "r")).status


async def test_an_approved_request_is_signed_for_the_time_asked(world):
    status = await ask(world, pem(), expirationSeconds=3600)
    found = x509.load_pem_x509_certificate(base64.b64decode(status.certificate))
    assert found.subject.rfc4514_string() == "CN=jane,O=team"
    assert list(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert (found.not_valid_after_utc - found.not_valid_before_utc).total_seconds() == 3900
    await asyncio.sleep(3 * 3600)
    assert await world.exists(Request, "r") is None


@pytest.mark.parametrize(
    ("request_pem", "signer", "usages", "why"),
    [
        (pem(), "kubernetes.io/kube-apiserver-client", ("server auth",), "usages must include client auth"),
        (pem(), "kubernetes.io/kubelet-serving", ("server auth", "digital signature"), "subject organization is not system:nodes"),
        (
            pem("system:node:n1", "system:nodes", ("n1",)),
            "kubernetes.io/kube-apiserver-client-kubelet",
            ("client auth", "digital signature"),
            "DNS and IP subjectAltNames are not allowed",
        ),
        (
            pem("system:node:n1", "system:nodes"),
            "kubernetes.io/kubelet-serving",
            ("server auth", "digital signature"),
            "DNS or IP subjectAltName is required",
        ),
    ],
)
async def test_what_the_signer_does_not_give_fails(world, request_pem, signer, usages, why):
    status = await ask(world, request_pem, signer, usages)
    assert status.certificate == ""
    assert [(c.reason, c.message) for c in status.conditions if c.type == "Failed"] == [("SignerValidationFailure", why)]


async def test_names_of_a_serving_certificate_are_kept(world):
    usages = ("server auth", "digital signature", "key encipherment")
    status = await ask(world, pem("system:node:n1", "system:nodes", ("n1",)), "kubernetes.io/kubelet-serving", usages)
    found = x509.load_pem_x509_certificate(base64.b64decode(status.certificate))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1"]


async def test_signers_of_others_are_left_alone(world):
    assert (await ask(world, pem(), "example.com/own")).certificate == ""


async def test_undecided_requests_are_forgotten_after_a_day(world):
    wanted = {"request": pem(), "signerName": "example.com/own", "usages": ["client auth"]}
    await world.create(Request, {"metadata": {"name": "r"}, "spec": wanted})
    await asyncio.sleep(23 * 3600)
    assert await world.exists(Request, "r")
    await asyncio.sleep(3 * 3600)
    assert await world.exists(Request, "r") is None


async def test_a_role_follows_the_roles_it_is_made_of(world):
    def role(name, resource, **meta):
        rule = {"apiGroups": [""], "resources": [resource], "verbs": ["get"]}
        return {"metadata": {"name": name, **meta}, "rules": [rule]}

    part = {"labels": {"part": "yes"}}
    whole = {"metadata": {"name": "whole"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "yes"}}]}, "rules": []}
    await world.create(rbac_v1.ClusterRole, role("a", "pods", **part))
    await world.create(rbac_v1.ClusterRole, whole)
    await world.create(rbac_v1.ClusterRole, role("b", "nodes", **part))
    await world.create(rbac_v1.ClusterRole, role("c", "secrets"))

    async def rules(*wanted):
        return [r.resources for r in (await world.get(rbac_v1.ClusterRole, "whole")).rules] == [[w] for w in wanted]

    await world.until(lambda: rules("pods", "nodes"))
    await world.client.delete(rbac_v1.ClusterRole, "a")
    await world.until(lambda: rules("nodes"))
