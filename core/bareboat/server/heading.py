"""What repeats in requests: header blocks, byte for byte the same on one connection, and request lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from bareboat.api.request import RequestInfo, parse
from bareboat.base.memo import remembered
from bareboat.contracts.auth import Authenticated, UserInfo
from bareboat.models.status import BadRequest
from bareboat.server.exchange import NAMED, Scope, check_path, parameters
from bareboat.server.fairness.gate import Place

if TYPE_CHECKING:
    from bareboat.server.immediate import Plan

LINE = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/[!\"$-~]*) HTTP/1\.1")
#: Headers that make each request a matter of its own.
_SINGULAR: Final = ("audit-id", "impersonate-", "upgrade")
_LONG = frozenset({"attach", "exec", "log", "portforward", "proxy"})


def long_running(info: RequestInfo) -> bool:
    """What may last as long as the client likes."""
    return info.verb == "watch" or info.verb == "proxy" or (info.subresource in _LONG and bool(info.resource))


@dataclass(frozen=True, slots=True)
class Line:
    """The request line of one that asks for a resource, and not for something that may last."""

    text: bytes
    method: str
    path: str
    raw_path: bytes
    query_string: bytes
    query: dict[str, list[str]]
    info: RequestInfo


@remembered(1024)
def line_of(text: bytes) -> Line | None:
    """None: it is for those who look more closely."""
    matched = LINE.fullmatch(text)
    if matched is None:
        return None
    raw_path, _, query_string = matched[2].partition(b"?")
    path = raw_path.decode("ascii")
    path = unquote(path) if "%" in path else path
    try:
        check_path(path)
        query = parameters(query_string) if query_string else {}
    except BadRequest:
        return None
    method = matched[1].decode("ascii")
    info = parse(method, path, query)
    if not info.resource or long_running(info) or "timeout" in query:
        return None
    return Line(text, method, path, raw_path, query_string, query, info)


class Heading:
    """A header block that came more than once, with a body of ``length``, and what was worked out for requests that have it."""

    __slots__ = (
        *("accept", "content_type", "flows", "known", "length", "line", "named", "place", "plans", "remote"),
        *("said", "scope", "seen", "singular", "user", "user_agent", "usual"),
    )

    def __init__(self, scope: Scope, length: int = 0) -> None:
        self.scope = scope
        self.length = length
        named: dict[str, str] = scope[NAMED]
        self.named = named
        self.singular = any(name.startswith(_SINGULAR) for name in named)
        self.content_type = named.get("content-type", "")
        self.accept = named.get("accept", "")
        self.user_agent = named.get("user-agent", "")
        self.said = named.get("authorization", "")
        self.remote: str = (scope.get("client") or ("",))[0]
        #: who showed what on this connection
        self.known: dict[str, Authenticated] = scope["extensions"]["known"]
        #: of the last request, and where it belongs as long as the flows are as they were
        self.line: Line | None = None
        self.user: UserInfo | None = None
        self.place: Place | None = None
        self.flows = -1
        #: of immediate answers
        self.plans: dict[bytes, Plan] = {}
        self.seen: set[bytes] = set()
        #: collections for which there can be no plan: nobody tries again on this connection
        self.usual: set[bytes] = set()
