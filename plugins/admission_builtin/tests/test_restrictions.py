"""Who may write what: agents, approvers and signers of certificates, those who set owners."""

import base64

import pytest

from bareboat.contracts.auth import ALLOW, NO_OPINION, UserInfo
from bareboat.models import authentication_v1, certificates_v1, coordination_v1, core_v1

pytestmark = pytest.mark.virtual_time
NODE = UserInfo(name="system:node:n1", groups=("system:nodes", "system:authenticated"))
USER = UserInfo(name="jane", groups=("system:authenticated",))


@pytest.fixture
async def node(world):
    return world.kernel.client_for(NODE)


def tree(cls, **fields):
    from bareboat.models.codec import from_tree

    return from_tree(cls, fields)


async def test_an_agent_registers_and_changes_its_own_node_only(world, node):
    made = await node.create(tree(core_v1.Node, metadata={"name": "n1", "labels": {"disk": "ssd", "kubernetes.io/os": "linux"}}))
    error = await world.refused(node.create(tree(core_v1.Node, metadata={"name": "n2"})))
    assert error.message == 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'
    made.metadata.labels = {**made.metadata.labels, "node-restriction.kubernetes.io/team": "x"}
    error = await world.refused(node.update(made))
    assert error.message.endswith('node "n1" is not allowed to modify labels: node-restriction.kubernetes.io/team')
    made.metadata.labels = {}
    made.spec.taints = [core_v1.Taint(key="a", effect="NoSchedule")]
    assert (await world.refused(node.update(made))).message.endswith('node "n1" is not allowed to modify taints')


async def test_an_agent_touches_only_pods_that_run_on_it(world, node):
    mine = await world.pod("mine", nodeName="n1")
    other = await world.pod("other", nodeName="n2")
    await node.update(mine, subresource="status")
    error = await world.refused(node.update(other, subresource="status"))
    assert error.message.endswith('node "n1" can only update pod status for pods with spec.nodeName set to itself')
    assert (await world.refused(node.delete(core_v1.Pod, "other", "default"))).code == 403
    await node.delete(core_v1.Pod, "mine", "default")
    assert (
        "can only create mirror pods"
        in (
            await world.refused(
                node.create(
                    tree(
                        core_v1.Pod,
                        metadata={"name": "x", "namespace": "default"},
                        spec={"nodeName": "n1", "containers": [{"name": "c", "image": "x"}]},
                    )
                )
            )
        ).message
    )


async def test_a_mirror_pod_names_nothing_that_it_could_read_through(world, node):
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u", "controller": True}
    meta = {"name": "m", "namespace": "default", "annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [owner]}
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "x"}]}
    await node.create(tree(core_v1.Pod, metadata=meta, spec=spec))
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]
    error = await world.refused(node.create(tree(core_v1.Pod, metadata={**meta, "name": "k"}, spec={**spec, "volumes": volumes})))
    assert error.message.endswith('node "n1" can not create pods that reference secrets')


async def test_an_agent_has_one_lease(world, node):
    await node.create(tree(coordination_v1.Lease, metadata={"name": "n1", "namespace": "kube-node-lease"}))
    for name, namespace in (("n2", "kube-node-lease"), ("n1", "default")):
        assert (await world.refused(node.create(tree(coordination_v1.Lease, metadata={"name": name, "namespace": namespace})))).code == 403


async def test_others_are_not_restricted(world):
    await world.kernel.client_for(USER).create(tree(core_v1.Node, metadata={"name": "any"}))


def request(organization="devs", signer="kubernetes.io/kube-apiserver-client"):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    names = [x509.NameAttribute(NameOID.COMMON_NAME, "jane"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)]
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(names))
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    pem = base64.b64encode(csr.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"request": pem, "signerName": signer, "usages": ["client auth"]}
    return tree(certificates_v1.CertificateSigningRequest, metadata={"name": "r"}, spec=spec)


async def test_nobody_asks_for_the_administrators_group(world):
    error = await world.refused(world.client.create(request("system:masters")))
    assert "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed" in error.message


async def test_approving_and_signing_take_a_right_for_the_signer(world, monkeypatch):
    made = await world.client.create(request(signer="example.com/special"))
    asked = []

    async def authorize(attributes):
        asked.append((attributes.verb, attributes.name))
        return NO_OPINION if attributes.resource == "signers" else ALLOW

    monkeypatch.setattr(world.kernel.authority, "authorize", authorize)
    condition = certificates_v1.CertificateSigningRequestCondition(type="Approved", status="True", reason="r")
    made.status.conditions = [condition]
    error = await world.refused(world.client.update(made, subresource="approval"))
    assert error.message.endswith('user not permitted to approve requests with signerName "example.com/special"')
    assert ("approve", "example.com/*") in asked
    made.status.conditions = [certificates_v1.CertificateSigningRequestCondition(type="Failed", status="True", reason="r")]
    assert "not permitted to sign" in (await world.refused(world.client.update(made, subresource="status"))).message


async def test_owners_are_set_by_those_who_may_delete_and_finalize(make_world, monkeypatch):
    world = await make_world({"enable": ["OwnerReferencesPermissionEnforcement"]})
    denied = set()

    async def authorize(attributes):
        return NO_OPINION if (attributes.verb, attributes.subresource) in denied else ALLOW

    monkeypatch.setattr(world.kernel.authority, "authorize", authorize)
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "blockOwnerDeletion": True}
    meta = {"namespace": "default", "ownerReferences": [owner]}
    await world.client.create(tree(core_v1.ConfigMap, metadata={**meta, "name": "a"}))
    denied.add(("update", "finalizers"))
    error = await world.refused(world.client.create(tree(core_v1.ConfigMap, metadata={**meta, "name": "b"})))
    assert "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on" in error.message
    denied.add(("delete", ""))
    error = await world.refused(world.client.create(tree(core_v1.ConfigMap, metadata={**meta, "name": "c"})))
    assert "cannot set an ownerRef on a resource you can't delete" in error.message


@pytest.fixture
async def ask(world, monkeypatch):
    """Asks as the agent of n1 for a token of a pod; nothing is allowed beyond what the pod names."""
    from bareboat.contracts.admission import AdmissionRequest
    from bareboat_admission_builtin.node_restriction import NodeRestriction

    plugin = NodeRestriction(world.kernel.reader, world.host)

    async def ask(pod, *audiences):
        reference = authentication_v1.BoundObjectReference(kind="Pod", apiVersion="v1", name=pod.metadata.name, uid=pod.metadata.uid)
        spec = authentication_v1.TokenRequestSpec(audiences=list(audiences), boundObjectRef=reference)
        asked = AdmissionRequest(
            operation="CREATE", group="", version="v1", resource="serviceaccounts", subresource="token", kind="ServiceAccount",
            namespace="default", name="default", user=NODE, object=authentication_v1.TokenRequest(spec=spec),
        )  # fmt: skip
        await plugin.validate(asked)

    return ask


def projected(audience=None):
    source = {"path": "token", **({"audience": audience} if audience else {})}
    return [{"name": "t", "projected": {"sources": [{"serviceAccountToken": source}]}}]


async def test_tokens_are_for_pods_of_the_node(world, ask):
    pod = await world.pod("mine", nodeName="n2", volumes=projected(), serviceAccountName="default")
    error = await world.refused(ask(pod))
    assert error.message.endswith('node requested token bound to a pod scheduled on a different node: "mine"')
    pod.metadata.uid = "another"
    assert "does not match the UID in record" in (await world.refused(ask(pod))).message
    await ask(await world.pod("here", nodeName="n1", volumes=projected(), serviceAccountName="default"))


async def test_tokens_are_for_audiences_that_the_pod_names(world, ask, monkeypatch):
    async def nothing(_attributes):
        return NO_OPINION

    vault = await world.pod("vault", nodeName="n1", volumes=projected("vault"), serviceAccountName="default")
    plain = await world.pod("plain", nodeName="n1")
    monkeypatch.setattr(world.kernel.authority, "authorize", nothing)
    await ask(vault, "vault")
    for pod, audiences in ((vault, ["other"]), (vault, []), (plain, []), (plain, ["vault"])):
        assert "not found in pod spec volume" in (await world.refused(ask(pod, *audiences))).message
    assert "0 or 1 audiences" in (await world.refused(ask(vault, "vault", "other"))).message
