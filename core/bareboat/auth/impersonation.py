"""Acting as somebody else: the Impersonate-* headers, each allowed by the verb ``impersonate``."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from bareboat.auth.authority import Authority
from bareboat.contracts.auth import Attributes, UserInfo
from bareboat.models.status import BadRequest, Forbidden

_EXTRA = "impersonate-extra-"
Header = tuple[str, str]


async def impersonated(user: UserInfo, headers: Sequence[Header], authority: Authority) -> UserInfo:
    """The user that the request acts as. Raises Forbidden, BadRequest. ``headers`` are in lower case."""
    names = [v for k, v in headers if k == "impersonate-user" and v]
    groups = [v for k, v in headers if k == "impersonate-group"]
    uids = [v for k, v in headers if k == "impersonate-uid"]
    extra: dict[str, list[str]] = {}
    for key, value in headers:
        if key.startswith(_EXTRA):
            extra.setdefault(unquote(key.removeprefix(_EXTRA)), []).append(value)
    if not (names or groups or uids or extra):
        return user
    if not names:
        raise BadRequest("requested user impersonation without impersonating a user")
    name, given = names[0], list(groups)
    parts = name.split(":")
    if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]:
        await _check(user, authority, "serviceaccounts", parts[3], namespace=parts[2])
        given = groups or ["system:serviceaccounts", f"system:serviceaccounts:{parts[2]}"]  # the account's own need no further right
    else:
        await _check(user, authority, "users", name)
    for group in groups:
        await _check(user, authority, "groups", group)
    for uid in uids:
        await _check(user, authority, "uids", uid, group="authentication.k8s.io")
    for key, values in extra.items():
        for value in values:
            await _check(user, authority, "userextras", value, group="authentication.k8s.io", subresource=key)
    implied = "system:unauthenticated" if name == "system:anonymous" else "system:authenticated"
    if implied not in given:
        given.append(implied)
    return UserInfo(name=name, uid=uids[0] if uids else "", groups=tuple(given), extra={k: tuple(v) for k, v in extra.items()})


async def _check(
    user: UserInfo, authority: Authority, resource: str, name: str, *, group: str = "", subresource: str = "", namespace: str = ""
) -> None:
    attributes = Attributes(
        user=user, verb="impersonate", group=group, resource=resource, subresource=subresource, name=name, namespace=namespace
    )
    decision = await authority.authorize(attributes)
    if decision.verdict != "Allow":
        where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
        plural = f"{resource}.{group}" if group else resource
        raise Forbidden(
            f'{plural} "{name}" is forbidden: User "{user.name}" cannot impersonate resource "{resource}" in API group "{group}"{where}',
            details={"name": name, "kind": resource, **({"group": group} if group else {})},
        )
