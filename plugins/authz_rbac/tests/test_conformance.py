"""Both authorizers keep the rules of the contract."""

from bareboat.contracts.auth import Attributes, UserInfo
from bareboat.models import core_v1, meta_v1, rbac_v1
from bareboat.testing.access_suite import AuthorizerSuite
from bareboat_authz_rbac.node import NodeAuthorizer
from bareboat_authz_rbac.rbac import RbacAuthorizer


class TestRbac(AuthorizerSuite):
    allowed = Attributes(user=UserInfo(name="jane"), verb="get", resource="pods", namespace="default", name="x")

    def make(self, reader):
        return RbacAuthorizer(reader)

    async def prepare(self, kernel):
        rule = rbac_v1.PolicyRule(verbs=["get"], apiGroups=[""], resources=["pods"])
        subject = rbac_v1.Subject(kind="User", name="jane", apiGroup="rbac.authorization.k8s.io")
        meta = meta_v1.ObjectMeta(name="reader", namespace="default")
        await kernel.client.create(rbac_v1.Role(metadata=meta, rules=[rule]))
        reference = rbac_v1.RoleRef(apiGroup="rbac.authorization.k8s.io", kind="Role", name="reader")
        await kernel.client.create(rbac_v1.RoleBinding(metadata=meta, roleRef=reference, subjects=[subject]))


class TestNode(AuthorizerSuite):
    allowed = Attributes(
        user=UserInfo(name="system:node:n1", groups=("system:nodes",)), verb="get", resource="secrets", namespace="default", name="x"
    )

    def make(self, reader):
        return NodeAuthorizer(reader, [])

    async def prepare(self, kernel):
        volume = core_v1.Volume(name="v", secret=core_v1.SecretVolumeSource(secretName="x"))
        spec = core_v1.PodSpec(containers=[core_v1.Container(name="c", image="i")], volumes=[volume])
        made = await kernel.client.create(core_v1.Pod(metadata=meta_v1.ObjectMeta(name="p", namespace="default"), spec=spec))
        target = {"metadata": {"name": made.metadata.name}, "target": {"kind": "Node", "name": "n1"}}
        await kernel.client.post("/api/v1/namespaces/default/pods/p/binding", target)
