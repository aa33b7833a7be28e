"""Who may do what, on roles and bindings that change."""

import pytest

from bareboat.contracts.auth import Attributes, UserInfo
from bareboat.models import rbac_v1
from bareboat.models.codec import from_tree
from bareboat.models.scheme import Scheme
from bareboat.testing.kernel import Kernel
from bareboat_authz_rbac.plugin import bareboat_bootstrap_objects
from bareboat_authz_rbac.rbac import RbacAuthorizer

pytestmark = pytest.mark.virtual_time
GROUP = "rbac.authorization.k8s.io"


@pytest.fixture
async def kernel():
    kernel = await Kernel().start()
    yield kernel
    await kernel.stop()


async def put(kernel, cls, **tree):
    return await kernel.client.create(from_tree(cls, tree))


async def may(authorizer, user, verb, resource="", *, group="", namespace="", name="", path="", subresource="", groups=()):
    asked = Attributes(
        user=UserInfo(name=user, groups=tuple(groups)), verb=verb, group=group, resource=resource, subresource=subresource,
        namespace=namespace, name=name, path=path,
    )  # fmt: skip
    return (await authorizer.authorize(asked)).verdict == "Allow"


def binding(name, role, *subjects, kind="ClusterRole", **metadata):
    found = [{"kind": k, "name": n, **({"namespace": "default"} if k == "ServiceAccount" else {})} for k, n in subjects]
    return {"metadata": {"name": name, **metadata}, "roleRef": {"kind": kind, "name": role}, "subjects": found}


async def test_a_role_counts_only_where_it_is_bound(kernel):
    rbac = RbacAuthorizer(kernel.reader)
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "pods/log"]}
    await put(kernel, rbac_v1.Role, metadata={"name": "r", "namespace": "default"}, rules=[rule])
    await put(kernel, rbac_v1.RoleBinding, **binding("b", "r", ("User", "eve"), kind="Role", namespace="default"))
    assert await may(rbac, "eve", "get", "pods", namespace="default")
    assert await may(rbac, "eve", "get", "pods", subresource="log", namespace="default")
    assert not await may(rbac, "eve", "get", "pods", subresource="exec", namespace="default")
    assert not await may(rbac, "eve", "get", "pods", namespace="kube-system")
    assert not await may(rbac, "eve", "list", "pods", namespace="default")
    assert not await may(rbac, "bob", "get", "pods", namespace="default")


async def test_names_groups_accounts_and_paths(kernel):
    rbac = RbacAuthorizer(kernel.reader)
    rules = [
        {"verbs": ["update"], "apiGroups": ["apps"], "resources": ["*"], "resourceNames": ["one"]},
        {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/*"]},
    ]
    await put(kernel, rbac_v1.ClusterRole, metadata={"name": "c"}, rules=rules)
    await put(kernel, rbac_v1.ClusterRoleBinding, **binding("b", "c", ("Group", "ops"), ("ServiceAccount", "bot")))
    assert await may(rbac, "x", "update", "deployments", group="apps", name="one", namespace="any", groups=["ops"])
    assert not await may(rbac, "x", "update", "deployments", group="apps", name="two", namespace="any", groups=["ops"])
    assert await may(rbac, "system:serviceaccount:default:bot", "get", path="/logs/a")
    assert not await may(rbac, "system:serviceaccount:other:bot", "get", path="/logs/a")


async def test_a_revoked_binding_acts_at_once(kernel):
    rbac = RbacAuthorizer(kernel.reader)
    await put(kernel, rbac_v1.ClusterRole, metadata={"name": "c"}, rules=[{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}])
    await put(kernel, rbac_v1.ClusterRoleBinding, **binding("b", "c", ("User", "eve")))
    assert await may(rbac, "eve", "delete", "nodes")
    await kernel.client.delete(rbac_v1.ClusterRoleBinding, "b")
    assert not await may(rbac, "eve", "delete", "nodes")


async def test_the_bootstrap_roles_aggregate(kernel):
    scheme = Scheme.builtin()
    for tree in bareboat_bootstrap_objects():
        if tree["metadata"].get("namespace", "default") in ("default", "kube-system"):
            await kernel.client.create(from_tree(scheme.by_kind(tree["apiVersion"], tree["kind"]).type, tree))
    rbac = RbacAuthorizer(kernel.reader)
    await put(kernel, rbac_v1.RoleBinding, **binding("b", "admin", ("User", "ann"), namespace="default"))
    assert await may(rbac, "ann", "create", "deployments", group="apps", namespace="default")
    assert await may(rbac, "ann", "get", "secrets", namespace="default")
    assert not await may(rbac, "ann", "get", "nodes")


async def test_a_decision_says_by_which_binding(kernel):
    rbac = RbacAuthorizer(kernel.reader)
    await put(kernel, rbac_v1.ClusterRole, metadata={"name": "c"}, rules=[{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])
    await put(kernel, rbac_v1.RoleBinding, **binding("b", "c", ("ServiceAccount", "bot"), namespace="default"))
    asked = Attributes(user=UserInfo(name="system:serviceaccount:default:bot"), verb="get", resource="pods", namespace="default")
    expected = 'RBAC: allowed by RoleBinding "b/default" of ClusterRole "c" to ServiceAccount "bot/default"'
    assert (await rbac.authorize(asked)).reason == expected


async def test_a_grant_stays_while_another_binding_gives_it(kernel):
    rbac = RbacAuthorizer(kernel.reader)
    await put(kernel, rbac_v1.ClusterRole, metadata={"name": "c"}, rules=[{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])
    for name in ("one", "two"):
        await put(kernel, rbac_v1.ClusterRoleBinding, **binding(name, "c", ("User", "eve"), ("User", "eve")))
    await kernel.client.delete(rbac_v1.ClusterRoleBinding, "one")
    assert await may(rbac, "eve", "get", "pods")
    await kernel.client.delete(rbac_v1.ClusterRoleBinding, "two")
    assert not await may(rbac, "eve", "get", "pods")


async def test_rules_of_a_user_are_listed_for_one_namespace(kernel):
    rbac = RbacAuthorizer(kernel.reader)
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}]
    await put(kernel, rbac_v1.ClusterRole, metadata={"name": "c"}, rules=[*rules, {"verbs": ["get"], "nonResourceURLs": ["/x"]}])
    await put(kernel, rbac_v1.RoleBinding, **binding("b", "c", ("User", "eve"), namespace="default"))
    eve = UserInfo(name="eve")
    assert rbac.rules_for(eve, "default") == (rules, [{"verbs": ["get"], "nonResourceURLs": ["/x"]}], False)
    assert rbac.rules_for(eve, "kube-system") == ([], [], False)
