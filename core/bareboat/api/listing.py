"""Lists that are asked for again and again: what is there now under a prefix, all of it or what carries some labels.

In: one such request, once. Out, as often as somebody wants it: the whole answer in one piece, joined from the store's bytes. What is
large, wants a page or another revision, or is selected in a way that no index answers, is no business of this module (verbs.read).
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from bareboat.api.answers import END, PIECE
from bareboat.api.indexes import Terms
from bareboat.api.operation import Operation
from bareboat.api.verbs.select import field_terms, label_selector
from bareboat.store.entry import head

if TYPE_CHECKING:
    from bareboat.api.service import Service

#: Objects that are looked at in one go.
MOST = 500
_PARAMETERS = frozenset({"fieldSelector", "labelSelector", "limit", "resourceVersion"})
_data = attrgetter("data")
_view: Callable[[bytes], memoryview] = memoryview


class Listing(NamedTuple):
    """``terms`` None: everything. ``limit`` 0: there is none."""

    service: Service
    resource: str
    prefix: str
    terms: Terms | None
    limit: int
    #: of the list, up to its revision
    opening: bytes
    #: an object without its kind
    tail: itemgetter[slice]

    def found(self, largest: int = PIECE) -> list[bytes] | None:
        """The objects as they are now; None if together they are larger or have to be given in pages."""
        log, most = self.service.log, min(MOST, self.limit or MOST)
        if self.terms is None:
            entries = log.listing(self.prefix) if log.count(self.prefix) <= most else None
        else:
            keys = self.service.indexes.ordered(self.resource, self.terms, self.prefix, most)
            entries = None if keys is None else log.having(keys)
        if entries is None:
            return None
        objects = list(map(_data, entries))
        return objects if sum(map(len, objects)) <= largest else None

    def answer(self, start: bytes, objects: list[bytes]) -> bytes:
        """``start``, the length of a list of what was just found, an empty line and the list."""
        opening = b'%b%d"},"items":[' % (self.opening, self.service.log.head)
        items = list(map(self.tail, map(_view, objects)))
        length = len(opening) + sum(map(len, items)) + max(0, 2 * len(items) - 1) + len(END)
        if not items:
            return b"%b%d\r\n\r\n%b%b" % (start, length, opening, END)
        items[0] = b"%b%d\r\n\r\n%b{%b" % (start, length, opening, items[0])
        items[-1] = b"%b%b" % (items[-1], END)
        return b",{".join(items)


async def listing_of(service: Service, op: Operation) -> Listing | None:
    """None for a request that has to be looked at each time. Raises ApiError for one that is wrong."""
    request = op.request
    if not _PARAMETERS.issuperset(request.query) or request.first("resourceVersion") not in ("", "0"):
        return None
    selector, fields, terms = label_selector(op), field_terms(op), None
    if selector is not None or fields:
        terms = await service.indexes.select(op.stored.key, selector, fields)
        if terms is None:
            return None
    resource = op.resource
    opening = head(resource.list_kind or f"{resource.kind}List", resource.api_version) + b'"metadata":{"resourceVersion":"'
    tail = itemgetter(slice(len(head(resource.kind, resource.api_version)), None))
    return Listing(service, op.stored.key, op.prefix, terms, max(0, op.number("limit")), opening, tail)
