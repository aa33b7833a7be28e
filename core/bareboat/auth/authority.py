"""The authorizers as one: the first that allows or denies decides; if none does, the answer is no."""

from __future__ import annotations

from collections.abc import Sequence

from bareboat.contracts.auth import ALLOW, Attributes, Authorizer, Decision, Rules, UserInfo

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

    def stamp(self, user: UserInfo) -> object:
        """See contracts.auth.Authorizer.stamp: of all together."""
        if MASTERS in user.groups:
            return MASTERS
        stamps = tuple([a.stamp(user) for a in self.authorizers])
        return None if None in stamps else stamps

    def rules_for(self, user: UserInfo, namespace: str) -> tuple[Rules, list[str]]:
        """Of all authorizers together, and who cannot tell all; see contracts.auth.Authorizer.rules_for."""
        every = ["*"]
        if MASTERS in user.groups:
            return ([{"verbs": every, "apiGroups": every, "resources": every}], [{"verbs": every, "nonResourceURLs": every}], False), []
        resources: list[dict[str, list[str]]] = []
        paths: list[dict[str, list[str]]] = []
        silent = []
        for authorizer in self.authorizers:
            some, others, partly = authorizer.rules_for(user, namespace)
            resources += some
            paths += others
            silent += [authorizer.name] if partly else []
        return (resources, paths, bool(silent)), silent


class AlwaysAllow(Authorizer):
    """For tests: everybody may do everything."""

    name = "always-allow"

    async def authorize(self, attributes: Attributes) -> Decision:
        del attributes
        return ALLOW

    def stamp(self, user: UserInfo) -> object:
        del user
        return 0

    def rules_for(self, user: UserInfo, namespace: str) -> Rules:
        del user, namespace
        every = ["*"]
        return [{"verbs": every, "apiGroups": every, "resources": every}], [{"verbs": every, "nonResourceURLs": every}], False


class AlwaysDeny(Authorizer):
    """Nobody may do anything, but ``system:masters``; last in the order it changes nothing."""

    name = "always-deny"

    async def authorize(self, attributes: Attributes) -> Decision:
        del attributes
        return Decision("NoOpinion", "Everything is forbidden.")

    def stamp(self, user: UserInfo) -> object:
        del user
        return 0

    def rules_for(self, user: UserInfo, namespace: str) -> Rules:
        del user, namespace
        return [], [], False
