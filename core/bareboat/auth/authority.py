"""The authorizers as one: the first that allows or denies decides; if none does, the answer is no."""

from __future__ import annotations

from collections.abc import Sequence

from bareboat.contracts.auth import ALLOW, Attributes, Authorizer, Decision, UserInfo

MASTERS = "system:masters"


class Authority:
    """``system:masters`` may do everything whatever is configured, so that nobody can lock themselves out."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self.authorizers = list(authorizers)

    async def authorize(self, attributes: Attributes) -> Decision:
        if MASTERS in attributes.user.groups:
            return ALLOW
        reasons = []
        for authorizer in self.authorizers:
            decision = await authorizer.authorize(attributes)
            if decision.verdict != "NoOpinion":
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision("NoOpinion", "; ".join(reasons))

    def rules_for(self, user: UserInfo, namespace: str) -> tuple[list[dict[str, list[str]]], list[dict[str, list[str]]], bool]:
        """Of all authorizers together; see contracts.auth.Authorizer.rules_for."""
        if MASTERS in user.groups:
            every = ["*"]
            return [{"verbs": every, "apiGroups": every, "resources": every}], [{"verbs": every, "nonResourceURLs": every}], False
        resources: list[dict[str, list[str]]] = []
        paths: list[dict[str, list[str]]] = []
        incomplete = False
        for authorizer in self.authorizers:
            some, others, partly = authorizer.rules_for(user, namespace)
            resources += some
            paths += others
            incomplete = incomplete or partly
        return resources, paths, incomplete
