"""Access and token reviews: questions about authorization and authentication, answered as objects."""

from __future__ import annotations

import msgspec

from bareboat.auth.authenticators import AuthenticatorChain
from bareboat.auth.authority import Authority
from bareboat.contracts.auth import Attributes, Credentials, Decision, UserInfo
from bareboat.contracts.selection import reviewed
from bareboat.models import authentication_v1, authorization_v1
from bareboat.models.status import BadRequest, Unauthorized


def user_of(spec: authorization_v1.SubjectAccessReviewSpec) -> UserInfo:
    extra = {k: tuple(v) for k, v in spec.extra.items()}
    return UserInfo(name=spec.user, uid=spec.uid, groups=tuple(spec.groups), extra=extra)


async def review_access(
    authority: Authority,
    user: UserInfo,
    spec: authorization_v1.SelfSubjectAccessReviewSpec | authorization_v1.SubjectAccessReviewSpec,
) -> authorization_v1.SubjectAccessReviewStatus:
    """Raises BadRequest when the question names neither or both of a resource and a path."""
    if (spec.resourceAttributes is None) == (spec.nonResourceAttributes is None):
        raise BadRequest("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    decision: Decision = await authority.authorize(_attributes(user, spec))
    allowed, denied = decision.verdict == "Allow", decision.verdict == "Deny"
    return authorization_v1.SubjectAccessReviewStatus(allowed=allowed, denied=denied, reason=decision.reason)


def _attributes(
    user: UserInfo, spec: authorization_v1.SelfSubjectAccessReviewSpec | authorization_v1.SubjectAccessReviewSpec
) -> Attributes:
    asked = spec.resourceAttributes
    if asked is not None:
        return Attributes(
            user=user,
            verb=asked.verb,
            group=asked.group,
            version=asked.version,
            resource=asked.resource,
            subresource=asked.subresource,
            namespace=asked.namespace,
            name=asked.name,
            fields=reviewed(asked.fieldSelector, labels=False),
            labels=reviewed(asked.labelSelector, labels=True),
        )
    path = spec.nonResourceAttributes
    assert path is not None
    return Attributes(user=user, verb=path.verb, path=path.path)


def review_rules(authority: Authority, user: UserInfo, namespace: str) -> authorization_v1.SubjectRulesReviewStatus:
    """What ``user`` may do in ``namespace``, as far as the authorizers can list it."""
    (resources, paths, incomplete), silent = authority.rules_for(user, namespace)
    return authorization_v1.SubjectRulesReviewStatus(
        resourceRules=msgspec.convert(resources, list[authorization_v1.ResourceRule]),
        nonResourceRules=msgspec.convert(paths, list[authorization_v1.NonResourceRule]),
        incomplete=incomplete,
        evaluationError=", ".join(f"{name} authorizer does not support user rule resolution" for name in silent),
    )


async def review_token(chain: AuthenticatorChain, spec: authentication_v1.TokenReviewSpec) -> authentication_v1.TokenReviewStatus:
    """``audiences`` of the answer are those of the asked ones (none asked: the API server's own) that the token is meant for."""
    try:
        found = await chain.identify(Credentials(token=spec.token, audiences=tuple(spec.audiences)))
    except Unauthorized:
        return authentication_v1.TokenReviewStatus(error="invalid bearer token")
    return authentication_v1.TokenReviewStatus(authenticated=True, user=shown(found.user), audiences=list(found.audiences))


def shown(user: UserInfo) -> authentication_v1.UserInfo:
    extra = {k: list(v) for k, v in user.extra.items()}
    return authentication_v1.UserInfo(username=user.name, uid=user.uid, groups=list(user.groups), extra=extra)
