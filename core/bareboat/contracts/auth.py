"""Authentication and authorization: the values and the two one-verb contracts.

Both are contributed by hooks (``bareboat_authenticators``, ``bareboat_authorizers``) and run in the order of the cluster file.
An authenticator answers None when the request carries no credential of its kind and raises ``InvalidCredential`` when it
does but it is wrong; the others are still asked, and if none knows it the answer is 401. An authorizer answers Allow, Deny or
NoOpinion; the first that is not NoOpinion decides; all NoOpinion is a denial. Authorizers see reads and watches too. They read
objects through ``Reader``, which is fed from the log's broadcast below authorization, so they never call the API. What they may
ask of the kernel beyond reading is their ``AuthHost``. Who keeps something of every pod keeps it in a ``WideDict``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.base.wide import WideDict as WideDict

T = TypeVar("T")
#: Resource rules, rules of paths, and whether there may be more.
Rules = tuple[list[dict[str, list[str]]], list[dict[str, list[str]]], bool]


class UserInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: as authentication.k8s.io/v1 UserInfo."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a request carries: the bearer token ("" if none) and the verified client certificate's subject (CN, O…, DER), if any.

    ``audiences``: whom the token must be meant for, one of them at least; the API server's own unless a TokenReview asks. ``path``
    is that of the request ("" for a review).
    """

    token: str = ""
    certificate_name: str = ""
    certificate_organizations: tuple[str, ...] = ()
    certificate_der: bytes = b""
    audiences: tuple[str, ...] = ()
    path: str = ""


class Authenticated(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of an authenticator that knows audiences: those of the asked ones that the credential is meant for.

    ``until`` (seconds since the epoch): the answer may be used again for the same credential and path up to then, as long as each of
    ``relies`` (made with Reader.mark) answers True. 0.0: it may not.
    """

    user: UserInfo
    audiences: tuple[str, ...] = ()
    until: float = 0.0
    relies: tuple[Callable[[], bool], ...] = ()


class InvalidCredential(Exception):
    """The credential is of this authenticator's kind, and wrong. Becomes 401; the text is logged, never sent."""


class Required(msgspec.Struct, frozen=True):
    """One requirement of a selector, as in a SubjectAccessReview: In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. ``resource`` "" means a non-resource request for ``path``. The selectors are those of list, watch and
    deletecollection: an authorizer may allow the part of a collection that they leave. ``name`` is also that of a list or watch
    whose field selector names one object."""

    user: UserInfo
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: tuple[Required, ...] = ()
    labels: tuple[Required, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    """``reason`` is shown in the Forbidden message and in access reviews."""

    verdict: Literal["Allow", "Deny", "NoOpinion"]
    reason: str = ""


ALLOW = Decision("Allow")
NO_OPINION = Decision("NoOpinion")


class Reader(Protocol):
    """Objects as they are now in this server, without authorization and without a request.

    ``get`` and ``list`` decode fresh Structs of ``cls``; ``view`` decodes only what the Struct ``shape`` names, which is a few times
    cheaper, and with ``keep``, for what nearly every request asks, only once: until the object changes everybody gets the same Struct, so
    it is a frozen one; ``mark`` gives a question that is answered True as long as the object is as it is now; ``subscribe``
    calls back, synchronously and in revision order, with (namespace, name) of every object of ``cls`` that changed or went, and once
    for each that is there at the start.
    """

    def get(self, cls: type[T], name: str, namespace: str = "") -> T | None: ...

    def view(self, cls: type[Any], shape: type[T], name: str, namespace: str = "", *, keep: bool = False) -> T | None: ...

    def list(self, cls: type[T], namespace: str | None = None) -> Iterable[T]: ...

    def mark(self, cls: type[Any], name: str, namespace: str = "") -> Callable[[], bool]: ...

    def subscribe(self, cls: type[T], changed: Callable[[str, str], None]) -> None: ...


class Expression(Protocol):
    """A compiled CEL expression. ``kind`` is CEL's name of the type of its value, "dyn" where that depends on the values."""

    kind: str

    def evaluate(self, variables: dict[str, Any]) -> Any:
        """Of plain values a plain value. Raises ValueError."""
        ...


class AuthHost(Protocol):
    """The kernel as authenticators and authorizers see it, beside the reader. ``audiences`` are the API server's own."""

    clock: Clock
    ids: Ids
    audiences: tuple[str, ...]

    async def call(self, client: dict[str, Any], review: bytes, timeout: float) -> bytes:
        """Post a review to a webhook: its client configuration as a tree, as client.kubeconfig.webhook makes one. Raises ValueError
        with what went wrong."""
        ...

    def expression(self, text: str, variables: tuple[str, ...]) -> Expression:
        """Compile CEL. Raises ValueError with what is wrong and where."""
        ...


class Authenticator(ABC):
    """Turns credentials into a user. One that answers a plain UserInfo knows no audiences: its credentials are for the API server."""

    name: str

    def steady(self, credentials: Credentials) -> bool:
        """Whether it will always say the same of these, but for what its answer says of ``until`` and ``relies``."""
        del credentials
        return False

    @abstractmethod
    async def authenticate(self, credentials: Credentials) -> UserInfo | Authenticated | None: ...


class Authorizer(ABC):
    """Decides. Called for every request, so answer from memory in microseconds; ``rules_for`` serves SelfSubjectRulesReview."""

    name: str

    @abstractmethod
    async def authorize(self, attributes: Attributes) -> Decision: ...

    def stamp(self, user: UserInfo) -> object:
        """A value that stays equal while no decision on the user's requests can have changed; None: that cannot be told.

        Whoever gives one also promises that who may do something without a ``name`` may do it to every object there.
        """
        del user
        return None

    def rules_for(self, user: UserInfo, namespace: str) -> Rules:
        """(resource rules, non-resource rules, incomplete): trees of ResourceRule / NonResourceRule."""
        del user, namespace
        return [], [], True
