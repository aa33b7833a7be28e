"""Authentication and authorization: the values and the two one-verb contracts.

Both are contributed by hooks (``bareboat_authenticators``, ``bareboat_authorizers``) and run in the order of the cluster file.
An authenticator answers None when the request carries no credential of its kind and raises ``InvalidCredential`` when it
does but it is wrong. An authorizer answers Allow, Deny or NoOpinion; the first that is not NoOpinion decides; all
NoOpinion is a denial. Authorizers see reads and watches too. They read objects through ``Reader``, which is fed from the
log's broadcast below authorization, so they never call the API.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Literal, Protocol, TypeVar

import msgspec

T = TypeVar("T")


class UserInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: as authentication.k8s.io/v1 UserInfo."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a request carries: the bearer token ("" if none) and the verified client certificate's subject (CN, O…, DER), if any."""

    token: str = ""
    certificate_name: str = ""
    certificate_organizations: tuple[str, ...] = ()
    certificate_der: bytes = b""


class InvalidCredential(Exception):
    """The credential is of this authenticator's kind, and wrong. Becomes 401; the text is logged, never sent."""


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. ``resource`` "" means a non-resource request for ``path``."""

    user: UserInfo
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Decision(msgspec.Struct, frozen=True):
    """``reason`` is shown in the Forbidden message and in access reviews."""

    verdict: Literal["Allow", "Deny", "NoOpinion"]
    reason: str = ""


ALLOW = Decision("Allow")
NO_OPINION = Decision("NoOpinion")


class Reader(Protocol):
    """Objects as they are now in this server, without authorization and without a request.

    ``get`` and ``list`` decode fresh Structs of ``cls``; ``subscribe`` calls back, synchronously and in revision order, with
    (namespace, name) of every object of ``cls`` that changed or went, and once for each that is there at the start.
    """

    def get(self, cls: type[T], name: str, namespace: str = "") -> T | None: ...

    def list(self, cls: type[T], namespace: str | None = None) -> Iterable[T]: ...

    def subscribe(self, cls: type[T], changed: Callable[[str, str], None]) -> None: ...


class Authenticator(ABC):
    """Turns credentials into a user."""

    name: str

    @abstractmethod
    async def authenticate(self, credentials: Credentials) -> UserInfo | None: ...


class Authorizer(ABC):
    """Decides. Called for every request, so answer from memory in microseconds; ``rules_for`` serves SelfSubjectRulesReview."""

    name: str

    @abstractmethod
    async def authorize(self, attributes: Attributes) -> Decision: ...

    def rules_for(self, user: UserInfo, namespace: str) -> tuple[list[dict[str, list[str]]], list[dict[str, list[str]]], bool]:
        """(resource rules, non-resource rules, incomplete): trees of ResourceRule / NonResourceRule."""
        del user, namespace
        return [], [], True
