"""Acting as somebody else: every part of the other's identity must be allowed."""

import pytest

from bareboat.auth.authority import AlwaysAllow, Authority
from bareboat.auth.impersonation import impersonated
from bareboat.contracts.auth import ALLOW, Authorizer, Decision, UserInfo
from bareboat.models.status import BadRequest, Forbidden

EVE = UserInfo(name="eve", groups=("system:authenticated",))


class May(Authorizer):
    """Allows (resource, name) pairs."""

    name = "may"

    def __init__(self, *pairs):
        self.pairs = pairs

    async def authorize(self, asked):
        assert asked.verb == "impersonate"
        what = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        where = f"{asked.namespace}/{asked.name}" if asked.namespace else asked.name
        return ALLOW if (what, where) in self.pairs else Decision("NoOpinion")


async def act(headers, *allowed):
    return await impersonated(EVE, headers, Authority([May(*allowed)]))


async def test_a_user_with_groups_uid_and_extra():
    headers = [
        ("impersonate-user", "ann"),
        ("impersonate-group", "dev"),
        ("impersonate-uid", "7"),
        ("impersonate-extra-example.com%2fteam", "a"),
    ]
    allowed = [("users", "ann"), ("groups", "dev"), ("uids", "7"), ("userextras/example.com/team", "a")]
    found = await act(headers, *allowed)
    assert found == UserInfo(name="ann", uid="7", groups=("dev", "system:authenticated"), extra={"example.com/team": ("a",)})
    for missing in allowed:
        with pytest.raises(Forbidden):
            await act(headers, *(pair for pair in allowed if pair != missing))


async def test_the_administrators_group_takes_a_right_of_its_own():
    with pytest.raises(Forbidden) as caught:
        await act([("impersonate-user", "ann"), ("impersonate-group", "system:masters")], ("users", "ann"), ("groups", "dev"))
    assert caught.value.message == (
        'groups "system:masters" is forbidden: User "eve" cannot impersonate resource "groups" in API group "" at the cluster scope'
    )


async def test_every_group_is_checked():
    headers = [("impersonate-user", "ann"), ("impersonate-group", "dev"), ("impersonate-group", "system:masters")]
    with pytest.raises(Forbidden):
        await act(headers, ("users", "ann"), ("groups", "dev"))


async def test_an_account_is_no_user():
    headers = [("impersonate-user", "system:serviceaccount:kube-system:strong")]
    with pytest.raises(Forbidden):
        await act(headers, ("users", "system:serviceaccount:kube-system:strong"))
    found = await act(headers, ("serviceaccounts", "kube-system/strong"))
    assert found.groups == ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")


async def test_a_node_is_a_user_whose_group_has_to_be_allowed():
    headers = [("impersonate-user", "system:node:n1"), ("impersonate-group", "system:nodes")]
    with pytest.raises(Forbidden):
        await act(headers, ("users", "system:node:n1"))


async def test_parts_without_a_user():
    for name in ("impersonate-group", "impersonate-uid", "impersonate-extra-x"):
        with pytest.raises(BadRequest):
            await impersonated(EVE, [(name, "x")], Authority([AlwaysAllow()]))


async def test_nobody_is_not_authenticated():
    found = await act([("impersonate-user", "system:anonymous")], ("users", "system:anonymous"))
    assert found.groups == ("system:unauthenticated",)
