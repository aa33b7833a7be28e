"""How many requests there were, of what, with which answer, and how long they took. Counted on every request, so cheaply.

The names and buckets are upstream's (`apiserver_request_total`, `apiserver_request_duration_seconds`); whoever is scraped turns
these numbers into text.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from bareboat.api.request import RequestInfo

#: Upper bounds of the duration buckets, in seconds.
BUCKETS: Final = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0),
    *(4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)
_SPELLED: Final = {"create": "POST", "update": "PUT", "deletecollection": "DELETECOLLECTION"}
_WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})

#: verb, group, version, resource, subresource, scope
Labels = tuple[str, str, str, str, str, str]


class RequestMetrics:
    """Of one server."""

    def __init__(self) -> None:
        self.counts: dict[tuple[Labels, int], int] = {}
        #: per labels: one count per bucket and one beyond, and the sum of seconds
        self.durations: dict[Labels, tuple[list[int], list[float]]] = {}
        self.inflight = {"readOnly": 0, "mutating": 0}

    def began(self, verb: str) -> str:
        """The kind of request that is under way; hand it back to ``ended``."""
        kind = "mutating" if verb in _WRITES else "readOnly"
        self.inflight[kind] += 1
        return kind

    def ended(self, kind: str, info: RequestInfo, code: int, seconds: float, known: bool = True) -> None:
        """``known``: the path names something that there is."""
        self.inflight[kind] -= 1
        if not info.resource or not known:
            return
        self.answered(labels_of(info), code, seconds)

    def answered(self, labels: Labels, code: int, seconds: float) -> None:
        """One that was never under way for anybody else to see."""
        key = (labels, code)
        self.counts[key] = self.counts.get(key, 0) + 1
        if labels[0] == "WATCH":
            return
        found = self.durations.get(labels)
        if found is None:
            found = self.durations[labels] = ([0] * (len(BUCKETS) + 1), [0.0])
        found[0][bisect_left(BUCKETS, seconds)] += 1
        found[1][0] += seconds


def labels_of(info: RequestInfo) -> Labels:
    """Under which requests of this kind are counted."""
    scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
    verb = _SPELLED.get(info.verb) or info.verb.upper()
    return verb, info.group, info.version, info.resource, info.subresource, scope
