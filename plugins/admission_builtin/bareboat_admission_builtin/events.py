"""EventRateLimit (off by default): so many Events a second for the server, a namespace, a user, or a source and its object."""

from __future__ import annotations

from collections import OrderedDict

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.models.status import TooManyRequests
from bareboat_admission_builtin.options import EventLimit


class EventRateLimit(AdmissionPlugin):
    name = "EventRateLimit"

    def __init__(self, host: AdmissionHost, limits: list[EventLimit]) -> None:
        self._limits = [_Limit(host, limit) for limit in limits]

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and group in ("", "events.k8s.io") and resource == "events" and not subresource

    async def validate(self, request: AdmissionRequest) -> None:
        if request.dry_run:
            return
        full = [limit for limit in self._limits if not limit.take(request)]
        if full:
            told = ", ".join(f"limit reached on type {limit.kind} for key {limit.key(request)}" for limit in full)
            raise TooManyRequests(told, retry_after=1)


class _Limit:
    """Buckets by key; those that were used longest ago go first."""

    def __init__(self, host: AdmissionHost, limit: EventLimit) -> None:
        self._clock = host.clock
        self._limit = limit
        self.kind = limit.type
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def key(self, request: AdmissionRequest) -> str:
        if self.kind == "Namespace":
            return request.namespace
        if self.kind == "User":
            return request.user.name
        return _source_and_object(request) if self.kind == "SourceAndObject" else ""

    def take(self, request: AdmissionRequest) -> bool:
        key, now = self.key(request), self._clock.monotonic()
        left, at = self._buckets.pop(key, (float(self._limit.burst), now))
        left = min(self._limit.burst, left + (now - at) * self._limit.qps)
        self._buckets[key] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > self._limit.cacheSize:
            self._buckets.popitem(last=False)
        return left >= 1


def _source_and_object(request: AdmissionRequest) -> str:
    event = request.object
    about = getattr(event, "involvedObject", None) or getattr(event, "regarding", None)
    source = getattr(event, "source", None) or getattr(event, "deprecatedSource", None)
    parts = [getattr(source, "component", ""), getattr(source, "host", "")]
    parts += [getattr(about, name, "") for name in ("kind", "namespace", "name", "uid", "apiVersion")]
    return "_".join(str(part) for part in parts)
