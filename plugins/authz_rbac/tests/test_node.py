"""What an agent may touch: what belongs to its node, and nothing of another."""

import asyncio

import pytest

from bareboat.contracts.auth import Attributes, Required, UserInfo
from bareboat.models import core_v1, resource_v1, storage_v1
from bareboat.models.codec import from_tree
from bareboat.testing.kernel import Kernel
from bareboat_authz_rbac import graph
from bareboat_authz_rbac.plugin import bareboat_authorizers

pytestmark = pytest.mark.virtual_time


class Node:
    """Asks as the agent of n1."""

    def __init__(self, kernel):
        self.kernel = kernel
        _, self.authorizer = bareboat_authorizers(kernel.reader)

    async def may(self, verb, resource, name="", namespace="", *, user="system:node:n1", groups=("system:nodes",), fields=(), **more):
        group, _, plural = resource.rpartition("/")
        asked = Attributes(
            user=UserInfo(name=user, groups=groups), verb=verb, group=group, resource=plural, name=name, namespace=namespace,
            fields=tuple(Required(key, "In", (value,)) for key, value in fields), **more,
        )  # fmt: skip
        return (await self.authorizer.authorize(asked)).verdict == "Allow"

    async def pod(self, name, node, *, annotations=None, **spec):
        metadata = {"name": name, "namespace": "default", "annotations": annotations or {}}
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "host"}], **spec}
        return await self.kernel.client.create(from_tree(core_v1.Pod, {"metadata": metadata, "spec": spec}))

    async def put(self, cls, **tree):
        return await self.kernel.client.create(from_tree(cls, tree))


@pytest.fixture
async def node():
    kernel = await Kernel().start()
    yield Node(kernel)
    await kernel.stop()


def secret(name):
    return [{"name": "v", "secret": {"secretName": name}}]


async def test_secrets_of_its_own_pods_only(node):
    await node.pod("a", "n1", volumes=secret("s-a"))
    await node.pod("b", "n2", volumes=secret("s-b"))
    for verb in ("get", "list", "watch"):
        assert await node.may(verb, "secrets", "s-a", "default")
        assert not await node.may(verb, "secrets", "s-b", "default")
        assert not await node.may(verb, "secrets", "", "default")
    assert not await node.may("get", "secrets", "s-a", "kube-system")
    assert not await node.may("update", "secrets", "s-a", "default")
    assert not await node.may("get", "secrets", "s-a", "default", user="mallory")
    assert not await node.may("get", "secrets", "s-a", "default", groups=())


async def test_every_way_a_pod_refers_to_something(node):
    env = [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s-env", "key": "k"}}}]
    env_from = [{"secretRef": {"name": "s-from"}}, {"configMapRef": {"name": "m-from"}}]
    projected = {"sources": [{"secret": {"name": "s-proj"}}, {"configMap": {"name": "m-proj"}}]}
    volumes = [
        {"name": "p", "projected": projected},
        {"name": "m", "configMap": {"name": "m-vol"}},
        {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
        {
            "name": "e",
            "ephemeral": {
                "volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
            },
        },
        {"name": "d", "csi": {"driver": "x.y", "nodePublishSecretRef": {"name": "s-csi"}}},
    ]
    containers = [{"name": "c", "image": "host", "env": env, "envFrom": env_from}]
    await node.pod("a", "n1", volumes=volumes, containers=containers, imagePullSecrets=[{"name": "s-pull"}])
    for name in ("s-env", "s-from", "s-proj", "s-csi", "s-pull"):
        assert await node.may("get", "secrets", name, "default"), name
    for name in ("m-from", "m-proj", "m-vol"):
        assert await node.may("get", "configmaps", name, "default"), name
    for name in ("claim", "a-e"):
        assert await node.may("get", "persistentvolumeclaims", name, "default")
        assert await node.may("patch", "persistentvolumeclaims", name, "default", subresource="status")
        assert not await node.may("patch", "persistentvolumeclaims", name, "default")
    assert not await node.may("patch", "persistentvolumeclaims", "other", "default", subresource="status")


async def test_a_right_ends_with_the_last_pod_that_gave_it(node):
    for name in ("a", "b"):
        await node.pod(name, "n1", volumes=secret("s"))
    await node.kernel.client.delete(core_v1.Pod, "a", "default", grace_seconds=0)
    assert await node.may("get", "secrets", "s", "default")
    await node.kernel.client.delete(core_v1.Pod, "b", "default", grace_seconds=0)
    assert not await node.may("get", "secrets", "s", "default")


async def test_pods_that_changed_unasked_are_read_before_the_answer_however_many_they_are(node, monkeypatch):
    monkeypatch.setattr(graph, "AT_ONCE", 3)
    monkeypatch.setattr(graph, "MOST", 8)
    for number in range(20):
        await node.pod(f"p{number}", "n1", volumes=secret(f"s{number}"))
        assert len(node.authorizer._graph._changed) <= 8
    for number in range(0, 20, 2):
        await node.kernel.client.delete(core_v1.Pod, f"p{number}", "default", grace_seconds=0)
    allowed = [await node.may("get", "secrets", f"s{number}", "default") for number in range(20)]
    assert allowed == [number % 2 == 1 for number in range(20)]


async def test_pods_that_were_there_before_are_read_in_steps_when_the_first_node_asks(node, monkeypatch):
    monkeypatch.setattr(graph, "AT_ONCE", 2)
    monkeypatch.setattr(graph, "MOST", 1)
    for number in range(10):
        await node.pod(f"p{number}", "n1", volumes=secret(f"s{number}"))
    other = graph.Graph(node.authorizer._graph._reader)
    assert len(other._changed) == 10
    first, second = asyncio.ensure_future(other.settled()), asyncio.ensure_future(other.settled())
    await asyncio.sleep(0)
    assert len(other._changed) == 8
    await node.pod("later", "n1")
    await asyncio.gather(first, second)
    assert [other.uses("n1", "secrets", "default", f"s{number}") for number in range(10)] == [True] * 10
    assert other.node_of_pod("default", "later") == "n1"


async def test_a_mirror_pod_gives_its_node_nothing(node):
    await node.pod("m", "n1", annotations={"kubernetes.io/config.mirror": "x"}, volumes=secret("s"))
    assert not await node.may("get", "secrets", "s", "default")
    assert await node.may("get", "pods", "m", "default")


async def test_pods_by_the_node_selector_only(node):
    await node.pod("a", "n1")
    await node.pod("b", "n2")
    for verb in ("list", "watch"):
        assert await node.may(verb, "pods", fields=[("spec.nodeName", "n1")])
        assert not await node.may(verb, "pods", fields=[("spec.nodeName", "n2")])
        assert not await node.may(verb, "pods")
    assert await node.may("get", "pods", "a", "default")
    assert not await node.may("get", "pods", "b", "default")
    assert await node.may("patch", "pods", "a", "default", subresource="status")
    assert not await node.may("patch", "pods", "b", "default", subresource="status")
    assert not await node.may("delete", "pods", "b", "default")
    assert not await node.may("create", "pods", "a", "default", subresource="exec")
    assert not await node.may("deletecollection", "pods", fields=[("spec.nodeName", "n1")])


async def test_tokens_of_accounts_that_its_pods_run_as(node):
    await node.pod("a", "n1", serviceAccountName="mine")
    await node.pod("b", "n2", serviceAccountName="other")
    assert await node.may("create", "serviceaccounts", "mine", "default", subresource="token")
    assert not await node.may("create", "serviceaccounts", "other", "default", subresource="token")
    assert not await node.may("create", "serviceaccounts", "mine", "kube-system", subresource="token")
    assert not await node.may("delete", "serviceaccounts", "mine", "default")


async def test_volumes_of_claims_that_its_pods_use_and_their_secrets(node):
    await node.pod("a", "n1", volumes=[{"name": "c", "persistentVolumeClaim": {"claimName": "claim"}}])
    for name, claim in (("mine", "claim"), ("other", "elsewhere")):
        csi = {"driver": "x.y", "volumeHandle": name, "nodeStageSecretRef": {"name": f"s-{name}", "namespace": "vault"}}
        csi["controllerPublishSecretRef"] = {"name": f"controller-{name}", "namespace": "vault"}
        spec = {
            "claimRef": {"namespace": "default", "name": claim},
            "csi": csi,
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
        }
        await node.put(core_v1.PersistentVolume, metadata={"name": name}, spec=spec)
    assert await node.may("get", "persistentvolumes", "mine")
    assert await node.may("get", "secrets", "s-mine", "vault")
    assert not await node.may("get", "secrets", "controller-mine", "vault")
    assert not await node.may("get", "persistentvolumes", "other")
    assert not await node.may("get", "secrets", "s-other", "vault")
    assert not await node.may("list", "persistentvolumes")


async def test_its_own_node_lease_csinode_slices_and_attachments(node):
    assert await node.may("create", "nodes")
    assert await node.may("patch", "nodes", "n1", subresource="status")
    assert not await node.may("patch", "nodes", "n2", subresource="status")
    assert not await node.may("list", "nodes")
    assert not await node.may("delete", "nodes", "n1")
    assert await node.may("update", "coordination.k8s.io/leases", "n1", "kube-node-lease")
    assert not await node.may("update", "coordination.k8s.io/leases", "n2", "kube-node-lease")
    assert not await node.may("update", "coordination.k8s.io/leases", "n1", "default")
    assert await node.may("update", "storage.k8s.io/csinodes", "n1")
    assert not await node.may("update", "storage.k8s.io/csinodes", "n2")
    for name in ("n1", "n2"):
        spec = {"nodeName": name, "driver": "d.x", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}}
        await node.put(resource_v1.ResourceSlice, metadata={"name": f"slice-{name}"}, spec=spec)
        await node.put(
            storage_v1.VolumeAttachment,
            metadata={"name": f"att-{name}"},
            spec={"attacher": "x", "nodeName": name, "source": {"persistentVolumeName": "v"}},
        )
    assert await node.may("update", "resource.k8s.io/resourceslices", "slice-n1")
    assert not await node.may("update", "resource.k8s.io/resourceslices", "slice-n2")
    assert await node.may("list", "resource.k8s.io/resourceslices", fields=[("spec.nodeName", "n1")])
    assert not await node.may("list", "resource.k8s.io/resourceslices")
    assert await node.may("get", "storage.k8s.io/volumeattachments", "att-n1")
    assert not await node.may("get", "storage.k8s.io/volumeattachments", "att-n2")


async def test_nothing_that_no_node_needs(node):
    for verb, resource in (
        ("list", "namespaces"),
        ("delete", "namespaces"),
        ("get", "rbac.authorization.k8s.io/clusterroles"),
        ("approve", "certificates.k8s.io/signers"),
    ):
        assert not await node.may(verb, resource, "x")
    assert await node.may("create", "certificates.k8s.io/certificatesigningrequests")
    assert not await node.may("update", "certificates.k8s.io/certificatesigningrequests", "x", subresource="approval")
    assert node.authorizer.rules_for(UserInfo(name="system:node:n1", groups=("system:nodes",)), "default") == ([], [], True)
    assert node.authorizer.rules_for(UserInfo(name="jane"), "default") == ([], [], False)
