"""What was decided once is decided again when something may have changed, and not before."""

from __future__ import annotations

from bareboat.api.decisions import MOST, Decisions
from bareboat.api.request import parse
from bareboat.contracts.auth import Attributes, Decision, UserInfo

ANN, BEN = UserInfo(name="ann"), UserInfo(name="ben")
PODS, MAPS = (parse("POST", f"/api/v1/namespaces/default/{plural}", {}) for plural in ("pods", "configmaps"))


class Rules:
    """Lets in who is in ``allowed``, and counts the questions."""

    def __init__(self) -> None:
        self.allowed = {"ann"}
        self.changes: int | None = 0
        self.asked = 0

    async def authorize(self, attributes: Attributes) -> Decision:
        self.asked += 1
        return Decision("Allow" if attributes.user.name in self.allowed else "NoOpinion", f"question {self.asked}")

    def stamp(self, user: UserInfo) -> object:
        del user
        return self.changes


async def test_the_same_caller_and_path_are_decided_on_once():
    rules = Rules()
    decisions = Decisions(rules)
    assert [(await decisions.of(ANN, PODS)).reason for _ in range(3)] == ["question 1"] * 3
    assert (await decisions.of(ANN, MAPS)).reason == "question 2"


async def test_another_caller_is_never_let_in_for_the_first():
    rules = Rules()
    decisions = Decisions(rules)
    assert (await decisions.of(ANN, PODS)).verdict == "Allow"
    assert (await decisions.of(BEN, PODS)).verdict == "NoOpinion"
    assert (await decisions.of(UserInfo(name="ann", groups=("guests",)), PODS)).reason == "question 3"


async def test_a_changed_rule_acts_on_the_next_request():
    rules = Rules()
    decisions = Decisions(rules)
    assert (await decisions.of(ANN, PODS)).verdict == "Allow"
    rules.allowed.clear()
    rules.changes = 1
    assert (await decisions.of(ANN, PODS)).verdict == "NoOpinion"


async def test_refusals_and_what_cannot_be_told_are_decided_on_each_time():
    rules = Rules()
    decisions = Decisions(rules)
    for _ in range(2):
        await decisions.of(BEN, PODS)
    rules.changes = None
    for _ in range(2):
        await decisions.of(ANN, PODS)
    assert rules.asked == 4


async def test_other_verbs_are_decided_on_each_time():
    rules = Rules()
    decisions, info = Decisions(rules), parse("GET", "/api/v1/namespaces/default/pods/a", {})
    for _ in range(2):
        await decisions.of(ANN, info)
    assert rules.asked == 2


async def test_only_so_many_are_kept():
    decisions = Decisions(Rules())
    users = [UserInfo(name="ann") for _ in range(MOST + 10)]
    for user in users:
        await decisions.of(user, PODS)
    assert len(decisions._known) <= MOST
