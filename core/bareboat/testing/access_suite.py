"""The conformance suites of authenticators and authorizers: every rule of ``contracts.auth`` that holds whatever the policy is.

    class TestMyAuthorizer(AuthorizerSuite):
        def make(self, reader):
            return MyAuthorizer(reader)

        allowed = Attributes(user=UserInfo(name="jane"), verb="get", resource="pods", namespace="default")

``reader`` is that of a whole kernel in memory, whose ``client`` a test may fill with objects (``prepare``).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from bareboat.base.clock import SystemClock
from bareboat.contracts.auth import Attributes, Authenticated, Authenticator, Authorizer, Credentials, Decision, InvalidCredential, UserInfo
from bareboat.testing.kernel import Kernel

NOBODY = UserInfo(name="nobody-knows-me", groups=("system:authenticated",))
#: Seconds for one answer: it is asked for every request.
SLICE = 0.001


class _OverKernel:
    async def prepare(self, kernel: Kernel) -> None:
        """Objects that the one under test reads."""

    def make(self, reader: Any) -> Any:
        raise NotImplementedError("name what is tested: return MyAuthorizer(reader)")

    @pytest_asyncio.fixture
    async def kernel(self) -> AsyncIterator[Kernel]:
        made = await Kernel(clock=SystemClock()).start()
        await self.prepare(made)
        yield made
        await made.stop()

    @pytest.fixture
    def tested(self, kernel: Kernel) -> Any:
        return self.make(kernel.reader)


class AuthorizerSuite(_OverKernel):
    """``allowed``: something that it allows; None if it never does."""

    allowed: ClassVar[Attributes | None] = None
    group: ClassVar[str] = "bareboat_authorizers"

    def test_it_is_an_authorizer_with_a_name(self, tested: Any) -> None:
        assert isinstance(tested, Authorizer)
        assert tested.name

    async def test_it_decides_everything_that_can_be_asked(self, tested: Any) -> None:
        for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "escalate"):
            asked: tuple[dict[str, Any], ...] = (
                {"resource": "pods", "namespace": "default", "name": "x"},
                {"resource": "pods", "subresource": "exec", "namespace": "default"},
                {"resource": "boats", "group": "sea.dev"},
                {"path": "/metrics"},
            )
            for fields in asked:
                decision = await tested.authorize(Attributes(user=NOBODY, verb=verb, **fields))
                assert isinstance(decision, Decision), decision
                assert decision.verdict in ("Allow", "Deny", "NoOpinion")

    async def test_a_stranger_is_not_allowed_to_write(self, tested: Any) -> None:
        for who in (NOBODY, UserInfo(name="system:anonymous", groups=("system:unauthenticated",)), UserInfo(name="")):
            decision = await tested.authorize(Attributes(user=who, verb="delete", resource="secrets", namespace="kube-system", name="x"))
            assert decision.verdict != "Allow"

    async def test_it_allows_what_it_is_there_for(self, tested: Any) -> None:
        if self.allowed is not None:
            assert (await tested.authorize(self.allowed)).verdict == "Allow"
            elsewhere = msgspec.structs.replace(self.allowed, user=NOBODY)
            assert (await tested.authorize(elsewhere)).verdict != "Allow", "anybody is allowed it"

    async def test_names_are_compared_whole(self, tested: Any) -> None:
        if self.allowed is None:
            return
        for change in ({"verb": self.allowed.verb + "x"}, {"verb": self.allowed.verb[:-1]}, {"verb": self.allowed.verb.upper()}):
            assert (await tested.authorize(msgspec.structs.replace(self.allowed, **change))).verdict != "Allow", change

    async def test_a_stamp_stays_while_nothing_changes_and_holds_for_every_name(self, tested: Any) -> None:
        who = NOBODY if self.allowed is None else self.allowed.user
        stamp = tested.stamp(who)
        assert tested.stamp(who) == stamp
        if stamp is None or self.allowed is None:
            return
        every = msgspec.structs.replace(self.allowed, name="")
        if (await tested.authorize(every)).verdict == "Allow":
            for name in ("x", "another-name"):
                decision = await tested.authorize(msgspec.structs.replace(every, name=name))
                assert decision.verdict == "Allow", f"allowed without a name, and not for {name!r}: no decision may be remembered (stamp)"

    def test_rules_are_three_lists_as_reviews_show_them(self, tested: Any) -> None:
        resources, paths, incomplete = tested.rules_for(NOBODY, "default")
        assert all(isinstance(rule, dict) for rule in (*resources, *paths))
        assert isinstance(incomplete, bool)

    async def test_it_answers_from_memory(self, tested: Any) -> None:
        asked = Attributes(user=NOBODY, verb="get", resource="pods", namespace="default", name="x")
        await tested.authorize(asked)
        began = time.perf_counter()
        for _ in range(100):
            await tested.authorize(asked)
        assert (time.perf_counter() - began) / 100 < SLICE


class AuthenticatorSuite(_OverKernel):
    """``good``: credentials that it knows, and ``user`` whose they are; ``bad``: of its kind, and wrong."""

    good: ClassVar[Credentials | None] = None
    user: ClassVar[str] = ""
    bad: ClassVar[Credentials | None] = None
    group: ClassVar[str] = "bareboat_authenticators"

    def test_it_is_an_authenticator_with_a_name(self, tested: Any) -> None:
        assert isinstance(tested, Authenticator)
        assert tested.name

    async def test_no_credentials_are_nobody(self, tested: Any) -> None:
        assert await tested.authenticate(Credentials()) is None

    async def test_good_credentials_are_their_owner(self, tested: Any) -> None:
        if self.good is not None:
            for _ in range(3):
                found = await tested.authenticate(self.good)
                if isinstance(found, Authenticated):
                    assert set(found.audiences) <= set(self.good.audiences) or not self.good.audiences, "more audiences than were asked"
                    found = found.user
                assert isinstance(found, UserInfo)
                assert found.name == self.user
                assert not [g for g in found.groups if g == "system:masters"] or self.user.startswith("system:"), (
                    "masters may do everything"
                )

    async def test_bad_credentials_are_nobody_or_refused(self, tested: Any) -> None:
        strange = [Credentials(token=t) for t in ("x", "a.b.c", "Bearer x", "é" * 50, "x" * 100_000, "\x00", "null", "../../etc/passwd")]
        for credentials in [*strange, *([self.bad] if self.bad is not None else [])]:
            told = ""
            try:
                found = await tested.authenticate(credentials)
            except InvalidCredential as error:
                told, found = str(error), None
            assert found is None, f"{str(credentials.token)[:20]!r} is {found}"
            assert len(credentials.token) < 5 or credentials.token not in told, "the text is logged: a token must not be in it"
