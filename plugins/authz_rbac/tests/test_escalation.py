"""Nobody gives rights that they do not have."""

import pytest

from bareboat.auth.authority import Authority
from bareboat.contracts.auth import UserInfo
from bareboat.models import rbac_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import Forbidden, NotFound
from bareboat.testing.kernel import Kernel
from bareboat_authz_rbac.plugin import bareboat_admission, bareboat_authorizers

pytestmark = pytest.mark.virtual_time
GROUP = "rbac.authorization.k8s.io"
READ_PODS = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
READ_SECRETS = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}
EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
RBAC = {
    "verbs": ["create", "update", "patch", "get"],
    "apiGroups": [GROUP],
    "resources": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
}


class World:
    def __init__(self):
        def plugins(reader, host):
            self.authority = Authority(bareboat_authorizers(reader))
            return bareboat_admission(reader, host)

        self.kernel = Kernel(admission=plugins)
        self.kernel.service.authority = self.kernel.host._authority = self.authority
        self.eve = self.kernel.client_for(UserInfo(name="eve", groups=("system:authenticated",)))

    async def put(self, cls, client=None, **tree):
        return await (client or self.kernel.client).create(from_tree(cls, tree))

    async def grant(self, *rules, user="eve"):
        """A ClusterRole of the rules, bound to the user."""
        name = f"of-{user}"
        await self.put(rbac_v1.ClusterRole, metadata={"name": name}, rules=[RBAC, *rules])
        await self.put(
            rbac_v1.ClusterRoleBinding,
            metadata={"name": name},
            roleRef={"kind": "ClusterRole", "name": name},
            subjects=[{"kind": "User", "name": user}],
        )

    async def role(self, *rules, name="new", client=None, **more):
        return await self.put(
            rbac_v1.ClusterRole, client or self.eve, metadata={"name": name, **more.pop("metadata", {})}, rules=list(rules), **more
        )

    async def bind(self, role, name="b", kind="ClusterRole", user="eve"):
        return await self.put(
            rbac_v1.RoleBinding,
            self.eve,
            metadata={"name": name, "namespace": "default"},
            roleRef={"kind": kind, "name": role},
            subjects=[{"kind": "User", "name": user}],
        )


@pytest.fixture
async def world():
    found = World()
    await found.kernel.start()
    yield found
    await found.kernel.stop()


async def test_a_role_holds_only_what_its_writer_holds(world):
    await world.grant(READ_PODS)
    await world.role(READ_PODS)
    await world.role({**READ_PODS, "resourceNames": ["a"]}, name="narrower")
    with pytest.raises(Forbidden) as caught:
        await world.role(READ_PODS, READ_SECRETS, name="wider")
    assert caught.value.message == (
        'clusterroles.rbac.authorization.k8s.io "wider" is forbidden: user "eve" (groups=["system:authenticated"]) is attempting to grant '
        'RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )
    for rule in (
        EVERYTHING,
        {**READ_PODS, "resources": ["pods/exec"]},
        {**READ_PODS, "apiGroups": ["*"]},
        {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
    ):
        with pytest.raises(Forbidden):
            await world.role(rule, name="wider")


async def test_an_update_is_checked_like_a_create(world):
    await world.grant(READ_PODS)
    role = await world.role(READ_PODS)
    with pytest.raises(Forbidden):
        await world.eve.patch(rbac_v1.ClusterRole, "new", {"rules": [EVERYTHING]})
    role.metadata.labels = {"a": "b"}
    await world.eve.update(role)


async def test_escalate_allows_it(world):
    await world.grant({"verbs": ["escalate"], "apiGroups": [GROUP], "resources": ["clusterroles"], "resourceNames": ["chosen"]})
    await world.role(EVERYTHING, name="chosen")
    with pytest.raises(Forbidden):
        await world.role(EVERYTHING, name="another")


async def test_a_binding_refers_only_to_what_its_writer_holds(world):
    await world.grant(READ_PODS)
    await world.role(READ_PODS, name="reader", client=world.kernel.client)
    await world.role(EVERYTHING, name="all", client=world.kernel.client)
    await world.bind("reader")
    with pytest.raises(Forbidden):
        await world.bind("all", name="c")
    with pytest.raises(NotFound):
        await world.bind("none", name="d")


async def test_bind_allows_it_for_that_role(world):
    await world.grant({"verbs": ["bind"], "apiGroups": [GROUP], "resources": ["clusterroles"], "resourceNames": ["all"]})
    for name in ("all", "too"):
        await world.role(EVERYTHING, name=name, client=world.kernel.client)
    await world.bind("all", user="root")
    with pytest.raises(Forbidden):
        await world.bind("too", name="c", user="root")


async def test_subjects_are_added_only_by_who_holds_the_role(world):
    await world.grant(READ_PODS)
    await world.role(EVERYTHING, name="all", client=world.kernel.client)
    binding = {
        "metadata": {"name": "b", "namespace": "default"},
        "roleRef": {"kind": "ClusterRole", "name": "all"},
        "subjects": [{"kind": "User", "name": "root"}],
    }
    await world.put(rbac_v1.RoleBinding, **binding)
    with pytest.raises(Forbidden):
        await world.eve.patch(rbac_v1.RoleBinding, "b", {"subjects": [{"kind": "User", "name": "eve", "apiGroup": GROUP}]}, "default")


async def test_an_aggregated_role_is_made_only_by_who_holds_everything(world):
    await world.grant(READ_PODS)
    rule = {"clusterRoleSelectors": [{"matchLabels": {"part": "x"}}]}
    with pytest.raises(Forbidden) as caught:
        await world.role(name="sum", aggregationRule=rule)
    assert caught.value.message.endswith("must have cluster-admin privileges to use the aggregationRule")


async def test_a_part_of_an_aggregated_role_is_checked_too(world):
    await world.grant(READ_PODS)
    rule = {"clusterRoleSelectors": [{"matchLabels": {"part": "x"}}]}
    await world.role(name="sum", aggregationRule=rule, client=world.kernel.client)
    with pytest.raises(Forbidden):
        await world.role(READ_SECRETS, name="part", metadata={"labels": {"part": "x"}})
    await world.role(READ_SECRETS, name="part", metadata={"labels": {"part": "x"}}, client=world.kernel.client)
    with pytest.raises(Forbidden):
        await world.bind("sum")
