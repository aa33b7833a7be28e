"""Decisions on requests that come again: the same caller, the same path.

In: a user and what the request means, both the very objects of an earlier request. Out: what was decided then, as long as the
authorizers say that nothing can have changed (contracts.auth.Authorizer.stamp); else they are asked. Creates name collections, so
their few paths mean the same object each time (api.request); of what names one object, such as a binding, nothing is kept.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from bareboat.api.request import RequestInfo
from bareboat.contracts.auth import Attributes, Decision, UserInfo

#: Decisions that are kept.
MOST = 1024


class Authority(Protocol):
    """Who may do what: the authorizers as one."""

    async def authorize(self, attributes: Attributes) -> Decision: ...

    def stamp(self, user: UserInfo) -> object: ...


class _Known(NamedTuple):
    """``user`` and ``info`` are held, so that their ids are nobody else's."""

    user: UserInfo
    info: RequestInfo
    stamp: object
    decision: Decision


class Decisions:
    """Of one service."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._known: dict[tuple[int, int], _Known] = {}

    async def of(self, user: UserInfo, info: RequestInfo) -> Decision:
        authority = self._authority
        if info.verb != "create" or info.name:
            return await authority.authorize(info.attributes(user))
        stamp, key = authority.stamp(user), (id(user), id(info))
        known = self._known.get(key)
        if known is not None and known.stamp == stamp:
            return known.decision
        decision = await authority.authorize(info.attributes(user))
        if stamp is not None and decision.verdict == "Allow":
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = _Known(user, info, stamp, decision)
        return decision
